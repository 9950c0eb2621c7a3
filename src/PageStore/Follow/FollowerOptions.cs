using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Writing;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.Read;
using RecoveryVfs.RecoveryLog.Remote.Write;

namespace RecoveryVfs.PageStore.Follow;

/// <summary>How a follower follows.</summary>
public sealed record FollowerOptions
{
    /// <summary>The remote to follow: <c>s3://bucket/prefix</c> or <c>file:///directory</c>.</summary>
    public required string Url { get; init; }

    /// <summary>The replica's directory, and how much memory it may use.</summary>
    public required StoreOptions Store { get; init; }

    /// <summary>How often an idle follower looks for more: one small request each time.</summary>
    public TimeSpan Interval { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>Log applied before it is brought into files: a restart repeats this much at most.</summary>
    public long SettleBytes { get; init; } = 64L << 20;

    /// <summary>The longest time before what was applied is brought into files.</summary>
    public TimeSpan SettleInterval { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>
    /// How long the remote keeps what a stopped follower needs to go on (its pin's expiry); zero holds no pin, and the
    /// remote's own retention is what there is. Without the right to write to the remote there is no pin either; a
    /// follower that comes too late starts over.
    /// </summary>
    public TimeSpan PinExpiry { get; init; } = TimeSpan.FromDays(1);

    /// <summary>
    /// When the pages of a new follower come: all before it is read, or each when it is read. A directory that has
    /// begun so goes on so; with <see cref="FetchMode.All"/> the rest comes in the background.
    /// </summary>
    public FetchMode Fetch { get; init; }

    /// <summary>
    /// With <see cref="FetchMode.Lazy"/>: how many bytes of files that are not whole are kept here; what was not used
    /// for long is fetched again when it is read.
    /// </summary>
    public long FetchCacheBytes { get; init; } = long.MaxValue;

    /// <summary>
    /// The moment that is shown, which does not move; by default the newest state, which does.
    /// </summary>
    internal RestoreTarget Moment { get; init; }

    internal bool IsOfMoment => Moment != RestoreTarget.Newest;

    /// <summary>Extents fetched at a time when it starts over.</summary>
    public int Parallelism { get; init; } = 8;

    /// <summary>Opens the object store; by default what the URL says.</summary>
    internal Func<IObjectStore>? Open { get; init; }

    internal RemoteContext NewContext(bool readOnly) => RemoteContext.Of(
        Open?.Invoke() ?? RemoteUrl.Parse(Url).Open(readOnly, Store.Time), Store.Time, Store.Directory);
}

/// <summary>What a follower is doing.</summary>
public enum FollowerPhase
{
    /// <summary>It was started with what its directory has, and has not reached the remote yet.</summary>
    Connecting,
    /// <summary>It reads what came while it was not there.</summary>
    CatchingUp,
    /// <summary>It was at the end of the log when it last looked.</summary>
    Following,
    /// <summary>The remote cannot be reached, or cannot be read; it tries on, and serves what it has.</summary>
    Interrupted,
    /// <summary>
    /// It has to start over from hints, and does so as soon as nobody reads; it does not wait for new readers for ever.
    /// </summary>
    StartingOver,
    /// <summary>It gave up; the last error says why.</summary>
    Failed,
    /// <summary>It was stopped, or promoted.</summary>
    Stopped,
    /// <summary>It shows a moment of the past, and stays there.</summary>
    Still,
}

/// <summary>What operators watch of a follower.</summary>
public sealed record FollowerState
{
    /// <summary>What it is doing.</summary>
    public FollowerPhase Phase { get; init; }

    /// <summary>The last LSN applied: readers see everything up to here.</summary>
    public ulong Lsn { get; init; }

    /// <summary>When that was written, by the writer's clock; null before anything was applied.</summary>
    public DateTimeOffset? LsnTime { get; init; }

    /// <summary>Records that are known to be in the remote and were not applied yet.</summary>
    public long LagRecords { get; init; }

    /// <summary>Bytes of the remote that are known and were not applied yet.</summary>
    public long LagBytes { get; init; }

    /// <summary>
    /// How far what readers see lies behind, at most: zero when everything was applied when it last looked, and that
    /// was just now; else the time since it was known to be complete.
    /// </summary>
    public TimeSpan Lag { get; init; }

    /// <summary>When it last was at the end of the log, before it was started too.</summary>
    public DateTimeOffset? CaughtUpAt { get; init; }

    /// <summary>Record groups applied since it was started.</summary>
    public long Groups { get; init; }

    /// <summary>The newest error, while it lasts.</summary>
    public RecoveryException? LastError { get; init; }

    /// <summary>
    /// How often it started over from hints since it was started, the first time in an empty directory not counted.
    /// </summary>
    public int StartedOver { get; init; }

    /// <summary>Why it holds no pin in the remote; null when it does or is not to.</summary>
    public string? PinError { get; init; }

    /// <summary>Whether its first pins were put, or could not be.</summary>
    internal bool IsPinned { get; init; }
}

/// <summary>What a promotion came to.</summary>
/// <param name="Lsn">The last LSN that was taken over: every commit up to it is here.</param>
/// <param name="Epoch">The new writer's tenure.</param>
/// <param name="EarlierAuthor">Who wrote before; what it committed and did not ship is not here.</param>
/// <param name="LastTime">When the last record before the takeover was written.</param>
public sealed record Promotion(ulong Lsn, ulong Epoch, ulong EarlierAuthor, DateTimeOffset? LastTime);
