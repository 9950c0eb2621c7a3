using RecoveryVfs.PageStore.Rocks;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.RecoveryLog.Remote.Files;
using RecoveryVfs.RecoveryLog.Remote.Read;

namespace RecoveryVfs.PageStore.Directories;

/// <summary>What a restore of a RocksDB's directory brought back.</summary>
/// <param name="Lsn">The state: all records up to it.</param>
/// <param name="UnixTimeMs">The time of its newest record.</param>
/// <param name="Files">How many files there are.</param>
/// <param name="FetchedBytes">Bytes fetched from the remote.</param>
/// <param name="Note">When it is not the newest record's state: why.</param>
internal sealed record DirectoryRestored(ulong Lsn, long UnixTimeMs, int Files, long FetchedBytes, string? Note);

/// <summary>The files of a restored directory, and which they are.</summary>
/// <param name="All">The hints with what is not restored: tables that are still being written.</param>
/// <param name="Hints">The files that are there.</param>
/// <param name="Note">When it is not the newest record's state: why.</param>
internal sealed record DirectoryState(Hints All, Hints Hints, string? Note)
{
    public IReadOnlyList<LiveFile> Files => Hints.Files;
}

/// <summary>
/// Restores a RocksDB's directory from a remote, file by file, to its newest state or an earlier one. RocksDB then
/// opens
/// it as after a crash at that moment. Everything is verified on the way.
/// </summary>
internal static class DirectoryRestore
{
    const string Current = "CURRENT";
    const int Private = 0x1C0; // 0700

    /// <summary>A table that was still being written is in no MANIFEST, and so in no restored directory.</summary>
    public static bool IsRestored(LiveFile file) => file.Class switch
    {
        FileClass.RocksTable or FileClass.RocksBlob => file.IsSealed,
        FileClass.Plain => false,
        _ => true,
    };

    /// <summary>
    /// Restores into an empty or missing directory, which any RocksDB can then open, and a recorded one go on from. On
    /// an error nothing is left of it.
    /// </summary>
    public static async Task<DirectoryRestored> RestoreAsync(RestorePlan plan, string path, int parallelism = 8,
        Action<long>? progressed = null, CancellationToken cancellation = default)
    {
        var home = new StoreHome(StoreHome.Within(path));
        ThrowUnlessEmpty(path, home);
        LocalDisk.Instance.CreateDirectory(path, Private);
        try
        {
            var fetched = 0L;
            home.BeginOver();
            var state = await FilesAsync(plan, path, parallelism, bytes =>
            {
                Interlocked.Add(ref fetched, bytes);
                progressed?.Invoke(bytes);
            }, cancellation, home.Fetching);
            LocalHints.Publish(LocalDisk.Instance, home.Path, state.Hints);
            home.BeginRocksDb();
            home.NoteRestored(state.Hints.Lsn);
            home.EndOver();
            return new DirectoryRestored(state.Hints.Lsn, state.Hints.UnixTimeMs, state.Files.Count, fetched,
                state.Note);
        }
        catch
        {
            RemoveOwn(path, home);
            if (!Directory.EnumerateFileSystemEntries(path).Any()) Directory.Delete(path);
            throw;
        }
    }

    /// <summary>What a restore has put there, and nothing else; what says that it was one goes last.</summary>
    static void RemoveOwn(string path, StoreHome home)
    {
        RocksDbFiles.Remove(LocalDisk.Instance, path, static _ => true);
        if (Directory.Exists(home.Path)) Directory.Delete(home.Path, recursive: true);
    }

    /// <summary>
    /// The state that a restore of the plan would deliver: the newest that the remote has all files of, or the one that
    /// is wanted. Throws NotFound when that one lacks files.
    /// </summary>
    public static async Task<ulong> FindLsnAsync(RestorePlan plan, CancellationToken cancellation = default)
    {
        var work = Directory.CreateTempSubdirectory("recovery-look-").FullName;
        try
        {
            plan.SpoolIn(work);
            var extents = await plan.ListExtentsAsync(cancellation);
            var (replay, _, _) = await ReplayAsync(plan, extents, work, null, cancellation);
            using (replay) return replay.State(plan.Epoch).Lsn;
        }
        finally
        {
            Directory.Delete(work, recursive: true);
        }
    }

    /// <summary>
    /// Proves that a state can be restored: restores it aside, and has a process of its own open and read it. Nothing
    /// is left of it.
    /// </summary>
    public static async Task<DirectoryRestored> ProveAsync(RestorePlan plan, string aside, int parallelism,
        Action<long>? progressed, CancellationToken cancellation)
    {
        try
        {
            var fetched = 0L;
            var state = await FilesAsync(plan, aside, parallelism, bytes =>
            {
                Interlocked.Add(ref fetched, bytes);
                progressed?.Invoke(bytes);
            }, cancellation);
            RocksTrial.RunAny(aside, cancellation);
            return new DirectoryRestored(state.Hints.Lsn, state.Hints.UnixTimeMs, state.Files.Count, fetched,
                state.Note);
        }
        finally
        {
            if (Directory.Exists(aside)) Directory.Delete(aside, recursive: true);
        }
    }

    static void ThrowUnlessEmpty(string path, StoreHome home)
    {
        if (!Directory.Exists(path)) return;
        // What a restore that was killed has left is nothing.
        var isOfRestore = home is { IsStartingOver: true, IsReplica: false };
        var others = Directory.EnumerateFileSystemEntries(path).Select(e => Path.GetFileName(e))
            .Where(name => !isOfRestore || (name != StoreHome.Name && !RocksDbFiles.Are(name))).Take(3).ToList();
        if (others.Count > 0)
            throw new RecoveryException(RecoveryError.Invalid,
                $"{path} is not empty: {string.Join(", ", others.Select(DatabaseName.Shown))}.",
                "Restore into a new directory, or move that one away.")
            { Path = path };
        if (isOfRestore) RemoveOwn(path, home);
    }

    /// <summary>
    /// Brings the files of a state into a directory, under their names, CURRENT last; without any mark.
    /// </summary>
    /// <param name="plan">Which state.</param>
    /// <param name="directory">Where to; made when it is missing.</param>
    /// <param name="parallelism">Extents fetched at a time.</param>
    /// <param name="progressed">Called with bytes fetched, from several threads.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <param name="work">A directory on the same disk for what is fetched; removed.</param>
    public static async Task<DirectoryState> FilesAsync(RestorePlan plan, string directory, int parallelism,
        Action<long>? progressed, CancellationToken cancellation, string? work = null)
    {
        work ??= Path.Combine(directory, "fetching");
        Directory.CreateDirectory(directory);
        Directory.CreateDirectory(work);
        plan.SpoolIn(work);
        new DiskReserve(LocalDisk.Instance, directory).CheckRoomFor(plan.FetchBytes);
        var extents = await plan.ListExtentsAsync(cancellation);
        var (replay, timeMs, note) = await ReplayAsync(plan, extents, work, progressed, cancellation);
        using (replay)
        {
            var all = replay.State(plan.Epoch) with { UnixTimeMs = timeMs };
            var state = all with { Files = [.. all.Files.Where(IsRestored)] };
            await PlaceAsync(plan, state, replay, extents, directory, work, parallelism, progressed, cancellation);
            Directory.Delete(work, recursive: true);
            return new DirectoryState(all, state, note);
        }
    }

    /// <summary>
    /// Replays the log to the target. The newest state is the newest one whose tables are all in the remote: a writer
    /// that was killed may have shipped the log of a table and not the table.
    /// </summary>
    static async Task<(DirectoryReplay Replay, long TimeMs, string? Note)> ReplayAsync(RestorePlan plan,
        LooseExtents extents, string work, Action<long>? progressed, CancellationToken cancellation)
    {
        string? note = null;
        for (; ; )
        {
            var replay = new DirectoryReplay(plan.Hints.Hints, work, extents);
            try
            {
                var (lsn, timeMs) = await plan.ReplayAsync(replay.Take, progressed, cancellation);
                replay.CheckLogs();
                if (replay.Lacking is not { } lacking) return (replay, timeMs, note);
                if (plan.Target.Lsn is not null || replay.WholeLsn == 0)
                    throw Lacks(plan, lacking, lsn, replay.WholeLsn);
                note = $"LSN {replay.WholeLsn} is the newest state that the remote has all files of; its log goes on "
                    + $"to LSN {lsn}, where {lacking.Name} is not there.";
                plan = plan.To(RestoreTarget.At(replay.WholeLsn));
                replay.Dispose();
            }
            catch
            {
                replay.Dispose();
                throw;
            }
        }
    }

    static RecoveryException Lacks(RestorePlan plan, LiveFile lacking, ulong lsn, ulong wholeLsn) =>
        new(RecoveryError.NotFound,
            $"{plan.Location} does not have {lacking.Name} (fnode {lacking.Fnode:x16}), which lived at LSN {lsn}: it "
                + "was replaced, or the writer stopped, before it was shipped.",
            wholeLsn > 0 ? $"The nearest state before it is LSN {wholeLsn}" : "Restore a later state")
        { Path = plan.Location, Lsn = lsn };

    static async Task PlaceAsync(RestorePlan plan, Hints state, DirectoryReplay replay, LooseExtents extents,
        string directory, string work, int parallelism, Action<long>? progressed, CancellationToken cancellation)
    {
        var large = state.Files.Where(f => f.Class is FileClass.RocksTable or FileClass.RocksBlob)
            .OrderByDescending(f => f.SizeBytes).ToList();
        string Fetched(LiveFile file) => Path.Combine(work, $"{file.Fnode:x16}.extent");
        var room = new DiskReserve(LocalDisk.Instance, directory);
        await Extents.ForEachAsync(large.Count, parallelism, (i, token) =>
            plan.FetchAsync(large[i], extents, Fetched(large[i]), progressed, token), cancellation);
        foreach (var file in state.Files.OrderBy(f => f.Names.Contains(Current)))
        {
            var made = file.Class switch
            {
                FileClass.RocksSmall => Write(Fetched(file), file.Bytes.Span),
                FileClass.RocksLog => replay.PathOf(file.Fnode),
                _ => Fetched(file),
            };
            if (file.Class == FileClass.RocksLog) Sync(made);
            foreach (var name in file.Names)
            {
                // Here a name becomes a path: a remote whose names lead elsewhere must end here whatever came before.
                TrackedName.Check(file.Class, name, plan.Hints.Name);
                if (name == file.Names[^1]) File.Move(made, Path.Combine(directory, name));
                else
                {
                    room.CheckRoomFor(file.SizeBytes);
                    Sync(Copied(made, Path.Combine(directory, name)));
                }
            }
        }
        LocalDisk.Instance.SyncDirectory(directory);
    }

    static string Copied(string from, string to)
    {
        File.Copy(from, to);
        return to;
    }

    static string Write(string path, ReadOnlySpan<byte> bytes)
    {
        using var file = RegularFile.CreateNew(path);
        file.Write(bytes);
        file.Flush(flushToDisk: true);
        return path;
    }

    static void Sync(string path)
    {
        using var file = LocalDisk.Instance.Open(path, LogFileMode.Write);
        file.SyncData();
    }
}
