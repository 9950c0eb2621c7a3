namespace RecoveryVfs.Simulation;

/// <summary>
/// A file of a <see cref="PowerLossDisk"/>, under its lock: the bytes as programs see them, as they are on disk, and
/// what lies between.
/// </summary>
internal sealed class MemoryFile(byte[] content)
{
    const int SectorBytes = PowerLossDisk.SectorBytes;

    readonly Dictionary<long, List<(long Time, byte[] Bytes)>> pending = [];   // by sector, oldest first
    byte[] live = (byte[])content.Clone(), durable = content;
    int size = content.Length;
    long resizedAt;
    bool truncated;

    internal MemoryFile Clone()
    {
        var copy = new MemoryFile((byte[])durable.Clone())
        {
            live = (byte[])live.Clone(),
            size = size,
            resizedAt = resizedAt,
            truncated = truncated
        };
        foreach (var (sector, versions) in pending)
            copy.pending[sector] = [.. versions];
        return copy;
    }

    internal long SizeBytes => size;

    internal byte[] Live() => live.AsSpan(0, size).ToArray();

    internal int Read(long offset, Span<byte> destination)
    {
        if (offset >= size)
            return 0;
        var n = (int)Math.Min(destination.Length, size - offset);
        live.AsSpan((int)offset, n).CopyTo(destination);
        return n;
    }

    internal void Write(long offset, ReadOnlySpan<byte> source, long time)
    {
        if (source.Length == 0)
            return;
        var end = (int)offset + source.Length;
        if (end > size)
            Resize(end, time);
        source.CopyTo(live.AsSpan((int)offset));
        for (var sector = offset / SectorBytes; sector * SectorBytes < end; sector++)
            Pend(sector, time);
    }

    internal void Truncate(long to, long time)
    {
        if (to < size)
        {
            live.AsSpan((int)to, size - (int)to).Clear();
            truncated = true;
        }
        Resize((int)to, time);
    }

    void Resize(int to, long time)
    {
        if (to > live.Length)
            Array.Resize(ref live, Math.Max(to, Math.Min(live.Length * 2, 64 << 20)));
        size = to;
        resizedAt = time;
    }

    void Pend(long sector, long time)
    {
        var bytes = new byte[SectorBytes];
        var start = (int)sector * SectorBytes;
        live.AsSpan(start, Math.Min(SectorBytes, live.Length - start)).CopyTo(bytes);
        if (!pending.TryGetValue(sector, out var versions))
            pending[sector] = versions = [];
        versions.Add((time, bytes));
    }

    internal void Sync()
    {
        if (truncated)
            durable = live.AsSpan(0, size).ToArray();
        else if (durable.Length != size)
            Array.Resize(ref durable, size);
        foreach (var (sector, versions) in pending)
        {
            // A sector may have been written and then cut off.
            var start = (int)sector * SectorBytes;
            if (start < size)
                versions[^1].Bytes.AsSpan(0, Math.Min(SectorBytes, size - start)).CopyTo(durable.AsSpan(start));
        }
        ForgetPending();
    }

    /// <summary>What is pending never becomes durable by a later sync of the same pages; only new writes can.</summary>
    internal void ForgetPending()
    {
        pending.Clear();
        resizedAt = 0;
        truncated = false;
    }

    internal long OldestPending(long now)
    {
        var oldest = now;
        foreach (var versions in pending.Values)
            oldest = Math.Min(oldest, versions[0].Time - 1);
        return resizedAt > 0 ? Math.Min(oldest, resizedAt - 1) : oldest;
    }

    internal void Flip(long offset, int bit)
    {
        live[offset] ^= (byte)(1 << bit);
        if (offset < durable.Length)
            durable[offset] ^= (byte)(1 << bit);
    }

    /// <summary>
    /// What a loss of power leaves: for each unsynced sector the version that <paramref name="choose"/> picks by the
    /// versions' times (-1: the durable one); the new size when it is that old by <paramref name="moment"/>, else the
    /// durable one.
    /// </summary>
    internal byte[] Image(Func<long, long[], int> choose, long moment)
    {
        var image = new byte[resizedAt <= moment ? size : durable.Length];
        durable.AsSpan(0, Math.Min(durable.Length, image.Length)).CopyTo(image);
        foreach (var (sector, versions) in pending)
        {
            var chosen = choose(sector, [.. versions.Select(v => v.Time)]);
            var start = (int)sector * SectorBytes;
            if (chosen >= 0 && start < image.Length)
                versions[chosen].Bytes.AsSpan(0, Math.Min(SectorBytes, image.Length - start))
                    .CopyTo(image.AsSpan(start));
        }
        return image;
    }
}
