using RecoveryVfs.PageStore.Directories;
using RecoveryVfs.PageStore.Follow;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.Files;
using RecoveryVfs.RecoveryLog.Remote.Formats;

namespace RecoveryVfs.PageStore.FollowedDirectories;

/// <summary>
/// A RocksDB's directory that follows. Records wait until the remote has every table of some state that they lead to;
/// then the directory is brought to that state, and its hints say so. After a crash it goes on from its hints.
/// </summary>
internal sealed class FollowedDirectory : IFollowedReplica
{
    static readonly TimeSpan TryInterval = TimeSpan.FromMilliseconds(100);

    readonly FollowerOptions options;
    readonly RemoteContext reading;
    readonly DiskReserve room;
    readonly string path;
    readonly IDisposable held, heldRocksDb;
    readonly PendingRecords pending;
    readonly LiveFiles ahead = new(); // At the last record.
    readonly Lock placing = new();
    Hints placed;
    Guid logId;
    ulong epoch;
    long unsettledBytes, triedAt;
    bool disposed;

    /// <summary>Opens what is there; the directory's lock is this one's then.</summary>
    public static FollowedDirectory Open(FollowerOptions options, RemoteContext reading, Hints hints, DiskReserve room)
    {
        var home = options.Store.Home;
        var held = StoreLock.Take(home.Path);
        try
        {
            var heldRocksDb = RocksDbLock.Take(DirectoryFollower.DirectoryOf(home));
            try
            {
                return new FollowedDirectory(options, reading, hints, room, held, heldRocksDb);
            }
            catch
            {
                heldRocksDb.Dispose();
                throw;
            }
        }
        catch
        {
            held.Dispose();
            throw;
        }
    }

    FollowedDirectory(FollowerOptions options, RemoteContext reading, Hints hints, DiskReserve room, IDisposable held,
        IDisposable heldRocksDb)
    {
        (this.options, this.reading, this.room) = (options, reading, room);
        (this.held, this.heldRocksDb) = (held, heldRocksDb);
        path = DirectoryFollower.DirectoryOf(Home);
        (placed, logId, epoch) = (hints, hints.LogId, hints.Epoch);
        if (Directory.Exists(Work)) Directory.Delete(Work, recursive: true);
        Directory.CreateDirectory(Work);
        FollowedFiles.Rewind(Disk, path, hints);
        ahead.Load(hints);
        triedAt = options.Store.Time.GetTimestamp();
        pending = new PendingRecords(Disk, Path.Combine(Work, "records"));
    }

    StoreHome Home => options.Store.Home;
    ILogDisk Disk => options.Store.Disk;
    string Work => Home.Fetching;

    public ulong NextLsn => ahead.Lsn + 1;

    public ulong ReadableLsn => Volatile.Read(ref placed).Lsn;

    /// <summary>Before the first state there is nothing to be opened.</summary>
    public bool IsWhole => Volatile.Read(ref placed).Files.Count > 0;

    public bool IsHalfApplied { get; private set; }

    bool HasUnsettled => ahead.Lsn > placed.Lsn;

    public bool IsSettleDue => HasUnsettled && (unsettledBytes >= options.SettleBytes
        || options.Store.Time.GetElapsedTime(triedAt) >= options.SettleInterval);

    public bool IsLazy => false;

    public ulong? FetchesFromLsn => null;

    public RecoveryException? Lost => null;

    public Task FetchRestAsync(CancellationToken cancellation) => Task.CompletedTask;

    public void SetSource(Guid logId)
    {
        if (this.logId == logId) return;
        if (placed.Lsn > 0)
            throw new RecoveryException(RecoveryError.Invalid,
                $"{options.Url} holds the log {logId}, and {path} follows {this.logId}.",
                "Give each its own directory.")
            { Path = path };
        this.logId = logId;
    }

    public void DeclareWhole()
    {
        // It never is anything else.
    }

    /// <summary>
    /// Calls <paramref name="open"/> with the LSN that the files are at, and changes none of them meanwhile.
    /// </summary>
    public T ReadAt<T>(Func<ulong, T> open)
    {
        lock (placing) return open(placed.Lsn);
    }

    public AppliedSegment Apply(RemoteSegment segment, Guid logId, ulong last)
    {
        segment.ThrowIfGap();
        var (groups, timeMs) = (0L, 0L);
        IsHalfApplied = true;
        try
        {
            using var records = segment.OpenRecords();
            while (records.TryRead(out var record) && record.Lsn <= last)
            {
                if (record.Lsn < NextLsn) continue;
                room.Take(record.Body.Length);
                if (record.Kind == RecordKind.FileWritten) ahead.ThrowIfHole(record);
                ahead.Apply(record);
                pending.Add(record);
                timeMs = record.UnixTimeMs;
                if (!record.Continues) groups++;
            }
        }
        catch (RecoveryException e) when (e.Error == RecoveryError.Corrupt)
        {
            throw new DivergedException(e);
        }
        IsHalfApplied = false;
        epoch = segment.Header.Epoch;
        unsettledBytes += segment.Header.BodyBytes;
        return new AppliedSegment(groups, timeMs > 0 ? DateTimeOffset.FromUnixTimeMilliseconds(timeMs) : null);
    }

    public async Task<bool> SettleAtEndAsync(CancellationToken cancellation)
    {
        if (!HasUnsettled) return true;
        // Tables follow the log: the remote may lack one of the newest state for a moment.
        if (unsettledBytes == 0 && options.Store.Time.GetElapsedTime(triedAt) < TryInterval) return false;
        await SettleAsync(cancellation);
        return true;
    }

    /// <summary>Brings the directory to the newest state of which the remote has every file, if there is one.</summary>
    public async Task SettleAsync(CancellationToken cancellation)
    {
        (unsettledBytes, triedAt) = (0, options.Store.Time.GetTimestamp());
        if (!HasUnsettled) return;
        var known = placed.Files.Where(DirectoryPlacement.IsThere).Select(f => f.Fnode).ToHashSet();
        var tables = ahead.Files.Where(f => IsTable(f) && f.IsSealed && !known.Contains(f.Fnode)).ToList();
        var (extents, lsn) = await FindStateAsync(tables, cancellation);
        if (lsn == placed.Lsn) return;
        await FetchAsync(extents, lsn, known, cancellation);
        IsHalfApplied = true;
        using var placement = new DirectoryPlacement(Disk, path, Work, placed);
        lock (placing) Place(placement, lsn);
        IsHalfApplied = false;
    }

    static bool IsTable(LiveFile file) => file.Class is FileClass.RocksTable or FileClass.RocksBlob;

    /// <summary>The newest state that the remote has all new tables of, and what it has.</summary>
    async Task<(LooseExtents? Extents, ulong Lsn)> FindStateAsync(List<LiveFile> tables,
        CancellationToken cancellation)
    {
        if (tables.Count == 0) return (null, ahead.Lsn);
        var states = new WholeStates(placed);
        var first = ulong.MaxValue;
        pending.Read(ulong.MaxValue, (in Record record) =>
        {
            if (record.Kind == RecordKind.FileSealed)
                first = Math.Min(first, FileRecords.ReadSealed(record.Body).Fnode);
        });
        var extents = await LooseExtents.ListAsync(reading, cancellation, first);
        pending.Read(ulong.MaxValue, (in Record record) => states.Take(record, extents));
        return (extents, states.WholeLsn);
    }

    async Task FetchAsync(LooseExtents? extents, ulong lsn, HashSet<ulong> known, CancellationToken cancellation)
    {
        if (extents is null) return;
        var live = new LiveFiles();
        live.Load(placed);
        pending.Read(lsn, live.Apply);
        var missing = live.Files.Where(f => IsTable(f) && f.IsSealed && !known.Contains(f.Fnode)
            && !File.Exists(DirectoryPlacement.FetchedIn(Work, f))).ToList();
        room.CheckRoomFor(missing.Sum(f => f.SizeBytes));
        await Extents.ForEachAsync(missing.Count, options.Parallelism, async (i, token) =>
        {
            // Under its name only when it is whole.
            var to = DirectoryPlacement.FetchedIn(Work, missing[i]);
            File.Delete(to + ".part");
            await extents.FetchAsync(missing[i], to + ".part", null, token);
            File.Move(to + ".part", to);
        }, cancellation);
    }

    void Place(DirectoryPlacement placement, ulong lsn)
    {
        var rest = pending.Read(lsn, placement.Take);
        var state = placement.State(logId, epoch);
        var replaces = placement.ReplacesTables(state);
        if (replaces) Home.BeginOver();
        placement.Place(state);
        LocalHints.Publish(Disk, Home.Path, state);
        if (replaces) Home.EndOver();
        pending.DropBefore(rest);
        var earlier = placed;
        Volatile.Write(ref placed, state);
        // Whoever opens the directory just now may still want what the state before had.
        var kept = NamesOf(state).Concat(NamesOf(earlier)).ToHashSet(StringComparer.Ordinal);
        RocksDbFiles.Remove(Disk, path, name => !kept.Contains(name));
        RemoveFetchedOfGone();
    }

    static IEnumerable<string> NamesOf(Hints state) =>
        state.Files.Where(DirectoryPlacement.IsThere).SelectMany(f => f.Names);

    /// <summary>What was fetched for a state that did not come to be.</summary>
    void RemoveFetchedOfGone()
    {
        var wanted = ahead.Files.Select(f => DirectoryPlacement.FetchedIn(Work, f)).ToHashSet(StringComparer.Ordinal);
        foreach (var fetched in Directory.EnumerateFiles(Work, "*.extent"))
            if (!wanted.Contains(fetched)) File.Delete(fetched);
    }

    /// <summary>
    /// The hints are at the log's end, and the files may be of a state before it: the first opening brings the log to
    /// the directory, as after a crash.
    /// </summary>
    public void CloseAsStore()
    {
        if (!IsWhole)
            throw new RecoveryException(RecoveryError.Invalid,
                $"{path} has no state of the RocksDB yet: the remote never had all files of one.",
                "Promote it when it does.")
            { Path = path };
        RocksDbFiles.Remove(Disk, path, name => !NamesOf(placed).Contains(name));
        Disk.SyncDirectory(path);
        var end = ahead.Snapshot(logId, epoch, static lsn => lsn + 1) with { UnixTimeMs = placed.UnixTimeMs };
        LocalHints.Publish(Disk, Home.Path, end);
        Home.ForgetCaughtUp();
        Home.EndReplica(end.Lsn);
        Dispose();
    }

    public void Dispose()
    {
        if (disposed) return;
        disposed = true;
        pending.Dispose();
        if (Directory.Exists(Work)) Directory.Delete(Work, recursive: true);
        heldRocksDb.Dispose();
        held.Dispose();
    }
}
