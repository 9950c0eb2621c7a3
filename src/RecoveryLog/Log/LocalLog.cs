using System.Diagnostics;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.RecoveryLog.Log;

/// <summary>
/// The recovery log on the local disk: records appended one after another into segment files, made durable by one
/// fdatasync for all who wait, read back in order, dropped by whole segments. Thread-safe.
/// </summary>
/// <remarks>
/// Invariant: every segment but the newest is durable to its last record, since a segment is synced before the next one
/// gets its name. So only the newest can have lost anything when power failed, and a bad record anywhere else is
/// damage.
///
/// Locks, in the order in which they may be taken: append lock (buffer, end of the log, current segment), sync gate
/// (fdatasync of the current segment, the durable LSN, and the move to another segment), segment list, written pair.
/// Spares are prepared under a lock of their own, which may be taken inside the append lock.
/// </remarks>
internal sealed partial class LocalLog : IDisposable
{
    const long GrowthBytes = 1 << 20, SyncAheadBytes = 1 << 20;

    readonly ILogDisk disk;
    readonly string directory;
    readonly LogOptions options;
    readonly Lock appendLock = new(), syncGate = new(), writtenLock = new();
    readonly EventQueue events;
    readonly SyncLine line;
    readonly LsnWaiters writtenWaiters = new();
    readonly Func<ulong> readWritten;
    readonly DurableMark durableMark; // under the sync gate
    readonly LogClock clock;          // under the append lock

    // Under the append lock.
    readonly byte[] buffer;
    int bufferUsed;
    long bufferOffset;       // where in the file the buffer's bytes go
    long attemptedEnd;       // no byte of the file at or beyond it was ever handed to a write of ours
    long capacity;           // the prewritten size of the current segment
    long prepareAt;          // when the end passes it, the next segment is prepared
    long syncAheadAt;        // until the end passes it, nothing is synced that nobody waits for
    long reserved;           // the sum of all reservations
    bool mustRoll;           // what lies beyond the end could not be wiped: the next append needs a new segment
    ulong appendedLsn;       // like lastLsn, but counting the records of an incomplete group

    // Changed under the append lock and the sync gate together, so that either is enough to read them.
    LogSegment current;
    ILogFile file;

    ulong lastLsn, writtenLsn, durableLsn;
    long writtenEnd;         // with writtenLsn, under the written lock
    long durableEnd;         // under the sync gate
    int syncingAhead;        // 1 while that is queued or under way
    RecoveryException? poison;
    bool disposed;

    /// <summary>Goes on in a segment, whose file it takes over.</summary>
    LocalLog(ILogDisk disk, string directory, LogOptions options, SpareSegments spares, LogSegment current,
        ILogFile file)
    {
        (this.disk, this.directory, this.options) = (disk, directory, options);
        (this.spares, this.current, this.file) = (spares, current, file);
        buffer = options.ReadOnly
            ? []
            : GC.AllocateUninitializedArray<byte>(Math.Max(options.BufferBytes, 4096), pinned: true);
        events = new EventQueue(options.EventBytes);
        line = new SyncLine(SyncAll);
        segments = new SegmentList(directory, options.MaxLogBytes);
        durableMark = new DurableMark(disk, directory);
        clock = new LogClock(options.Time);
        clock.Advance(options.NotBeforeMs);
        readWritten = () => WrittenLsn;
    }

    /// <summary>The identity of the log, the same for all its life.</summary>
    public Guid LogId => current.Header.LogId;

    /// <summary>The epoch under which records are appended.</summary>
    public ulong Epoch => current.Header.Epoch;

    /// <summary>The newest record; one less than the first LSN while there is none.</summary>
    public ulong LastLsn => Volatile.Read(ref lastLsn);

    /// <summary>The time of the newest record (unix milliseconds), or the one given when the log was opened.</summary>
    public long LastTimeMs
    {
        get
        {
            lock (appendLock)
                return clock.LastMs;
        }
    }

    /// <summary>
    /// The newest record that the operating system has (survives the end of the process). Always the end of a group.
    /// </summary>
    public ulong WrittenLsn => Volatile.Read(ref writtenLsn);

    /// <summary>The newest record that survives loss of power. Always the end of a group.</summary>
    public ulong DurableLsn => Volatile.Read(ref durableLsn);

    /// <summary>The oldest record that is still there (or will be the first).</summary>
    public ulong FirstLsn => segments.FirstLsn;

    /// <summary>
    /// Where the log was damaged, and so ends (<see cref="LogOptions.UpToDamage"/>); null when it is whole.
    /// </summary>
    public RecoveryException? Damage { get; private init; }

    /// <summary>Bytes of the segment files, spares not counted.</summary>
    public long SizeBytes => segments.SizeBytes;

    /// <summary>Why the log takes no more records, or null when it does.</summary>
    public RecoveryException? Poison => Volatile.Read(ref poison);

    /// <summary>Bytes to reserve for so many records whose bodies have so many bytes together.</summary>
    public static long SpaceFor(long bodyBytes, int records) =>
        bodyBytes + (long)records * (RecordFormat.HeaderBytes + RecordFormat.Alignment - 1);

    /// <summary>
    /// Completes once <see cref="WrittenLsn"/> is at least the LSN; fails when the log is poisoned or closed before.
    /// </summary>
    public Task WhenWritten(ulong lsn, CancellationToken cancellation = default)
    {
        var task = writtenWaiters.Wait(lsn, readWritten, cancellation);
        if (!task.IsCompleted && (Poison is not null || Volatile.Read(ref disposed)))
            writtenWaiters.Fail(WhyNot);
        return task;
    }

    Exception WhyNot() => Poison is { } cause
        ? Poisoned(RecoveryError.ReadOnly, cause)
        : new ObjectDisposedException(nameof(LocalLog));

    void ThrowUnlessWritable()
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        if (options.ReadOnly)
            throw new RecoveryException(RecoveryError.ReadOnly,
                $"The log in {directory} was opened read-only.",
                "Open it for writing to append to it.")
            { Path = directory };
        if (Poison is { } cause)
            throw Poisoned(RecoveryError.ReadOnly, cause);
    }

    // A new exception each time: several threads throw it, and each needs its own stack.
    RecoveryException Poisoned(RecoveryError error, RecoveryException cause) => new(error,
        $"The log in {directory} takes no more writes since an earlier error: {cause.Message}",
        "Reopen the store to go on from what is on disk.",
        cause)
    { Path = cause.Path ?? directory, Lsn = cause.Lsn };

    /// <summary>
    /// Writes out what is buffered (without syncing it) and closes the files. Never throws; call <see cref="Sync"/>
    /// before to know that everything is durable.
    /// </summary>
    public void Dispose()
    {
        lock (appendLock)
        {
            if (disposed)
                return;
            Debug.Assert(!groupOpen, "a group must end before the log is closed");
            if (!options.ReadOnly && Poison is null)
                WriteOutQuietly();
            lock (syncGate)
            {
                Volatile.Write(ref disposed, true);
                if (!options.ReadOnly && Poison is null && DurableLsn == lastLsn && attemptedEnd <= durableEnd)
                    durableMark.Close(LogId, lastLsn);
            }
            file.Dispose();
            durableMark.Dispose();
        }
        spares.Close();
        writtenWaiters.Fail(WhyNot);
    }

    void WriteOutQuietly()
    {
        try
        {
            DrainEvents();
            Flush();
        }
        catch (RecoveryException)
        {
            // Nothing is promised of what was not synced.
        }
    }
}
