using System.Buffers.Binary;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.RecoveryLog.Log;

/// <summary>
/// Records waiting to be appended, from threads that must not wait for the log. The lock is held for one copy of a few
/// bytes. Entries: kind u8, length u32, body.
/// </summary>
internal sealed class EventQueue(int maxBytes)
{
    const int EntryHeaderBytes = 5;

    readonly Lock gate = new();
    byte[] filling = new byte[4096], draining = new byte[4096];
    int filled, drainable, drained;

    /// <summary>Whether a drain would find nothing (events enqueued at this very moment may be missed).</summary>
    internal bool IsEmpty => Volatile.Read(ref filled) == 0 && drained == drainable;

    /// <summary>Takes a copy; false when the bound is reached (an event alone always fits).</summary>
    internal bool TryEnqueue(RecordKind kind, ReadOnlySpan<byte> a, ReadOnlySpan<byte> b)
    {
        var size = EntryHeaderBytes + a.Length + b.Length;
        lock (gate)
        {
            if (filled > 0 && filled + size > maxBytes)
                return false;
            if (filled + size > filling.Length)
                Array.Resize(ref filling, Math.Max(filled + size, filling.Length * 2));
            var entry = filling.AsSpan(filled, size);
            entry[0] = (byte)kind;
            BinaryPrimitives.WriteInt32LittleEndian(entry[1..], a.Length + b.Length);
            a.CopyTo(entry[EntryHeaderBytes..]);
            b.CopyTo(entry[(EntryHeaderBytes + a.Length)..]);
            Volatile.Write(ref filled, filled + size);
            return true;
        }
    }

    /// <summary>
    /// The oldest event, until <see cref="Take"/>; called by one thread at a time (under the append lock). The body is
    /// valid until Take.
    /// </summary>
    internal bool TryPeek(out RecordKind kind, out ReadOnlySpan<byte> body)
    {
        kind = default;
        body = default;
        if (drained == drainable)
        {
            lock (gate)
            {
                (filling, draining) = (draining, filling);
                drainable = filled;
                drained = 0;
                Volatile.Write(ref filled, 0);
            }
            if (drainable == 0)
                return false;
        }
        var entry = draining.AsSpan(drained, drainable - drained);
        kind = (RecordKind)entry[0];
        body = entry.Slice(EntryHeaderBytes, BinaryPrimitives.ReadInt32LittleEndian(entry[1..]));
        return true;
    }

    /// <summary>Forgets the event that was peeked at.</summary>
    internal void Take() =>
        drained += EntryHeaderBytes + BinaryPrimitives.ReadInt32LittleEndian(draining.AsSpan(drained + 1));
}
