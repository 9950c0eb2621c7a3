using System.Buffers;
using RecoveryVfs.Changes;
using RecoveryVfs.Changes.Lines;

namespace RecoveryVfs.Tail;

/// <summary>How far whoever reads our lines has come.</summary>
interface IConsumer
{
    /// <summary>Lines up to this one are about to be handed over.</summary>
    void Sending(LineId last);

    /// <summary>
    /// Whether it is done with lines: the last is <paramref name="last"/>, and they end after so many bytes of all that
    /// are handed over now.
    /// </summary>
    bool HasTaken(LineId last, long endBytes, long handedOver);
}

/// <summary>A consumer that has what it took from the pipe.</summary>
sealed class PipeConsumer(Stream output) : IConsumer
{
    public void Sending(LineId last)
    {
        // The pipe tells.
    }

    public bool HasTaken(LineId last, long endBytes, long handedOver)
        => endBytes <= handedOver - (output is StandardStream ? StandardStream.UnreadBytes() : 0);
}

/// <summary>A consumer that says what it has dealt with.</summary>
sealed class AcknowledgingConsumer(Acknowledgements acknowledged) : IConsumer
{
    public void Sending(LineId last) => acknowledged.Sending(last);

    public bool HasTaken(LineId last, long endBytes, long handedOver) => last.CompareTo(acknowledged.Latest) <= 0;
}

/// <summary>Events as lines, gathered while there are more; and which commits their consumer is done with.</summary>
sealed class RowLines(Stream output, IEventFormat format, IConsumer consumer)
{
    const int MostBytes = 64 << 10;
    // A consumer that takes lines and is done with none has no more commits noted than these.
    const int MostEnds = 1 << 16;

    readonly record struct End(long Bytes, LineId Last, ulong Lsn);

    readonly ArrayBufferWriter<byte> gathered = new();
    readonly LinkedList<End> ends = new();
    readonly Lock gate = new();
    LineId last;
    long handedOver;
    ulong noted;
    ulong? read;

    /// <summary>Writes an event; <paramref name="lsn"/> is the last commit that was given whole before it.</summary>
    public void Write(RowEvent told, ulong lsn)
    {
        Note(handedOver + gathered.WrittenCount, lsn);
        format.Write(told, gathered);
        last = new LineId(told.Lsn, told.Number);
        if (gathered.WrittenCount >= MostBytes) Hand();
    }

    /// <summary>Hands on what is gathered, which ends with that commit.</summary>
    public void Flush(ulong lsn)
    {
        Hand();
        Note(handedOver, lsn);
    }

    void Hand()
    {
        if (gathered.WrittenCount == 0) return;
        consumer.Sending(last);
        output.Write(gathered.WrittenSpan);
        output.Flush();
        Interlocked.Add(ref handedOver, gathered.WrittenCount);
        gathered.ResetWrittenCount();
    }

    void Note(long endBytes, ulong lsn)
    {
        if (lsn == 0 || lsn <= noted) return;
        lock (gate)
        {
            noted = lsn;
            // A commit that nobody is told of goes with the one before it.
            if (ends.Last is { } before && (before.Value.Last == last || ends.Count >= MostEnds)) ends.RemoveLast();
            ends.AddLast(new End(endBytes, last, lsn));
        }
    }

    /// <summary>
    /// The newest commit of which the consumer is done with every line; null before there is one.
    /// </summary>
    public ulong? ReadLsn()
    {
        lock (gate)
        {
            var handed = Interlocked.Read(ref handedOver);
            while (ends.First is { } end && consumer.HasTaken(end.Value.Last, end.Value.Bytes, handed))
            {
                read = end.Value.Lsn;
                ends.RemoveFirst();
            }
            return read;
        }
    }

    /// <summary>Whether the consumer is done with all that was noted.</summary>
    public bool IsAllRead
    {
        get
        {
            ReadLsn();
            lock (gate) return ends.Count == 0;
        }
    }
}
