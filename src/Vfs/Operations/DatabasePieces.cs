using System.Globalization;
using RecoveryVfs.PageStore.Follow;
using RecoveryVfs.PageStore.Replicas;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Views;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Remote.Archives;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.Read;

namespace RecoveryVfs.Operations;

/// <summary>A range of pages, both included; the last may be beyond the end.</summary>
internal readonly record struct PageRange(uint First, uint Last)
{
    /// <summary>Every page there is.</summary>
    public static PageRange All => new(1, uint.MaxValue);

    /// <summary>Reads <c>A..B</c>, <c>A..</c> or <c>..B</c>.</summary>
    public static PageRange Parse(string text)
    {
        var parts = text.Split("..");
        uint first = 1, last = uint.MaxValue;
        return parts.Length == 2
            && (parts[0].Length == 0 || uint.TryParse(parts[0], NumberStyles.None, CultureInfo.InvariantCulture,
                out first))
            && (parts[1].Length == 0 || uint.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture,
                out last))
            && first > 0 && first <= last
            ? new(first, last)
            : throw new RecoveryException(RecoveryError.Invalid, $"{text} is no range of pages.",
                "Pages are counted from 1: 1..1000, 1001.. and the like.");
    }
}

/// <summary>
/// One database in a snapshot file, or some of its pages: read as a reader does, so that no bytes of others are
/// fetched.
/// </summary>
internal static class DatabasePieces
{
    /// <summary>
    /// Of a store's directory as it is now, beside its writer, or of a remote at a moment, of which only the blocks
    /// come that are read.
    /// </summary>
    public static async Task<SnapshotFile> WriteAsync(string place, RestoreTarget? moment, string? database,
        PageRange range, Stream to, string name, StepBegun begin, CancellationToken cancellation)
    {
        if (moment is null)
        {
            var store = StoreDirectory.Find(place);
            store.ThrowUnlessDatabases();
            using var view = StoreView.Open(new StoreOptions { Directory = store.Path });
            using var reader = view.Read();
            return await WriteAsync(reader, view.LogId, database, range, store.Path, to, name, begin, cancellation);
        }
        await using var remote = RemoteAccess.Open(place);
        var plan = await RestorePlanner.PlanAsync(remote.Context, moment.Value, null, cancellation);
        plan.Store.ThrowUnlessDatabases(plan.Location);
        using var staging = new Staging(Path.GetTempPath(), "recovery-pieces-" + Path.GetRandomFileName());
        await using var follower = await Follower.StartAsync(new FollowerOptions
        {
            Url = remote.Url,
            Store = new StoreOptions { Directory = staging.Path("store") },
            Moment = moment.Value == RestoreTarget.Newest ? RestoreTarget.At(plan.LastLsn) : moment.Value,
            Fetch = FetchMode.Lazy,
        }, cancellation);
        // An earlier state, of a remote that fell silent, is not what was asked for.
        await follower.WhenAsync(static state => state.Phase == FollowerPhase.Still, cancellation);
        using var there = follower.Read();
        return await WriteAsync(there, plan.Store.LogId, database, range, remote.Url, to, name, begin, cancellation);
    }

    static async Task<SnapshotFile> WriteAsync(FollowerReader reader, Guid logId, string? database, PageRange range,
        string from, Stream to, string name, StepBegun begin, CancellationToken cancellation)
    {
        var chosen = Restoring.Choose(database, reader.Databases, reader.Lsn);
        using var version = reader.Pin(chosen)!;
        var count = version.PageSize == 0 ? 0 : (uint)(version.SizeBytes / version.PageSize);
        if (range.First > count)
            throw new RecoveryException(RecoveryError.NotFound,
                $"{chosen} has {count} pages at LSN {version.Lsn}: there is no page {range.First}.")
            { Lsn = version.Lsn };
        var description = new ArchiveDescription
        {
            Kind = ArchiveDescription.OfPages,
            LogId = logId,
            Lsn = version.Lsn,
            Created = DateTimeOffset.UtcNow,
            From = from,
            Pages = new ArchivePages(chosen, version.PageSize, count, range.First, Math.Min(range.Last, count)),
        };
        using var progress = begin("writing the snapshot",
            (description.Pages.Last - (long)description.Pages.First + 1) * version.PageSize);
        using var archive = new ArchiveStream(to);
        var identity = await PagesArchive.WriteAsync(archive, description, version.Read, progress.Add, cancellation);
        return Of(name, description, identity, archive.Objects, archive.WrittenBytes);
    }

    static SnapshotFile Of(string file, ArchiveDescription description, string identity, int objects, long bytes) =>
        new(file, description.Kind, description.Lsn, null, identity, null, objects, bytes)
        {
            Database = description.Pages!.Database,
            Pages = $"{description.Pages.First}..{description.Pages.Last} of {description.Pages.Count}",
        };

    /// <summary>Says what a file, which was read and verified, is.</summary>
    public static SnapshotFile Verified(IReadOnlyList<ArchiveFile> files)
    {
        PagesArchive.Join(files, mayLack: true);
        var last = files[^1];
        return Of(last.Path, last.Description, last.Identity, files.Sum(f => f.Objects.Count),
            files.Sum(f => f.SizeBytes));
    }

    /// <summary>Writes the database's plain file.</summary>
    public static (RestoreResult Result, string Database) ToFile(IReadOnlyList<ArchiveFile> files, string file,
        string? database, StepBegun begin, CancellationToken cancellation)
    {
        var joined = Joined(files, database);
        DeliveredFile.CheckPlace(file, force: false);
        using var staging = new Staging(Path.GetDirectoryName(file)!, Path.GetFileName(file));
        Write(joined, staging, files, begin, cancellation);
        DeliveredFile.Deliver(staging, file, null);
        return (ResultOf(joined, files), joined.Description.Pages!.Database);
    }

    /// <summary>Brings the database into the store of a directory, where it must be new.</summary>
    public static RestoreResult ToStore(IReadOnlyList<ArchiveFile> files, string directory, StepBegun begin,
        CancellationToken cancellation)
    {
        var joined = Joined(files, null);
        var path = Path.Combine(Path.GetFullPath(directory), joined.Description.Pages!.Database);
        DeliveredFile.CheckPlace(path, force: false);
        using var staging = new Staging(directory, "recovery-pieces");
        Write(joined, staging, files, begin, cancellation);
        using (var progress = begin("bringing it into the store", 0))
            DatabaseCopy.Import(staging.Path(DeliveredFile.Made), path, progress.Reach);
        return ResultOf(joined, files);
    }

    static ArchivedPages Joined(IReadOnlyList<ArchiveFile> files, string? database)
    {
        var joined = PagesArchive.Join(files, mayLack: false);
        Restoring.Choose(database, [joined.Description.Pages!.Database], joined.Description.Lsn);
        return joined;
    }

    static void Write(ArchivedPages joined, Staging staging, IReadOnlyList<ArchiveFile> files, StepBegun begin,
        CancellationToken cancellation)
    {
        using var progress = begin("writing the file", files.Sum(f => f.SizeBytes));
        using var made = new FileStream(staging.Path(DeliveredFile.Made), FileMode.CreateNew, FileAccess.ReadWrite);
        joined.WriteTo(made, progress.Add, cancellation);
    }

    static RestoreResult ResultOf(ArchivedPages joined, IReadOnlyList<ArchiveFile> files) =>
        new(joined.Description.Lsn, joined.Description.Created.ToUnixTimeMilliseconds(),
            [joined.Description.Pages!.Database], files.Sum(f => f.SizeBytes));
}
