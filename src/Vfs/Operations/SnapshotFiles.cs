using RecoveryVfs.PageStore.Replicas;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.Archives;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.Read;

namespace RecoveryVfs.Operations;

/// <summary>A snapshot file that was written, or verified.</summary>
internal sealed record SnapshotFile(string File, string Kind, ulong Lsn, DateTimeOffset? Time, string Identity,
    string? Base, int Objects, long Bytes)
{
    /// <summary>The databases, where they were looked at.</summary>
    public IReadOnlyList<RestoredDatabase>? Databases { get; init; }

    /// <summary>The database that its pages are of, when it has no more than that.</summary>
    public string? Database { get; init; }

    /// <summary>Which of its pages, of how many.</summary>
    public string? Pages { get; init; }
}

/// <summary>Snapshots as files: a state of a remote in one stream, brought back, or looked at.</summary>
internal static class SnapshotFiles
{
    const int Parallelism = 8;

    /// <summary>
    /// Writes a state into a stream; with <paramref name="since"/>, what those snapshots do not have.
    /// </summary>
    public static async Task<SnapshotFile> WriteAsync(RemoteAccess remote, RestoreTarget target,
        IReadOnlyList<string> since, Stream to, string name, StepBegun begin, Action<string> note,
        CancellationToken cancellation)
    {
        var context = remote.Context;
        if (target.TimeMs is { } time)
            target = RestoreTarget.At((await MomentSearch.AtAsync(remote, TimeText.FromMs(time), cancellation))
                .Bookmark.Lsn);
        var plan = await RestorePlanner.PlanAsync(context, target, null, cancellation);
        if (plan.Store.Holds is not null)
            throw new RecoveryException(RecoveryError.Invalid,
                $"{plan.Location} holds the files of a RocksDB: snapshot files are of SQLite databases.",
                "`recovery restore` it into a directory, which is all there is of it; `recovery snapshot NAME` keeps "
                    + "a state in the remote; `recovery export` writes its pairs.")
            { Path = plan.Location };
        await using var pin = await remote.PinAsync(plan, note, cancellation);
        await using var before = since.Count == 0 ? null : Open(since, begin, cancellation);
        if (before is not null && before.Files[0].Description.LogId != plan.Store.LogId)
            throw new RecoveryException(RecoveryError.Invalid,
                $"{before.Files[0].Path} is a snapshot of another log than that in {context.Store.Location}.",
                "Give snapshots of this remote, or none.")
            { Path = before.Files[0].Path };
        var description = new ArchiveDescription
        {
            Kind = before is null ? ArchiveDescription.Full : ArchiveDescription.Incremental,
            LogId = plan.Store.LogId,
            Lsn = target.Lsn ?? plan.LastLsn,
            Created = context.Time.GetUtcNow(),
            From = remote.Url,
            Base = before?.Files[^1].Identity,
        };
        using var progress = begin("writing the snapshot", plan.FetchBytes);
        using var writer = new ArchiveWriter(context, plan, to);
        var has = before?.Files.SelectMany(f => f.Objects.Keys).ToHashSet(StringComparer.Ordinal) ?? [];
        var identity = await writer.RunAsync(description, has, progress.Add, cancellation);
        return new SnapshotFile(name, description.Kind, description.Lsn, null, identity, description.Base,
            writer.Objects, writer.WrittenBytes);
    }

    /// <summary>Has a snapshot written to a file that appears whole, or not at all.</summary>
    public static async Task<SnapshotFile> ToPathAsync(string file, Func<Stream, Task<SnapshotFile>> write)
    {
        if (File.Exists(file) || Directory.Exists(file))
            throw new RecoveryException(RecoveryError.Invalid, $"{file} exists already, and is not overwritten.",
                "Choose another name.")
            { Path = file };
        if (!Directory.Exists(Path.GetDirectoryName(file)))
            throw new RecoveryException(RecoveryError.NotFound, $"There is no directory for {file}.",
                "Make it, or name another place.")
            { Path = file };
        // A name that nobody can have put there: the directory may be one that others write to.
        var partial = $"{file}.{Path.GetRandomFileName()}.partial";
        try
        {
            SnapshotFile written;
            await using (var to = RegularFile.CreateNew(partial))
            {
                written = await write(to);
                to.Flush(flushToDisk: true);
            }
            File.Move(partial, file);
            LocalDisk.Instance.SyncDirectory(Path.GetDirectoryName(file)!);
            return written;
        }
        finally
        {
            File.Delete(partial);
        }
    }

    /// <summary>Brings a snapshot back as a store.</summary>
    public static async Task<RestoreResult> ToStoreAsync(IReadOnlyList<string> files, string directory,
        StepBegun begin, Action<string> note, CancellationToken cancellation)
    {
        var opened = OpenAll(files, begin, cancellation);
        if (ArePages(opened))
            using (Disposing(opened))
                return DatabasePieces.ToStore(opened, directory, begin, cancellation);
        await using var archive = Of(opened);
        Restoring.CheckPlace(StoreDirectory.Within(directory));
        var plan = await PlanAsync(archive, cancellation);
        Restoring.CheckStubs(directory, plan);
        return await new Restoring(plan, Parallelism, begin, note).ToStoreAsync(directory, verify: false, cancellation);
    }

    /// <summary>Brings one of its databases back as a plain file.</summary>
    public static async Task<(RestoreResult Result, string Database)> ToFileAsync(IReadOnlyList<string> files,
        string file, string? database, StepBegun begin, Action<string> note, CancellationToken cancellation)
    {
        DeliveredFile.CheckPlace(file, force: false);
        var opened = OpenAll(files, begin, cancellation);
        if (ArePages(opened))
            using (Disposing(opened))
                return DatabasePieces.ToFile(opened, file, database, begin, cancellation);
        await using var archive = Of(opened);
        return await new Restoring(await PlanAsync(archive, cancellation), Parallelism, begin, note)
            .ToFileAsync(file, database, force: false, check: null, cancellation);
    }

    /// <summary>Reads everything, restores it aside, and compares every page with what its writer logged.</summary>
    public static async Task<SnapshotFile> VerifyAsync(IReadOnlyList<string> files, StepBegun begin,
        CancellationToken cancellation)
    {
        var opened = OpenAll(files, begin, cancellation);
        if (ArePages(opened))
            using (Disposing(opened))
                return DatabasePieces.Verified(opened);
        await using var archive = Of(opened);
        var plan = await PlanAsync(archive, cancellation);
        using var staging = new Staging(Path.GetTempPath(), "recovery-snapshot-" + Path.GetRandomFileName());
        var result = await RestoredStore.RestoreAsync(plan, staging.Path("store"), Parallelism, begin, cancellation);
        var last = archive.Files[^1];
        return new SnapshotFile(last.Path, last.Description.Kind, result.Lsn, TimeText.FromMs(result.UnixTimeMs),
            last.Identity, last.Description.Base, archive.Files.Sum(f => f.Objects.Count),
            archive.Files.Sum(f => f.SizeBytes))
        {
            Databases = RestoredStore.Verify(staging.Path("store"), begin, cancellation),
        };
    }

    static bool ArePages(List<ArchiveFile> files) => files.Exists(f => f.Description.Pages is not null);

    static Files Disposing(List<ArchiveFile> files) => new(files);

    /// <summary>Files that were opened, until they are closed.</summary>
    sealed class Files(List<ArchiveFile> files) : IDisposable
    {
        public void Dispose() => files.ForEach(f => f.Dispose());
    }

    static ArchiveObjectStore Open(IReadOnlyList<string> files, StepBegun begin, CancellationToken cancellation)
        => Of(OpenAll(files, begin, cancellation));

    static ArchiveObjectStore Of(List<ArchiveFile> opened)
    {
        try
        {
            return ArchiveObjectStore.Of(opened);
        }
        catch
        {
            opened.ForEach(f => f.Dispose());
            throw;
        }
    }

    static List<ArchiveFile> OpenAll(IReadOnlyList<string> files, StepBegun begin, CancellationToken cancellation)
    {
        var opened = new List<ArchiveFile>();
        try
        {
            using var progress = begin("reading the snapshot", files.Sum(f => File.Exists(f)
                ? new FileInfo(f).Length
                : throw new RecoveryException(RecoveryError.NotFound, $"There is no file {Path.GetFullPath(f)}.",
                    "Check the path.")
                { Path = Path.GetFullPath(f) }));
            foreach (var file in files)
                opened.Add(ArchiveFile.Open(Path.GetFullPath(file), progress.Add, cancellation));
            return opened;
        }
        catch
        {
            foreach (var file in opened) file.Dispose();
            throw;
        }
    }

    static Task<RestorePlan> PlanAsync(ArchiveObjectStore archive, CancellationToken cancellation) =>
        RestorePlanner.PlanAsync(new RemoteContext { Store = archive }, RestoreTarget.At(archive.Lsn), null,
            cancellation);
}
