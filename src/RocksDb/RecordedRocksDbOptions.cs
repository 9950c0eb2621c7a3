using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.RocksDb;

/// <summary>When a synced write returns.</summary>
public enum RecordedDurability
{
    /// <summary>
    /// When this machine's disk has it, as RocksDB itself promises. The remote has it a moment later.
    /// </summary>
    Local,

    /// <summary>When the remote has it: a write with <c>sync</c>, or a sync of the write-ahead log.</summary>
    Remote,
}

/// <summary>How a RocksDB is recorded, and where to.</summary>
public sealed record RecordedRocksDbOptions
{
    /// <summary>
    /// Where the log goes: <c>s3://bucket/prefix</c> or <c>file:///directory</c>. Null: where it went the last time, if
    /// anywhere; <c>none</c>: nowhere.
    /// </summary>
    public string? Remote { get; init; }

    /// <summary>When a synced write returns.</summary>
    public RecordedDurability Durability { get; init; }

    /// <summary>How long writes are gathered before they are shipped.</summary>
    public TimeSpan SyncInterval { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>For how long every past state can be restored.</summary>
    public TimeSpan Retention { get; init; } = TimeSpan.FromDays(1);

    /// <summary>
    /// Log shipped since the last hints before new ones are published: about as much is replayed by a restore.
    /// </summary>
    public long HintsBytes { get; init; } = 256L << 20;

    /// <summary>
    /// After this time new hints are published although there was little log: without write-ahead logs there never is,
    /// and tables that nobody needs any more are collected after hints.
    /// </summary>
    public TimeSpan HintsInterval { get; init; } = TimeSpan.FromHours(1);

    /// <summary>The most that the local log may grow to while the remote is away; then writes fail.</summary>
    public long MaxLocalLogBytes { get; init; } = 4L << 30;

    /// <summary>For how long <see cref="RecordedRocksDb.SyncAsync"/> waits for a remote that is away.</summary>
    public TimeSpan SyncPatience { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Told, on any thread, what an operator must know and no caller waits for.</summary>
    public Action<RecoveryException>? Alarm { get; init; }
}
