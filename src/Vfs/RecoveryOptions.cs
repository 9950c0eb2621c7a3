using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs;

/// <summary>How readers and writers of a database meet.</summary>
public enum Isolation
{
    /// <summary>Readers keep the version they started with; nobody blocks anybody but a second writer.</summary>
    Snapshot,
    /// <summary>
    /// As stock SQLite does in rollback modes: a reader holds a committing writer off, and the other way round.
    /// </summary>
    Locking,
}

/// <summary>Where rollback journals are kept.</summary>
public enum JournalPlace
{
    /// <summary>Privately in memory (large ones in an unlinked file): a commit is atomic without them.</summary>
    Auto,
    /// <summary>As plain files in the store, recorded in the log.</summary>
    Plain,
}

/// <summary>When a COMMIT returns.</summary>
public enum Durability
{
    /// <summary>
    /// When the commit is as durable on this machine as <c>PRAGMA synchronous</c> says; the remote follows within the
    /// sync interval.
    /// </summary>
    Async,
    /// <summary>When it can be restored from the remote.</summary>
    Remote,
}

/// <summary>What a database's URI may say.</summary>
public enum UriOptions
{
    /// <summary>
    /// Every option. Whoever may run ATTACH may then say where a store without a remote ships to, and which directory
    /// is opened as a store.
    /// </summary>
    All,
    /// <summary>
    /// Only what concerns its own connection (<c>isolation</c>, <c>journal</c>, a stronger <c>durability</c>): for
    /// programs that run SQL of others.
    /// </summary>
    Safe,
}

/// <summary>
/// What can be chosen, with the same names everywhere: as a URI parameter
/// (<c>file:a.db?vfs=recovery&amp;isolation=locking</c>), in the environment (<c>RECOVERY_ISOLATION</c>), in the
/// store's <c>config</c> file (<c>isolation = locking</c>), or here. A URI goes before the store's config, that before
/// the environment, that before what is given to <see cref="Recovery.Register(RecoveryOptions?, bool)"/>. What concerns
/// a whole store counts when its first connection opens it. A remote that a store has, or that its config, the
/// environment or the program names, is not changed by a URI.
/// </summary>
public sealed record RecoveryOptions
{
    /// <summary>
    /// What URIs may say, for the whole process; also <c>RECOVERY_URI_OPTIONS=safe</c>. Neither a URI nor a store's
    /// config can change it.
    /// </summary>
    public UriOptions UriOptions { get; init; }

    /// <summary><c>store</c>: the store's directory; null for <c>.recovery</c> beside the database.</summary>
    public string? Store { get; init; }

    /// <summary><c>isolation</c>: <c>snapshot</c> or <c>locking</c>.</summary>
    public Isolation Isolation { get; init; }

    /// <summary><c>journal</c>: <c>auto</c> or <c>plain</c>.</summary>
    public JournalPlace Journal { get; init; }

    /// <summary>
    /// <c>page-cache</c>: bytes of newest pages kept in memory, for a whole store (K, M and G are understood).
    /// </summary>
    public long PageCacheBytes { get; init; } = 64L << 20;

    /// <summary>
    /// <c>overlay-budget</c>: bytes of uncommitted pages kept in memory before they spill to disk, for a whole store.
    /// </summary>
    public long OverlayBytes { get; init; } = UsualOverlayBytes;

    internal const long UsualOverlayBytes = 64L << 20;

    /// <summary><c>pending-budget</c>: bytes of committed pages that may wait to enter the page store.</summary>
    public long PendingBytes { get; init; } = 32L << 20;

    /// <summary>
    /// <c>wal-buffer</c>: memory for the ends of all WALs: what is not committed yet, and what the log has and their
    /// files do not yet. One takes at most half.
    /// </summary>
    public long WalBufferBytes { get; init; } = 64L << 20;

    /// <summary><c>max-local-log</c>: the most bytes that the local log may grow to; commits fail beyond it.</summary>
    public long MaxLocalLogBytes { get; init; } = 4L << 30;

    /// <summary>
    /// <c>remote</c>: <c>s3://bucket/prefix</c> or <c>file:///directory</c> to ship to. A store remembers it;
    /// <c>none</c> stops it.
    /// </summary>
    public string? Remote { get; init; }

    /// <summary><c>durability</c>: <c>async</c>, or <c>remote</c>: a COMMIT returns when the remote has it.</summary>
    public Durability Durability { get; init; }

    /// <summary><c>sync-interval</c>: how long commits are gathered before they are shipped, in milliseconds.</summary>
    public TimeSpan SyncInterval { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>
    /// <c>hints-bytes</c>: log shipped between hints, which is the most that a restore has to replay.
    /// </summary>
    public long HintsBytes { get; init; } = 256L << 20;

    /// <summary>
    /// <c>snapshot-interval</c>: hours after which hints are published although there was little log, when anything was
    /// committed since the last; 0 never.
    /// </summary>
    public TimeSpan SnapshotInterval { get; init; } = TimeSpan.FromDays(1);

    /// <summary><c>retention</c>: how far back every commit stays restorable, in hours.</summary>
    public TimeSpan Retention { get; init; } = TimeSpan.FromDays(1);

    /// <summary>
    /// <c>verify-interval</c>: how often the remote is restored aside and compared with the live databases, in hours; 0
    /// never. Off unless asked for: it downloads everything that lives, which may cost money, and needs as much disk
    /// for the while.
    /// </summary>
    public TimeSpan VerifyInterval { get; init; }

    /// <summary>
    /// <c>restart-remote</c>: <c>on</c> lets commits go on when the local log has reached its bound while the remote is
    /// away, by giving up the unshipped log and shipping fresh hints later; <c>off</c> fails them.
    /// </summary>
    public bool RestartRemote { get; init; }

    /// <summary>
    /// <c>auto-restore</c>: <c>on</c> restores a store whose local directory is gone from its remote before it opens.
    /// </summary>
    public bool AutoRestore { get; init; }

    /// <summary>
    /// <c>auto-restore=lazy</c>, with <see cref="AutoRestore"/>: such a store is opened, and may be written, before all
    /// of its pages are here. What is read comes when it is read, and the rest meanwhile. A first connection that only
    /// reads restores all.
    /// </summary>
    public bool AutoRestoreLazily { get; init; }

    /// <summary>
    /// <c>follow</c>: the remote that the store's directory follows; its databases are read only then, and move forward
    /// by themselves.
    /// </summary>
    public string? Follow { get; init; }

    /// <summary><c>follow-interval</c>: how often an idle follower looks for more, in milliseconds.</summary>
    public TimeSpan FollowInterval { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>
    /// <c>fetch</c>, with <see cref="Follow"/>: <c>all</c> brings in all pages before anything is read, <c>lazy</c>
    /// those that are read when they are read, <c>background</c> the rest, too, meanwhile.
    /// </summary>
    public FetchMode Fetch { get; init; }

    /// <summary>
    /// <c>lsn</c>, with <see cref="Follow"/>: the state after this LSN is shown, and does not move; null follows on.
    /// </summary>
    public ulong? Lsn { get; init; }

    /// <summary>
    /// <c>timestamp</c>, with <see cref="Follow"/>: the state at this time is shown, and does not move; null follows
    /// on.
    /// </summary>
    public DateTimeOffset? Timestamp { get; init; }

    /// <summary>
    /// <c>fetch-cache</c>, with <c>fetch=lazy</c>: how many bytes of files that are not whole are kept here; what was
    /// not used for long is fetched again when it is read. No bound by default.
    /// </summary>
    public long FetchCacheBytes { get; init; } = long.MaxValue;

    /// <summary>
    /// <c>sql-socket</c>: whether the process that has the store open runs the statements of its user's other processes
    /// (<c>recovery sql --write</c>).
    /// </summary>
    public bool SqlSocket { get; init; } = true;

    /// <summary>
    /// <c>metrics-listen</c>: where <c>/metrics</c>, <c>/health</c> and <c>/ready</c> are answered while the store is
    /// open: <c>127.0.0.1:9091</c>, or <c>:9091</c> for this machine only. Null for nowhere. Not to be set by a URI.
    /// </summary>
    public string? MetricsListen { get; init; }

    /// <summary>
    /// <c>pages</c>: <c>rocksdb</c>, or <c>memory</c> for tests and small throw-away stores (the log is written all the
    /// same).
    /// </summary>
    public bool PagesInMemory { get; init; }

    /// <summary><c>linger</c>: how long a store stays open after its last connection, in milliseconds.</summary>
    public TimeSpan Linger { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>
    /// <c>lock-timeout</c>: how long opening waits for another process that has the store, in milliseconds. Longer than
    /// <c>linger</c>.
    /// </summary>
    public TimeSpan LockTimeout { get; init; } = TimeSpan.FromSeconds(2.5);

    /// <summary>The source of time; not to be set by name.</summary>
    public TimeProvider Time { get; init; } = TimeProvider.System;

    internal StoreOptions ToStoreOptions(string directory) => new()
    {
        Directory = directory,
        PageCacheBytes = PageCacheBytes,
        OverlayBytes = OverlayBytes,
        PendingBytes = PendingBytes,
        WalBufferBytes = WalBufferBytes,
        MaxLocalLogBytes = MaxLocalLogBytes,
        PagesInMemory = PagesInMemory,
        Remote = RemoteOf(directory) is { } url
            ? new RemoteOptions
            {
                Url = url,
                SyncInterval = SyncInterval,
                HintsBytes = HintsBytes,
                HintsInterval = SnapshotInterval,
                Retention = new() { Keep = Retention },
                VerifyInterval = VerifyInterval,
                MayRestart = RestartRemote,
            }
            : null,
        Alarm = static e => Failures.Report(Sqlite.Warning, e.Message),
        Time = Time,
    };

    /// <summary>
    /// The remote given, or the one that the store has shipped to before: to stop shipping takes a word, not the lack
    /// of one.
    /// </summary>
    string? RemoteOf(string directory)
    {
        if (Remote == "none") return null;
        if (Remote is not null) return Remote;
        return new StoreHome(directory).RemoteUrl;
    }
}

/// <summary>What came with one open: URI parameters, ours and SQLite's.</summary>
internal sealed record OpenParameters
{
    public static readonly OpenParameters None = new();

    public IReadOnlyList<KeyValuePair<string, string>> Values { get; init; } = [];
    public bool PowersafeOverwrite { get; init; } = true;
    public bool NoLock { get; init; }
    public bool Immutable { get; init; }

    /// <summary>Whether the URI says <c>vfs=</c>.</summary>
    public bool NamesVfs { get; init; }

    /// <summary>The value of one of our parameters, or null.</summary>
    public string? Value(string name) => Values.LastOrDefault(v => v.Key == name).Value;

    /// <summary>Whether SQLite takes no locks: what it reads must not change while it is open.</summary>
    public bool IsLockFree => NoLock || Immutable;
}
