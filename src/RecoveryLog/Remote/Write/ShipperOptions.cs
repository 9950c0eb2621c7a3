using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.RecoveryLog.Remote.Formats;

namespace RecoveryVfs.RecoveryLog.Remote.Write;

/// <summary>How a <see cref="Shipper"/> ships.</summary>
internal sealed record ShipperOptions
{
    /// <summary>
    /// How long commits are gathered after something is there to send. One second: what a lost machine may lose with
    /// <c>durability=async</c>, at 86,400 requests a day at most.
    /// </summary>
    public TimeSpan SyncInterval { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>
    /// Record bytes at which a segment is sent without waiting: one PUT of this size keeps a link busy for its round
    /// trip.
    /// </summary>
    public int SegmentBytes { get; init; } = 4 << 20;

    /// <summary>The writer's identity, kept by the store as long as its directory lives, and never 0.</summary>
    public required ulong Author { get; init; }

    /// <summary>
    /// Whether the remote may be created when there is none: only when this store never shipped to it before.
    /// </summary>
    public bool MayCreate { get; init; }

    /// <summary>What the log is of, for a remote that is created: see <see cref="StoreObject.Holds"/>.</summary>
    public string? Holds { get; init; }

    /// <summary>
    /// Called when the remote is there and is ours, before anything is shipped to it: the time to note, durably, that
    /// it is not new any more.
    /// </summary>
    public Action? Connected { get; init; }

    /// <summary>
    /// When the local log no longer has what the remote lacks (it ran without the remote, or the queue's bound was
    /// reached and given up): go on from newer hints, leaving a gap in history, instead of stopping with an error.
    /// </summary>
    public bool MayRestart { get; init; }

    /// <summary>
    /// With <see cref="MayRestart"/>: the size of the local log at which, during an outage, what was not shipped is let
    /// go.
    /// </summary>
    public long QueueBytesMax { get; init; } = long.MaxValue;

    /// <summary>Called when that happened: the log can be dropped now.</summary>
    public Action? QueueLetGo { get; init; }

    /// <summary>
    /// Called before a gap is sent: the time to note, durably, that nothing newer can be restored until hints are
    /// published.
    /// </summary>
    public Action? Restarting { get; init; }

    /// <summary>
    /// Whether to find out at start what the object store is worth. Off only for stores already probed by this process.
    /// </summary>
    public bool Probe { get; init; } = true;

    /// <summary>Where unshipped commits go when this writer is fenced; null keeps them only in the log.</summary>
    public SalvagePlace? Salvage { get; init; }

    /// <summary>Starts the shipper's loop; by default on the thread pool.</summary>
    public Func<Func<Task>, Task> Start { get; init; } = Task.Run;
}

/// <summary>A directory for <see cref="State.SalvagedLog"/>s, and the disk that it is on.</summary>
internal sealed record SalvagePlace(ILogDisk Disk, string Directory);
