using System.Buffers;
using System.Collections.Concurrent;
using System.Globalization;
using Microsoft.Win32.SafeHandles;
using RecoveryVfs.PageStore.Interop;
using RecoveryVfs.PageStore.Pages;
using RecoveryVfs.PageStore.Sealed;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.PageStore.Rocks;

/// <summary>
/// Where the pages of databases lie that are read a lot: a page is then one read of its file, instead of a way through
/// RocksDB's tables, caches and copies. Eight bytes a page. Thread-safe.
/// </summary>
/// <remarks>
/// Why what it reads is right. It only speaks of pages that nobody has written to this page store since it was opened:
/// each is noted before a batch that has it can be applied (<see cref="Touch"/>). Such a page has one value, in every
/// version that can be read, whatever RocksDB does to its files: a compaction moves keys, and a collection copies
/// blobs, but neither changes a value. So the tables may be read at any moment, and what they say of an untouched page
/// stays right as long as the file is there that they name. A file that RocksDB deletes is closed here, and pages in it
/// are read by RocksDB again. A blob must have its page's key, and its checksum; else RocksDB reads the page, and says
/// what is wrong.
/// </remarks>
internal sealed class PlaceMap(string directory, IAbsentFiles? absent = null) : IDisposable
{
    /// <summary>
    /// After so many single reads of a database, its tables are read: that costs as much as some hundred.
    /// </summary>
    const int ReadsBefore = 64;

    /// <summary>A run of pages counts for so many: a scan has seen some megabytes before it is worth it.</summary>
    const int ReadsOfRun = 4;

    /// <summary>Larger databases are left to RocksDB: this is 64 MB of memory.</summary>
    const int PagesMax = 8 << 20;

    const int RunBytes = 128 << 10, GapMax = 16 << 10;

    /// <summary>What is known of a database.</summary>
    sealed class Entry
    {
        public readonly Lock Gate = new();
        public int Reads;
        public bool AllTouched;
        public ulong[] Touched = [];
        public Known? Known;

        public bool IsTouched(uint page)
        {
            var bits = Volatile.Read(ref Touched);
            return Volatile.Read(ref AllTouched)
                || (page >> 6 < (uint)bits.Length
                && (Volatile.Read(ref bits[page >> 6]) & 1UL << (int)(page & 63)) != 0);
        }
    }

    /// <summary>Where its pages lay when the tables were read.</summary>
    sealed record Known(ulong[] Places, BlobHandle?[] Files);

    sealed record BlobHandle(string Name, SafeFileHandle Handle, BlobCompression Compression);

    readonly ConcurrentDictionary<uint, Entry> entries = [];
    readonly ConcurrentDictionary<string, BlobHandle> open = new(StringComparer.Ordinal);
    // Of files that were deleted while tables were read that name them.
    readonly ConcurrentDictionary<string, bool> deleted = new(StringComparer.Ordinal);
    bool disposed;

    [ThreadStatic] static byte[]? scratch;
    [ThreadStatic] static Codecs? codecs;

    /// <summary>Pages that were read here.</summary>
    public long Reads => Interlocked.Read(ref reads);

    long reads;

    Entry EntryOf(uint database) => entries.TryGetValue(database, out var entry)
        ? entry
        : entries.GetOrAdd(database, static _ => new Entry());

    /// <summary>A page is about to be written, or deleted.</summary>
    public void Touch(uint database, uint page)
    {
        var entry = EntryOf(database);
        if (entry.IsTouched(page)) return;
        lock (entry.Gate)
        {
            if (page >> 6 >= (uint)entry.Touched.Length)
            {
                if (page > PagesMax) Volatile.Write(ref entry.AllTouched, true);
                else
                {
                    var larger = new ulong[Math.Max((page >> 6) + 1, (uint)entry.Touched.Length * 2)];
                    entry.Touched.CopyTo(larger, 0);
                    Volatile.Write(ref entry.Touched, larger);
                }
            }
            if (!entry.AllTouched) entry.Touched[page >> 6] |= 1UL << (int)(page & 63);
        }
    }

    /// <summary>Pages are about to be deleted.</summary>
    public void TouchRange(uint database, uint first, uint last)
    {
        var entry = EntryOf(database);
        var pages = Volatile.Read(ref entry.Known)?.Places.Length ?? PagesMax;
        // What lies beyond what is known was never untouched.
        if (first == 0 || entry.Known is null) Volatile.Write(ref entry.AllTouched, true);
        else
            for (var page = first; page <= last && page < pages; page++) Touch(database, page);
    }

    /// <summary>Reads a page, and returns its length; -1 when RocksDB has to read it.</summary>
    public int Read(uint database, uint page, Span<byte> destination)
    {
        var entry = EntryOf(database);
        if (entry.Known is null && page != 0) Count(entry, database, 1);
        var (place, file) = PlaceOf(entry, page);
        if (file is null) return -1;
        var size = BytesOf(place);
        if (scratch is null || scratch.Length < size) scratch = new byte[Math.Max(size, 8 << 10)];
        var blob = scratch.AsSpan(0, size);
        if (ReadAt(file, StartOf(place), blob) != size) return -1;
        var length = Take((ulong)database << 32 | page, file, blob, destination);
        if (length >= 0) Interlocked.Increment(ref reads);
        return length;
    }

    /// <summary>Once a database was read so often, a thread of the pool learns where its pages lie.</summary>
    void Count(Entry entry, uint database, int reads)
    {
        var all = Interlocked.Add(ref entry.Reads, reads);
        if (all >= ReadsBefore && all - reads < ReadsBefore)
            ThreadPool.UnsafeQueueUserWorkItem(static s => s.Map.Learn(s.Database), (Map: this, Database: database),
                preferLocal: false);
    }

    /// <summary>
    /// Gives pages in order, as long as it can; returns the first one that RocksDB has to look for, or null when the
    /// caller wants no more.
    /// </summary>
    public uint? Scan(uint database, uint first, uint last, PageScanned onPage)
    {
        var entry = EntryOf(database);
        if (entry.Known is null) Count(entry, database, ReadsOfRun);
        if (PlaceOf(entry, first).File is null) return first;
        var (run, value) =
            (ArrayPool<byte>.Shared.Rent(RunBytes), ArrayPool<byte>.Shared.Rent(PageLimits.ValueBytesMax));
        try
        {
            var (held, heldAt, heldBytes) = ((BlobHandle?)null, 0L, 0);
            for (var page = first; ; page++)
            {
                var (place, file) = PlaceOf(entry, page);
                if (file is null || BytesOf(place) > RunBytes) return page;
                if (held != file || StartOf(place) < heldAt || StartOf(place) + BytesOf(place) > heldAt + heldBytes)
                {
                    (held, heldAt) = (file, StartOf(place));
                    heldBytes = ReadAt(file, heldAt, run.AsSpan(0, RunFrom(entry, page, last)));
                    if (heldBytes < BytesOf(place)) return page;
                }
                var length = Take((ulong)database << 32 | page, file,
                    run.AsSpan((int)(StartOf(place) - heldAt), BytesOf(place)), value);
                if (length < 0) return page;
                Interlocked.Increment(ref reads);
                if (!onPage(page, value.AsSpan(0, length)) || page == last) return null;
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(run);
            ArrayPool<byte>.Shared.Return(value);
        }
    }

    /// <summary>
    /// How many bytes to read at once from where a page lies: as far as those that follow lie behind it.
    /// </summary>
    static int RunFrom(Entry entry, uint page, uint last)
    {
        var (place, file) = PlaceOf(entry, page);
        var (start, end) = (StartOf(place), StartOf(place) + BytesOf(place));
        while (page++ < last)
        {
            var (next, sameFile) = PlaceOf(entry, page);
            if (sameFile != file || StartOf(next) < end || StartOf(next) - end > GapMax
                || StartOf(next) + BytesOf(next) - start > RunBytes)
                break;
            end = StartOf(next) + BytesOf(next);
        }
        return (int)(end - start);
    }

    static (ulong Place, BlobHandle? File) PlaceOf(Entry entry, uint page)
    {
        if (Volatile.Read(ref entry.Known) is not { } known || page == 0 || page >= (uint)known.Places.Length
            || entry.IsTouched(page))
            return default;
        var place = known.Places[page];
        return place == 0 ? default : (place, known.Files[BlobPlace.FileOf(place)]);
    }

    /// <summary>A blob's header and key stand before the value.</summary>
    static long StartOf(ulong place) => BlobPlace.OffsetOf(place) - (BlobFile.BlobHeaderBytes + BlobFile.KeyBytes);

    static int BytesOf(ulong place) => BlobPlace.SizeOf(place) + BlobFile.BlobHeaderBytes + BlobFile.KeyBytes;

    static int Take(ulong key, BlobHandle file, ReadOnlySpan<byte> blob, Span<byte> destination) =>
        BlobFile.IsBlobOf(key, blob) ? (codecs ??= new Codecs())
            .Decompress(file.Compression, blob[(BlobFile.BlobHeaderBytes + BlobFile.KeyBytes)..], destination) : -1;

    int ReadAt(BlobHandle file, long offset, Span<byte> destination) =>
        ReadAt(file.Name, file.Handle, offset, destination);

    /// <summary>Throws what kept bytes that are not here from coming.</summary>
    int ReadAt(string name, SafeFileHandle handle, long offset, Span<byte> destination)
    {
        try
        {
            return absent?.IsAbsent(name) == true ? absent.Read(name, offset, destination)
                : RandomAccess.Read(handle, destination, offset);
        }
        catch (Exception e) when (e is IOException or ObjectDisposedException)
        {
            return -1; // closed just now, or RocksDB will say what is wrong
        }
    }

    /// <summary>
    /// Reads the tables of a database. When anything is not as expected, RocksDB goes on reading its pages.
    /// </summary>
    void Learn(uint database)
    {
        try
        {
            var current = File.ReadAllText(Path.Combine(directory, "CURRENT")).TrimEnd('\n');
            var tables = Manifest.LiveTables(File.ReadAllBytes(Path.Combine(directory, current)), current)
                .Where(t => t.MayHave(database)).ToList();
            var header = new HeaderEntry(database);
            foreach (var table in tables.Where(t => t.MayHave(database, 0))) Read(table, header);
            if (header.PageCount is 0 or >= PagesMax) return;
            var places = new PagePlaces(database, (uint)header.PageCount);
            foreach (var table in tables) Read(table, places);
            places.Finish();
            var (files, found) = places.Take();
            Volatile.Write(ref EntryOf(database).Known, new Known(found, [.. files.Select(Open)]));
        }
        catch (Exception e) when (e is UnfamiliarFileException or IOException or UnauthorizedAccessException
            or RecoveryException or ObjectDisposedException)
        {
            // As a rule a table that a compaction was done with; the next reads ask again.
            if (EntryOf(database) is { Known: null } entry && e is FileNotFoundException)
                Interlocked.Exchange(ref entry.Reads, 0);
        }
    }

    void Read(LiveTable table, ITableEntries entries)
    {
        if (absent?.IsAbsent(table.FileName) == true)
            throw new UnfamiliarFileException(table.FileName, "is not here");
        SealedTable.ReadVerified(File.ReadAllBytes(Path.Combine(directory, table.FileName)), table.FileName, entries);
    }

    BlobHandle? Open(ulong number)
    {
        var name = string.Create(CultureInfo.InvariantCulture, $"{number:d6}.blob");
        if (open.TryGetValue(name, out var known)) return known;
        try
        {
            var handle = File.OpenHandle(Path.Combine(directory, name), share: FileShare.ReadWrite | FileShare.Delete,
                options: FileOptions.RandomAccess);
            Span<byte> header = stackalloc byte[BlobFile.HeaderBytes];
            if (ReadAt(name, handle, 0, header) != header.Length) return null;
            var opened = new BlobHandle(name, handle, BlobFile.CompressionOf(header, name));
            if (!open.TryAdd(name, opened)) handle.Dispose();
            if (deleted.ContainsKey(name) || Volatile.Read(ref disposed)) Deleted(name);
            return open.GetValueOrDefault(name);
        }
        catch (Exception e) when (e is IOException or UnfamiliarFileException)
        {
            return null;
        }
    }

    /// <summary>A file goes: its space must not be held.</summary>
    public void Deleted(string name)
    {
        if (!name.EndsWith(".blob", StringComparison.Ordinal)) return;
        deleted.TryAdd(name, true);
        if (open.TryRemove(name, out var file)) file.Handle.Dispose();
    }

    public void Dispose()
    {
        Volatile.Write(ref disposed, true);
        foreach (var name in open.Keys) Deleted(name);
    }
}
