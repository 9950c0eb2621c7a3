using System.Buffers.Binary;

namespace RecoveryVfs.Rows.Format;

/// <summary>
/// The pages of what did not fit into a cell: each begins with the number of the next, the last with 0. Over a whole
/// walk no more of them are read than the database has pages: each is of one row, so more mean that rows share them.
/// </summary>
internal sealed class OverflowChain(Pages pages)
{
    byte[] page = [], payload = [];
    int length;
    uint read;

    /// <summary>What was read last.</summary>
    public ReadOnlySpan<byte> Last => payload.AsSpan(0, length);

    public void Restart() => read = 0;

    /// <summary>
    /// All of the cell's payload. The buffer grows with the pages that were really there, not with what the cell
    /// claims.
    /// </summary>
    public void Read(TreePage from, in Cell cell, long mostBytes)
    {
        if (cell.PayloadBytes > mostBytes)
            throw from.Damaged(
                $"a row of it has {cell.PayloadBytes} bytes, and at most {mostBytes} are read "
                    + "(RowReaderOptions.MostRowBytes)");
        if (page.Length == 0) page = pages.Buffers.Take();
        Grow(cell.LocalBytes, 0);
        from.Bytes.Slice(cell.LocalAt, cell.LocalBytes).CopyTo(payload);
        var have = cell.LocalBytes;
        var each = pages.UsableSize - 4;
        var (next, previous) = (cell.Overflow, from.Number);
        while (have < cell.PayloadBytes)
        {
            if (next == 0)
                throw new DatabaseDamagedException(previous, $"a row's bytes end after {have} of {cell.PayloadBytes}");
            if (++read > pages.Count)
                throw new DatabaseDamagedException(previous, "several rows have the same overflow pages");
            pages.Read(next, previous, page);
            previous = next;
            next = BinaryPrimitives.ReadUInt32BigEndian(page);
            var take = (int)Math.Min(each, cell.PayloadBytes - have);
            Grow(have + take, have);
            page.AsSpan(4, take).CopyTo(payload.AsSpan(have));
            have += take;
        }
        // A chain in a circle has no end, so this finds it.
        if (next != 0) throw new DatabaseDamagedException(previous, "it points to more of a row that has ended");
        length = have;
    }

    /// <summary>Gives its room back.</summary>
    public void Release()
    {
        if (page.Length > 0) pages.Buffers.Give(page);
        page = [];
    }

    void Grow(int bytes, int keep)
    {
        if (payload.Length >= bytes) return;
        var larger = new byte[(int)Math.Min(Array.MaxLength, Math.Max(bytes, 2L * payload.Length))];
        payload.AsSpan(0, keep).CopyTo(larger);
        payload = larger;
    }
}
