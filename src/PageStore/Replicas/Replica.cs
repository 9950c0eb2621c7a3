using RecoveryVfs.PageStore.Files;
using RecoveryVfs.PageStore.Lazy;
using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.PageStore.Rocks;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Wals;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.PageStore.Replicas;

/// <summary>
/// A directory that follows another store's log: it applies its records and keeps what they make. A restore is a
/// replica that stops at some LSN; a follower is one that does not. Records are applied by one thread.
/// </summary>
internal sealed class Replica : IDisposable
{
    const int CreatedMax = 4096;

    readonly StoreCore core;
    readonly IDisposable? storeLock;
    readonly PlainReplay plain;
    readonly ReplayedStore replayed;
    readonly StoreHome.Unsettled unsettled;
    readonly List<ulong> created = [];
    ulong wholeAt;
    bool disposed;
    int unlinkAt = CreatedMax;

    /// <summary>
    /// Opens a replica: an empty directory (which then needs the log from LSN 1 on), one that <see cref="Begin"/> made
    /// of hints, or one that was a replica before. Continue with the record <see cref="NextLsn"/>.
    /// </summary>
    public static Replica Open(StoreOptions options)
    {
        if (options.Home.IsStartingOver) options.Home.ThrowUnlessOwn();
        return Open(options, null);
    }

    /// <param name="options">The replica.</param>
    /// <param name="taken">The directory's lock, when the caller has it; it is the replica's then.</param>
    internal static Replica Open(StoreOptions options, IDisposable? taken)
    {
        var home = options.Home;
        home.ThrowIfOfRocksDb();
        home.Create();
        if (home.HasLog)
            throw new RecoveryException(RecoveryError.Invalid,
                $"The store {options.Directory} has a log of its own: it is not a replica.",
                "Give the replica an empty directory.")
            { Path = options.Directory };
        home.BeginReplica();
        var storeLock = taken ?? StoreLock.TakeFor(options);
        StoreCore? core = null;
        try
        {
            (core, var recorder) = StoreOpening.OpenCore(options);
            return new Replica(core, recorder, storeLock);
        }
        catch
        {
            core?.Dispose();
            storeLock?.Dispose();
            throw;
        }
    }

    Replica(StoreCore core, FileRecorder? recorder, IDisposable? storeLock)
    {
        (this.core, this.storeLock) = (core, storeLock);
        var hints = core.LoadHints();
        unsettled = core.Home.OpenUnsettled();
        plain = new PlainReplay(core.Options.Disk, core.Home.Files, hints);
        try
        {
            // With later records in the files, there is nothing to compare them with.
            if (unsettled.Lsn == 0) plain.Verify(null, null);
            recorder?.AttachReplica(core.Live);
        }
        catch
        {
            plain.Dispose();
            unsettled.Dispose();
            throw;
        }
        wholeAt = Math.Max(Math.Max(unsettled.Lsn, core.Pages.Applied), core.HintsLsn);
        replayed = new ReplayedStore(core, hints, plain.Take);
    }

    /// <summary>
    /// Makes a replica's directory out of a remote's hints: the caller has put the RocksDB files they list into
    /// `pages/`; the plain files' bytes are written here.
    /// </summary>
    public static void Begin(StoreOptions options, Hints hints)
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
        LocalHints.Publish(options.Disk, options.Directory, hints with { Files = [.. hints.Files.Select(Kept)] });
    }

    /// <summary>What local hints say of a file whose bytes are beside them.</summary>
    static LiveFile Kept(LiveFile file) => file.Class == FileClass.Plain
        ? file with { Bytes = default, Sha256 = default, Sums = ChunkSums.Of(file.Bytes.Span) }
        : file with { Sha256 = default };

    /// <summary>The files that come when they are read; null when all were here at the opening.</summary>
    internal LazyFiles? Lazy => core.Absent as LazyFiles;

    /// <summary>What readers go through.</summary>
    internal ReplayedStore Replayed => replayed;

    internal Catalog Catalog => core.Catalog;

    /// <summary>
    /// What is committed in the WALs that it keeps, for readers; the records applied from now on are to be taken by it.
    /// </summary>
    internal FollowedWals OpenWals() => new(core.Live, replayed.LastLsn, file =>
    {
        var (disk, path) = (core.Options.Disk, core.Home.FileOf(file.Fnode));
        return disk.Exists(path) ? new FollowedWal(disk.Open(path, LogFileMode.Read), core.Home.Spill) : null;
    });

    /// <summary>The replica's directory.</summary>
    public string Directory => core.Directory;

    /// <summary>The database of that name, or null.</summary>
    public Database? Find(string name) => core.Catalog.Find(name);

    /// <summary>All databases, by name.</summary>
    public IReadOnlyList<Database> Databases => core.Catalog.All;

    /// <summary>The next record that it needs.</summary>
    public ulong NextLsn => replayed.NextLsn;

    /// <summary>
    /// Whether what it holds is one state of its log. After a crash its files may hold parts of later records; it is
    /// whole again when those were applied once more.
    /// </summary>
    public bool IsWhole => replayed.LastLsn >= wholeAt;

    /// <summary>Whose log is followed; zeros when that is not known yet.</summary>
    internal Guid SourceLogId => replayed.LogId;

    /// <summary>Says whose log is followed; kept in the hints.</summary>
    public void SetSource(Guid logId, ulong epoch) => replayed.SetSource(logId, epoch);

    /// <summary>
    /// Says up to which LSN records are about to be applied: should that break off, the replica is not whole before it
    /// has them again.
    /// </summary>
    public void Announce(ulong lsn) => unsettled.Raise(lsn);

    /// <summary>
    /// Throws when a plain file is not what its hints and the records applied since say. Asked by who began with files
    /// that were newer than the hints.
    /// </summary>
    public void ThrowIfPlainDamaged() => plain.Verify(null, null);

    /// <summary>
    /// The caller knows that there was never anything after the last record applied: so nothing of it can be here.
    /// </summary>
    public void DeclareWhole() => wholeAt = 0;

    /// <summary>
    /// Applies the next record of the followed log; called by one thread. A group is published to readers with its last
    /// record. Waits when the page store lags.
    /// </summary>
    public void Apply(in Record record)
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        if (record.Lsn == NextLsn && record.Lsn > unsettled.Lsn) Announce(record.Lsn);
        replayed.Apply(record);
        if (record.Kind == RecordKind.FileCreated) NoteCreated(FileRecords.ReadCreated(record.Body));
    }

    /// <summary>
    /// Files that came since it was settled last, and live no more, are made again by a replay from there. As a rule
    /// they stay until it is settled; but a few bytes of log make one, and a disk has room for so many.
    /// </summary>
    void NoteCreated((ulong Fnode, FileClass Class, string Name) file)
    {
        if (file.Class != FileClass.Plain) return;
        created.Add(file.Fnode);
        if (created.Count < unlinkAt) return;
        created.RemoveAll(fnode =>
        {
            if (core.Live.ClassOf(fnode) is not null) return false;
            plain.Forget(fnode);
            core.Options.Disk.Delete(core.Home.FileOf(fnode));
            return true;
        });
        unlinkAt = created.Count + CreatedMax;
    }

    /// <summary>
    /// Brings everything applied into files, so that the replica goes on from here when it is opened again. Called by
    /// the applying thread, between groups.
    /// </summary>
    public void Settle()
    {
        var lsn = replayed.LastLsn;
        if (replayed.IsInGroup)
            throw new InvalidOperationException(
                $"The replica {Directory} stands in the middle of a group, at LSN {lsn}.");
        if (lsn <= core.HintsLsn && core.Pages.PersistedApplied == core.Pages.Applied && core.Pending.Count == 0)
            return;
        replayed.Drain();
        core.Pages.Flush();
        plain.SyncAll();
        var hints = core.Live.Snapshot(replayed.LogId, replayed.Epoch, _ => lsn + 1);
        hints = hints with
        {
            UnixTimeMs = replayed.LastTimeMs,
            Files = [.. hints.Files.Select(f => f.Class
                == FileClass.Plain ? f with { Sums = plain.TakeSums(f.Fnode) } : f)],
        };
        LocalHints.Publish(core.Options.Disk, Directory, hints);
        if (IsWhole) unsettled.Remove();
        replayed.SettledLsn = hints.Lsn;
        created.Clear();
        unlinkAt = CreatedMax;
        UnlinkGone(hints);
    }

    /// <summary>
    /// Plain files that the followed store has deleted: a replay from these hints on does not need them.
    /// </summary>
    void UnlinkGone(Hints hints)
    {
        var (disk, files) = (core.Options.Disk, core.Home.Files);
        var kept = hints.Files.Where(f => f.Class == FileClass.Plain).Select(f => f.Fnode.ToString("x16"))
            .ToHashSet(StringComparer.Ordinal);
        foreach (var name in disk.List(files))
            if (!kept.Contains(name)) disk.Delete(Path.Combine(files, name));
    }

    /// <summary>
    /// Closes a replica so that the directory opens as a store of its own, whose log begins after the last record
    /// applied. With <paramref name="mayBeLazy"/> some of its bytes may still be in the remote.
    /// </summary>
    public void CloseAsStore(bool mayBeLazy = false)
    {
        if (!IsWhole)
            throw new RecoveryException(RecoveryError.Invalid,
                $"The replica {Directory} was killed while it applied its remote's log, stands at LSN "
                    + $"{replayed.LastLsn}, and is whole again only at LSN {wholeAt}.",
                "Bring it there first: give the remote's URL.")
            { Path = Directory, Lsn = replayed.LastLsn };
        if (!mayBeLazy) core.Home.ThrowIfLazy();
        core.Home.MakeDurable();
        Settle();
        // What was made without waiting for a disk.
        if (mayBeLazy) core.Home.SyncAll();
        core.Home.ForgetCaughtUp();
        core.Home.EndReplica(replayed.LastLsn);
        core.Home.DeleteRelay();
        Dispose();
    }

    /// <summary>
    /// Reads every page of a database, or of all, and checks the checksums; returns one line a problem.
    /// </summary>
    public IReadOnlyList<string> Verify(Database? database, CancellationToken cancellation,
        Action<long>? progressed = null) =>
        core.Verify(database, cancellation, progressed);

    /// <summary>Names and values for status reports.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> Status() => replayed.Status();

    /// <summary>While it lasts, RocksDB deletes no file.</summary>
    internal IDisposable? HoldFiles() => RocksPageStore.FilesOf(core.Pages)?.HoldFiles();

    /// <summary>Closes it. From the middle of a group it goes back to where it was settled last.</summary>
    public void Dispose()
    {
        if (disposed) return;
        disposed = true;
        try
        {
            if (!replayed.IsInGroup) Settle();
        }
        catch (RecoveryException)
        {
            // Everything is in the followed log; the next open applies it and meets the error again if it lasts.
        }
        plain.Dispose();
        unsettled.Dispose();
        replayed.Dispose();
        storeLock?.Dispose();
    }
}
