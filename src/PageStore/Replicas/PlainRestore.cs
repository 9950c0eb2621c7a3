using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.PageStore.Sealed;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.Read;

namespace RecoveryVfs.PageStore.Replicas;

/// <summary>
/// Restores one database from a remote to a plain SQLite file, without a store on the way: extents are read once, and
/// their pages written where they belong as they come; then the log's.
/// </summary>
/// <remarks>
/// RocksDB's files are read by code of our own (<c>Sealed</c>), which believes what it knows and nothing else, and what
/// it has read is verified by the checksum of the database. When anything is not as expected, this gives up, and the
/// caller restores a store, with RocksDB.
/// </remarks>
static class PlainRestore
{
    /// <summary>
    /// An entry of a table takes some bytes: with fewer, a database of so many pages has holes, or does not exist.
    /// </summary>
    const int EntryBytesMin = 8;

    /// <summary>So many pages need no proof that anybody wrote them.</summary>
    internal const uint PagesFree = 1 << 20;

    /// <summary>While there are several, and none was named, only the names are found out.</summary>
    const uint NoDatabase = uint.MaxValue;

    /// <summary>Carries out a plan for one database.</summary>
    /// <param name="plan">What to restore.</param>
    /// <param name="database">Its name; null for the only one.</param>
    /// <param name="path">The file, which must not exist. When this fails or gives up, the file means nothing.</param>
    /// <param name="scratch">A directory for what is needed meanwhile; the caller removes it.</param>
    /// <param name="parallelism">Extents read at a time.</param>
    /// <param name="progressed">Called with bytes fetched, from several threads.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <returns>
    /// What was restored, or why that takes a store. The databases are all that there are: the file is one of them when
    /// the name is among them, or when none was named and there is only one.
    /// </returns>
    public static async Task<(RestoreResult? Result, string? Why)> TryAsync(
        RestorePlan plan, string? database, string path, string scratch, int parallelism = 8,
            Action<long>? progressed = null, CancellationToken cancellation = default)
    {
        plan.Store.ThrowUnlessDatabases(plan.Location);
        try
        {
            using var image = new PlainImage(path);
            return (await RestoreActivity.RunAsync(plan, path,
                () => RunAsync(plan, database, image, scratch, parallelism, progressed, cancellation)), null);
        }
        catch (UnfamiliarFileException e)
        {
            return (null, e.Message);
        }
        catch (AggregateException e) when (e.GetBaseException() is UnfamiliarFileException unfamiliar)
        {
            return (null, unfamiliar.Message);
        }
    }

    static async Task<RestoreResult> RunAsync(
        RestorePlan plan, string? name, PlainImage image, string scratch, int parallelism, Action<long>? progressed,
            CancellationToken cancellation)
    {
        plan.SpoolIn(scratch);
        var hints = plan.Hints.Hints;
        var known = hints.Databases.Where(d => name is null ? !DeletedName.Is(d.Name) : d.Name == name).ToList();
        var database = known.Count switch { 0 => 0u, 1 => known[0].Id, _ => NoDatabase };
        var fetched = 0L;
        void Count(long bytes)
        {
            Interlocked.Add(ref fetched, bytes);
            progressed?.Invoke(bytes);
        }
        var header = database is 0 or NoDatabase
            ? null
            : await new ImageBase(plan, database, image, parallelism, Count).MakeAsync(cancellation);
        using var replay =
            new ImageReplay(hints, database, name ?? known.FirstOrDefault().Name, image, header?.Lsn
            ?? 0, header?.Checksum ?? 0, scratch);
        var (lsn, timeMs) = await plan.ReplayAsync(replay.Take, Count, cancellation);
        var databases = replay.Databases.Where(d => name is null ? !DeletedName.Is(d.Name) : d.Name == name).ToList();
        if (databases.Count == 1)
        {
            // The name may have gone to another one meanwhile.
            if (databases[0].Id != replay.Database)
                throw new UnfamiliarFileException("The log", "has renamed or deleted databases");
            replay.Finish();
            image.Finish();
        }
        return new RestoreResult(lsn, timeMs,
            [.. replay.Databases.Select(d => d.Name).Where(n => n == name || !DeletedName.Is(n))
            .Order(StringComparer.Ordinal)], fetched);
    }

    /// <summary>What the page store has of a database at the hints.</summary>
    sealed class ImageBase(RestorePlan plan, uint database, PlainImage image, int parallelism, Action<long> progressed)
    {
        readonly Dictionary<string, LiveFile> files = plan.Hints.Hints.Files.Where(f => f.Class != FileClass.Plain)
            .SelectMany(f => f.Names, (f, name) => (f, name)).ToDictionary(p => p.name, p => p.f);

        /// <summary>
        /// Places its pages, and returns the version that they should be; null when the page store does not know it.
        /// </summary>
        public async Task<DatabaseVersion?> MakeAsync(CancellationToken cancellation)
        {
            if (!files.TryGetValue("CURRENT", out var current)) return null;
            var manifest = System.Text.Encoding.ASCII.GetString(current.Bytes.Span).TrimEnd('\n');
            if (!files.TryGetValue(manifest, out var edits)) throw new UnfamiliarFileException(manifest, "is missing");
            var tables = Manifest.LiveTables(edits.Bytes.Span, manifest).Where(t => t.MayHave(database)).ToList();
            var entry = new HeaderEntry(database);
            foreach (var table in tables.Where(t => t.MayHave(database, 0)))
                await ReadTableAsync(table, entry, static _ => { }, cancellation);
            if (entry.Bytes is not { } bytes) return null;
            var version = DatabaseHeader.Parse(bytes)
                ?? throw new UnfamiliarFileException("The header of the database", "is not what it should be");
            var entriesMax = tables.Sum(t => ExtentOf(t.FileName).SizeBytes) / EntryBytesMin;
            if (version.SizeBytes < 0 || (version.SizeBytes > 0 && version.PageSize == 0)
                || version.PageCount > Math.Max(PagesFree, entriesMax))
                throw new UnfamiliarFileException("The header of the database",
                    $"says {version.SizeBytes} bytes in pages of {version.PageSize}");
            image.Begin(version.PageSize, version.SizeBytes);
            var places = new PagePlaces(database, version.PageCount);
            foreach (var table in tables) await ReadTableAsync(table, places, progressed, cancellation);
            places.Finish();
            await Parallel.ForEachAsync(places.LiveFiles(),
                new ParallelOptions { MaxDegreeOfParallelism = parallelism, CancellationToken = cancellation },
                (file, token) => PlaceAsync(file, places, token));
            return version;
        }

        Extent ExtentOf(string name) => files.TryGetValue(name, out var file)
            && plan.Hints.Extents.TryGetValue(file.Fnode, out var extent)
            ? extent : throw new UnfamiliarFileException(name, "is not among the extents");

        async Task ReadTableAsync(LiveTable table, ITableEntries entries, Action<long> count,
            CancellationToken cancellation)
        {
            var extent = ExtentOf(table.FileName);
            if (extent.SizeBytes > int.MaxValue / 2) throw new UnfamiliarFileException(table.FileName, "is too large");
            using var bytes = new MemoryStream();
            await plan.ReadExtentAsync(extent, () => bytes.SetLength(0), part =>
            {
                bytes.Write(part.Span);
                count(part.Length);
            }, cancellation);
            SealedTable.Read(bytes.GetBuffer().AsSpan(0, (int)bytes.Length), table.FileName, entries);
        }

        async ValueTask PlaceAsync(ulong file, PagePlaces places, CancellationToken cancellation)
        {
            var name = $"{file:d6}.blob";
            var extent = ExtentOf(name);
            using var placing = new PagePlacing(name, database, file, extent.SizeBytes, places, image);
            await plan.ReadExtentAsync(extent, placing.Begin, part =>
            {
                placing.Take(part);
                progressed(part.Length);
            }, cancellation);
            placing.End();
        }
    }
}
