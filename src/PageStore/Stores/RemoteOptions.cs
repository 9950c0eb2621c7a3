using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Remote.Collect;

namespace RecoveryVfs.PageStore.Stores;

/// <summary>How a store ships to its remote.</summary>
internal sealed record RemoteOptions
{
    /// <summary>Where to: <c>s3://bucket/prefix</c> or <c>file:///directory</c>.</summary>
    public required string Url { get; init; }

    /// <summary>How long commits are gathered before they are shipped.</summary>
    public TimeSpan SyncInterval { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>
    /// Log shipped since the last hints before new ones are published. A restore replays this much at most; what is
    /// born and dies in between is never shipped, so rare hints are cheap hints.
    /// </summary>
    public long HintsBytes { get; init; } = 256L << 20;

    /// <summary>
    /// After this time hints are published although there was little log, when anything was committed since the last;
    /// zero never. A store that writes little would otherwise keep its log from the first hints on.
    /// </summary>
    public TimeSpan HintsInterval { get; init; }

    /// <summary>
    /// What must stay restorable; null collects nothing (for programs that open a store for a moment and do not know).
    /// </summary>
    public Retention? Retention { get; init; } = new();

    /// <summary>
    /// How often the remote is restored aside and compared with the live databases; zero never. Each time costs a
    /// download of everything that lives, and as much disk for the while, so it has to be asked for.
    /// </summary>
    public TimeSpan VerifyInterval { get; init; }

    /// <summary>
    /// When the local log has reached its bound and the remote is still away: let go what was not shipped and start
    /// afresh from new hints when the remote is back, instead of failing commits. Nothing is lost here; the states in
    /// between cannot be restored from the remote.
    /// </summary>
    public bool MayRestart { get; init; }

    /// <summary>
    /// Begin a new remote although this store has shipped to one of that URL before: it was deleted on purpose.
    /// </summary>
    public bool MayCreateAgain { get; init; }

    /// <summary>Opens the object store; by default what the URL says.</summary>
    public Func<RemoteOptions, IObjectStore>? Open { get; init; }

    internal IObjectStore OpenStore(TimeProvider time, bool readOnly = false) => Open?.Invoke(this)
        ?? RemoteUrl.Parse(Url).Open(readOnly, time);
}
