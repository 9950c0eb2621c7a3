using RecoveryVfs.PageStore.Commits;
using RecoveryVfs.PageStore.Files;
using RecoveryVfs.PageStore.Replicas;
using RecoveryVfs.PageStore.Rocks;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.PageStore.Stores;

// A store that has no log of its own: it applies the records of another store's log, and serves readers. A restore is a replica that
// stops at some LSN; a follower is one that does not.
public sealed partial class Store
{
    StoreReplay? replicaReplay;
    PlainReplay? replicaPlain;
    StoreHome.Unsettled? unsettled;
    ulong replicaLsn, wholeAt;
    long replicaTimeMs;
    bool isInGroup;

    /// <summary>Whether this store only applies another one's log.</summary>
    public bool IsReplica => replicaReplay is not null;

    /// <summary>The next record that a replica needs.</summary>
    public ulong NextLsn => replicaLsn + 1;

    /// <summary>
    /// Whether what a replica holds is one state of its log. After a crash its files may hold parts of later records; it is whole again when those
    /// were applied once more.
    /// </summary>
    public bool IsWhole => replicaLsn >= wholeAt;

    /// <summary>
    /// Opens a replica: an empty directory (which then needs the log from LSN 1 on), one that <see cref="BeginReplica"/> made of hints, or one that
    /// was a replica before. Continue with the record <see cref="NextLsn"/>.
    /// </summary>
    public static Store OpenReplica(StoreOptions options)
    {
        if (options.Home.IsStartingOver) options.Home.ThrowUnlessOwn();
        return OpenReplica(options, null);
    }

    /// <param name="options">The replica.</param>
    /// <param name="taken">The directory's lock, when the caller has it; it is the store's then.</param>
    internal static Store OpenReplica(StoreOptions options, IDisposable? taken)
    {
        var home = options.Home;
        home.Create();
        if (home.HasLog)
            throw new RecoveryException(RecoveryError.Invalid,
                $"The store {options.Directory} has a log of its own: it is not a replica. Give the replica an empty directory.");
        home.BeginReplica();
        return OpenDirectory(options, static (store, recorder) => store.StartReplica(recorder), taken);
    }

    /// <summary>Which files and databases live at the last record applied.</summary>
    internal LiveFiles Live => live;

    /// <summary>
    /// Makes a replica's directory out of a remote's hints: the caller has put the RocksDB files they list into `pages/` and writes the plain files'
    /// bytes through here.
    /// </summary>
    public static void BeginReplica(StoreOptions options, Hints hints)
    {
        var home = options.Home;
        home.Create();
        home.BeginReplica();
        foreach (var file in hints.Files.Where(f => f.Class == FileClass.Plain))
        {
            using var target = options.Disk.Open(home.FileOf(file.Fnode), LogFileMode.Create);
            if (file.Bytes.Length > 0) target.Write(0, file.Bytes.Span);
            target.SyncData();
        }
        options.Disk.SyncDirectory(home.Files);
        LocalHints.Publish(options.Disk, options.Directory, hints with
        {
            Files = [.. hints.Files.Select(f => f.Class == FileClass.Plain ? f with { Bytes = default, Sha256 = default, Sums = ChunkSums.Of(f.Bytes.Span) } : f with { Sha256 = default })],
        });
    }

    void StartReplica(FileRecorder? recorder)
    {
        var hints = LoadHints();
        replicaLsn = ReplayFrom(hints, pages.Applied) - 1;
        replicaTimeMs = hints?.UnixTimeMs ?? 0;
        replicaReplay = new StoreReplay(this, pages.Applied, hintsLsn);
        replicaPlain = new PlainReplay(options.Disk, home.Files, hints);
        replicaLogId = hints?.LogId ?? default;
        replicaEpoch = hints?.Epoch ?? 0;
        unsettled = home.OpenUnsettled();
        // With later records in the files, there is nothing to compare them with.
        if (unsettled.Lsn == 0) replicaPlain.Verify(null, null);
        wholeAt = Math.Max(Math.Max(unsettled.Lsn, pages.Applied), hintsLsn);
        recorder?.AttachReplica(live);
        applier = new Applier(new PageApplier(pages, pending), static _ => { }, pending, static () => { });
    }

    /// <summary>Whose log is followed; zeros when that is not known yet.</summary>
    internal Guid SourceLogId => replicaLogId;

    Guid replicaLogId;
    ulong replicaEpoch;

    /// <summary>Says whose log is followed; kept in the hints.</summary>
    public void SetReplicaSource(Guid logId, ulong epoch)
    {
        if (replicaLogId != default && replicaLogId != logId)
            throw new RecoveryException(RecoveryError.Invalid,
                $"The replica {Directory} follows the log {replicaLogId}, not {logId}. Give the replica of another store a directory of its own.");
        replicaLogId = logId;
        replicaEpoch = epoch;
    }

    /// <summary>Says up to which LSN records are about to be applied: should that break off, the replica is not whole before it has them again.</summary>
    public void Announce(ulong lsn) => unsettled!.Raise(lsn);

    /// <summary>The caller knows that there was never anything after the last record applied: so nothing of it can be here.</summary>
    public void DeclareWhole() => wholeAt = 0;

    /// <summary>
    /// Applies the next record of the followed log; called by one thread. A group is published to readers with its last record. Waits when the page
    /// store lags.
    /// </summary>
    public void Apply(in Record record)
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        if (record.Lsn != NextLsn)
            throw new RecoveryException(RecoveryError.Invalid, $"The replica {Directory} needs LSN {NextLsn} next and was given {record.Lsn}.");
        if (record.Kind == RecordKind.PageCommit) pending.WaitForRoom(applier!.Retry);
        // An error below leaves it so.
        isInGroup = true;
        if (record.Lsn > unsettled?.Lsn) Announce(record.Lsn);
        if (record.Lsn > hintsLsn)
        {
            live.ApplyOfOther(record);
            replicaPlain?.Take(record, live);
            viewedWals?.Take(record, live);
        }
        if (record.Lsn > hintsLsn || record.Kind is RecordKind.PageCommit or RecordKind.DatabaseDeleted) replicaReplay!.Take(record);
        replicaLsn = record.Lsn;
        replicaTimeMs = Math.Max(replicaTimeMs, record.UnixTimeMs);
        isInGroup = record.Continues;
    }

    /// <summary>
    /// Brings everything applied into files, so that the replica goes on from here when it is opened again. Called by the applying thread, between
    /// groups.
    /// </summary>
    public void Settle()
    {
        if (isInGroup) throw new InvalidOperationException($"The replica {Directory} stands in the middle of a group, at LSN {replicaLsn}.");
        if (replicaLsn <= hintsLsn && pages.PersistedApplied == pages.Applied && pending.Count == 0) return;
        applier!.Drain();
        pages.Flush();
        replicaPlain!.SyncAll();
        var hints = live.Snapshot(replicaLogId, replicaEpoch, _ => replicaLsn + 1);
        hints = hints with { UnixTimeMs = replicaTimeMs, Files = [.. hints.Files.Select(f => f.Class == FileClass.Plain ? f with { Sums = replicaPlain.TakeSums(f.Fnode) } : f)] };
        LocalHints.Publish(options.Disk, Directory, hints);
        if (IsWhole) unsettled!.Remove();
        settledLsn = hints.Lsn;
        UnlinkGone(hints);
        SettleRelay();
    }

    /// <summary>Plain files that the followed store has deleted: a replay from these hints on does not need them.</summary>
    void UnlinkGone(Hints hints)
    {
        var kept = hints.Files.Where(f => f.Class == FileClass.Plain).Select(f => f.Fnode.ToString("x16")).ToHashSet(StringComparer.Ordinal);
        foreach (var name in options.Disk.List(home.Files))
            if (!kept.Contains(name)) options.Disk.Delete(Path.Combine(home.Files, name));
    }

    ulong settledLsn;

    /// <summary>
    /// Closes a replica so that the directory opens as a store of its own, whose log begins after the last record applied.
    /// </summary>
    public void CloseAsStore()
    {
        if (!IsWhole)
            throw new RecoveryException(RecoveryError.Invalid,
                $"The replica {Directory} was killed while it applied its remote's log, stands at LSN {replicaLsn}, and is whole again only at LSN {wholeAt}. Bring it there first: give the remote's URL.");
        Settle();
        home.ForgetCaughtUp();
        home.EndReplica(replicaLsn);
        CloseRelay();
        home.DeleteRelay();
        Dispose();
    }

    /// <summary>
    /// In a directory that a restore left: takes over the remote it came from, if it is to write there, and says where the log begins and in which epoch.
    /// </summary>
    (Hints? Hints, ulong? CreateAt, ulong Epoch) BeginAfterRestore(Hints? hints)
    {
        var first = home.FirstLsnAfterRestore(hints);
        if (first is null || hints is null) return (hints, null, 1);
        if (options.Remote is null || StoreTakeOver.Run(options, hints) is not { } end) return (hints, first, Math.Max(1, hints.Epoch));
        // The record that says so is in the remote; here, the hints step over it.
        home.AddRemote(options.Remote.Url);
        hints = hints with { Lsn = end.LastLsn, ReplayFrom = end.NextLsn, Epoch = end.Epoch };
        LocalHints.Publish(options.Disk, Directory, hints);
        home.NoteRestored(hints.Lsn);
        hintsLsn = hints.Lsn;
        replayFrom = hints.ReplayFrom;
        live.Load(hints);
        return (hints, end.NextLsn, end.Epoch);
    }
}
