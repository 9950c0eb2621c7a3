using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.RecoveryLog.Log;

// RocksDB tells of its files while it holds locks of its own: such records wait in line, and come before whatever is
// appended next.
internal sealed partial class LocalLog
{
    /// <summary>
    /// Puts a record of RocksDB's file events in line; it is appended before whatever is appended next.
    /// </summary>
    /// <remarks>Never waits for the log, but when <see cref="LogOptions.EventBytes"/> are waiting the calling thread
    /// appends them.</remarks>
    public void EnqueueEvent(RecordKind kind, ReadOnlySpan<byte> a, ReadOnlySpan<byte> b = default)
    {
        while (!events.TryEnqueue(kind, a, b))
            AppendEvents();
    }

    /// <summary>Appends the events enqueued so far.</summary>
    public void AppendEvents()
    {
        lock (appendLock)
        {
            if (groupOpen)
                throw new InvalidOperationException(
                    "This thread is appending a record group; complete or dispose it first.");
            ThrowUnlessWritable();
            DrainEvents();
        }
    }

    /// <summary>
    /// Under the append lock, outside any group. Each event is a record of its own; on an error the rest stays in line.
    /// </summary>
    void DrainEvents()
    {
        while (!events.IsEmpty && events.TryPeek(out var kind, out var body))
        {
            drainingEvents = true;
            OpenGroup(null);
            try
            {
                Emit(kind, 0, body, default, default);
                Publish(writeOut: false);
                events.Take();
            }
            finally
            {
                FinishGroup();
                drainingEvents = false;
            }
        }
    }

    bool drainingEvents;
}
