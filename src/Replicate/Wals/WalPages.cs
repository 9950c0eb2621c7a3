namespace RecoveryVfs.Replicate.Wals;

/// <summary>Which pages the committed frames of a WAL hold, and where.</summary>
internal sealed class WalPages
{
    readonly Dictionary<uint, long> offsets;

    WalPages(Dictionary<uint, long> offsets, WalPosition? end, uint sizePages, int commits) =>
        (this.offsets, End, SizePages, Commits) = (offsets, end, sizePages, commits);

    /// <summary>A WAL that holds nothing.</summary>
    public static WalPages None { get; } = new([], null, 0, 0);

    /// <summary>Behind the newest commit; null for a WAL that SQLite would take for empty.</summary>
    public WalPosition? End { get; }

    /// <summary>The database's size after the newest commit; 0 when there is none.</summary>
    public uint SizePages { get; }

    /// <summary>How many transactions are in it.</summary>
    public int Commits { get; }

    /// <summary>Where the newest committed bytes of a page are in the WAL; null when it has none.</summary>
    public long? OffsetOf(uint page) => offsets.TryGetValue(page, out var offset) ? offset : null;

    /// <summary>
    /// Reads a WAL up to its newest commit, or to the newest within the first <paramref name="framesMax"/> frames.
    /// </summary>
    public static WalPages Read(WalReader reader, uint framesMax = uint.MaxValue)
    {
        reader.Refresh();
        if (reader.ReadHeader() is not { } header) return None;
        var (offsets, transaction) = (new Dictionary<uint, long>(), new Dictionary<uint, long>());
        var (position, end, size, commits) = (header.Start, header.Start, 0u, 0);
        while (position.Frames < framesMax && reader.TryRead(ref position, out var frame))
        {
            transaction[frame.Page] = frame.Offset;
            if (!frame.IsCommit) continue;
            foreach (var (page, offset) in transaction) offsets[page] = offset;
            transaction.Clear();
            (end, size, commits) = (position, frame.SizePages, commits + 1);
        }
        return new(offsets, end, size, commits);
    }
}
