using System.Diagnostics;
using System.Runtime.InteropServices;
using RecoveryVfs.PageStore.Interop;

namespace RecoveryVfs.PageStore.Wals;

/// <summary>
/// The end of a WAL that its file does not have yet, in memory outside the managed heap: from <see cref="Start"/> on,
/// in one piece. Changed by one thread at a time (who holds the file's gate); read by any.
/// </summary>
internal sealed unsafe class WalTail(Action<long> resized)
{
    // It grows by doubling. A WAL that begins anew after a large transaction keeps as much as one has that is
    // checkpointed every 1,000 pages of 8 KiB.
    const long CapacityBytesMin = 16 << 10, CapacityBytesKept = 8 << 20;

    readonly Lock gate = new();
    // Invariant: bytes has room for capacity bytes, of which the first used are those from start on. All four change
    // under the gate.
    byte* bytes;
    long capacity, used, start;

    /// <summary>Where in the file it begins. The file has everything before.</summary>
    public long Start => Volatile.Read(ref start);

    public long UsedBytes => Volatile.Read(ref used);

    /// <summary>Adds bytes at the end. The caller sees to the bound.</summary>
    public void Append(ReadOnlySpan<byte> source)
    {
        lock (gate)
        {
            if (used + source.Length > capacity)
                Resize(Math.Max(CapacityBytesMin, Math.Max(capacity * 2, used + source.Length)));
            source.CopyTo(new Span<byte>(bytes + used, source.Length));
            used += source.Length;
        }
    }

    /// <summary>Replaces bytes that are here.</summary>
    public void Overwrite(long offset, ReadOnlySpan<byte> source)
    {
        lock (gate)
        {
            Debug.Assert(offset >= start && offset + source.Length <= start + used, "what is overwritten is here");
            source.CopyTo(new Span<byte>(bytes + (offset - start), source.Length));
        }
    }

    /// <summary>
    /// Copies what is here of the bytes from <paramref name="offset"/> on; returns how many of the first bytes are not,
    /// and so are the file's.
    /// </summary>
    public int Read(long offset, Span<byte> destination)
    {
        lock (gate)
        {
            var before = (int)Math.Clamp(start - offset, 0, destination.Length);
            var here = (int)Math.Clamp(start + used - (offset + before), 0, destination.Length - before);
            new ReadOnlySpan<byte>(bytes + (offset + before - start), here).CopyTo(destination[before..]);
            destination[(before + here)..].Clear();
            return before;
        }
    }

    /// <summary>Bytes that are here, as long as nothing is changed.</summary>
    public ReadOnlySpan<byte> Slice(long offset, long length)
    {
        Debug.Assert(offset >= start && offset + length <= start + used, "what is asked for is here");
        return new ReadOnlySpan<byte>(bytes + (offset - start), checked((int)length));
    }

    /// <summary>Cuts the end off: nothing from <paramref name="end"/> on is here any more.</summary>
    public void Cut(long end)
    {
        lock (gate)
        {
            used = Math.Clamp(end - start, 0, used);
            start = Math.Min(start, end);
        }
    }

    /// <summary>Begins anew, empty, at a place of the file. Memory is kept for what comes next.</summary>
    public void Begin(long at)
    {
        lock (gate)
        {
            (start, used) = (at, 0);
            if (capacity > CapacityBytesKept) Resize(CapacityBytesKept);
        }
    }

    /// <summary>The file has so many of the first bytes now.</summary>
    public void DropFirst(long count)
    {
        lock (gate)
        {
            Debug.Assert(count <= used, "what is dropped is here");
            Buffer.MemoryCopy(bytes + count, bytes, capacity, used - count);
            (start, used) = (start + count, used - count);
        }
    }

    /// <summary>Gives memory back that is not in use.</summary>
    public void Trim()
    {
        lock (gate) Resize(used);
    }

    void Resize(long wanted)
    {
        if (wanted == 0)
        {
            NativeMemory.Free(bytes);
            bytes = null;
        }
        else bytes = (byte*)NativeMemory.Realloc(bytes, checked((nuint)wanted));
        resized(wanted - capacity);
        capacity = wanted;
    }
}
