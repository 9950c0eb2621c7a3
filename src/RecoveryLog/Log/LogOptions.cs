using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.RecoveryLog.Log;

/// <summary>How a <see cref="LocalLog"/> is opened.</summary>
internal sealed record LogOptions
{
    /// <summary>
    /// The log that is expected (another one on disk is refused), and the id of one to be created. Null: any; a random
    /// one.
    /// </summary>
    public Guid? LogId { get; init; }

    /// <summary>
    /// The first LSN of a log to be created when the directory holds none. Null: 1, and only when nothing is to be
    /// replayed; else the absence of the log is an error, never "a new, empty one".
    /// </summary>
    public ulong? CreateAt { get; init; }

    /// <summary>The epoch of a log to be created. An existing log goes on in its own.</summary>
    public ulong Epoch { get; init; } = 1;

    /// <summary>
    /// Size of a segment of a log that is written much. A move to the next costs 3 syncs that whoever appends waits
    /// for; with 4 MiB they took a tenth of the time of loading a database in WAL mode. Two of them are what an idle
    /// store keeps.
    /// </summary>
    public long SegmentBytes { get; init; } = 16 << 20;

    /// <summary>
    /// Size of a new log's first segment: small, so that making a store is quick. The next has four times as much, and
    /// so on up to <see cref="SegmentBytes"/>.
    /// </summary>
    public long FirstSegmentBytes { get; init; } = 1 << 20;

    /// <summary>
    /// The size of the segment after one of such size: segments grow with the log, so that one that is written little
    /// stays small.
    /// </summary>
    internal long SegmentBytesAfter(long fileBytes)
        => Math.Min(SegmentBytes, Math.Max(FirstSegmentBytes, fileBytes) * 4);

    /// <summary>Appended bytes held in memory before they go to the file without being asked for.</summary>
    public int BufferBytes { get; init; } = 256 << 10;

    /// <summary>
    /// The bound on the log's files. At it, appends that need a new segment fail with Full (events excepted).
    /// </summary>
    public long MaxLogBytes { get; init; } = long.MaxValue;

    /// <summary>
    /// Dropped segments kept for reuse: rewriting a file is cheaper than making one. A busy log fills some more while
    /// the page store flushes: with 5 of 16 MiB, loading took some percent longer than with 16; see
    /// <see cref="LocalLog.TrimSpares"/>.
    /// </summary>
    public int SpareSegments { get; init; } = 8;

    /// <summary>Prepare the next segment on the thread pool when the current one is half full.</summary>
    public bool PrepareInBackground { get; init; } = true;

    /// <summary>
    /// Events (<see cref="LocalLog.EnqueueEvent"/>) held before their sender has to append them itself.
    /// </summary>
    public int EventBytes { get; init; } = 1 << 20;

    /// <summary>
    /// Open for reading only: nothing on disk is changed, and another process may be writing the log.
    /// </summary>
    public bool ReadOnly { get; init; }

    /// <summary>
    /// With <see cref="ReadOnly"/>: damage is where the log ends, and <see cref="LocalLog.Damage"/> says what it is.
    /// For what is left of a disk; never for a log that goes on.
    /// </summary>
    public bool UpToDamage { get; init; }

    /// <summary>The source of the records' times.</summary>
    public TimeProvider Time { get; init; } = TimeProvider.System;

    /// <summary>
    /// No record gets an earlier time (unix milliseconds): that of the newest record before, where it is not in the log
    /// any more.
    /// </summary>
    public long NotBeforeMs { get; init; }

    /// <summary>
    /// Called for each appended record (of a group: once it is complete), in order, one at a time, under the log's
    /// append lock: it must be quick, must not throw and must not call the log. Bodies of PageCommit records are left
    /// out (empty): they are large, and who appended them has them. Not called for replayed records.
    /// </summary>
    public RecordTaken? OnAppended { get; init; }
}
