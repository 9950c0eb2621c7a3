using RecoveryVfs.Rows.Format;

namespace RecoveryVfs.Rows.Differences;

/// <summary>The order in which two trees are merged.</summary>
internal abstract class RowOrder
{
    /// <summary>Compares the row that one walk is at with that of the other.</summary>
    public abstract int Compare(TreeWalk before, TreeWalk after);

    /// <summary>
    /// Whether the row that <paramref name="row"/> is at comes before all of the subtree that <paramref
    /// name="subtree"/> is at. False is always allowed.
    /// </summary>
    public abstract bool IsBefore(TreeWalk row, TreeWalk subtree);

    /// <summary>Which of two subtrees begins lower, as far as the pages above say.</summary>
    public abstract int CompareStarts(TreeWalk before, TreeWalk after);

    /// <summary>
    /// Told of each row that a merge comes to; finds rows that are not in order, which a merge must not meet.
    /// </summary>
    public abstract void Check(TreeWalk walk, bool isAfter);
}

/// <summary>Trees of rowids: the pages above the leaves bound them.</summary>
internal sealed class RowIdOrder : RowOrder
{
    public override int Compare(TreeWalk before, TreeWalk after) => before.Cell.RowId.CompareTo(after.Cell.RowId);

    public override bool IsBefore(TreeWalk row, TreeWalk subtree) =>
        subtree.TryGetLowerBound(out var bound) && row.Cell.RowId <= bound;

    public override int CompareStarts(TreeWalk before, TreeWalk after)
    {
        var hasBefore = before.TryGetLowerBound(out var boundBefore);
        var hasAfter = after.TryGetLowerBound(out var boundAfter);
        return hasBefore && hasAfter ? boundBefore.CompareTo(boundAfter) : hasBefore.CompareTo(hasAfter);
    }

    public override void Check(TreeWalk walk, bool isAfter) { } // The walk itself does.
}

/// <summary>
/// Trees of keys. Rows are in the pages above the leaves, too, and are merged like others; so when both walks are
/// before a subtree, both subtrees begin at the same key.
/// </summary>
internal sealed class KeyOrder(KeyColumn[] key, TextEncoding encoding, long mostRowBytes) : RowOrder
{
    readonly RecordFields before = new(), after = new();
    readonly Last lastBefore = new(), lastAfter = new();

    public override int Compare(TreeWalk beforeWalk, TreeWalk afterWalk)
    {
        var a = beforeWalk.Payload(mostRowBytes);
        var b = afterWalk.Payload(mostRowBytes);
        before.Parse(a, beforeWalk.Page.Number);
        after.Parse(b, afterWalk.Page.Number);
        return Compare(before, a, after, b, beforeWalk.Page);
    }

    public override bool IsBefore(TreeWalk row, TreeWalk subtree) => false;

    public override int CompareStarts(TreeWalk before, TreeWalk after) => 0;

    public override void Check(TreeWalk walk, bool isAfter)
    {
        var last = isAfter ? lastAfter : lastBefore;
        var record = walk.Payload(mostRowBytes);
        after.Parse(record, walk.Page.Number);
        if (last.Any && Compare(last.Fields, last.Record, after, record, walk.Page) >= 0)
            throw walk.Page.Damaged("its rows are not in the order of their keys");
        last.Take(record, walk.Page.Number);
    }

    int Compare(RecordFields a, ReadOnlySpan<byte> recordA, RecordFields b, ReadOnlySpan<byte> recordB, TreePage page)
    {
        if (a.Count < key.Length || b.Count < key.Length) throw page.Damaged("a row of it lacks a part of its key");
        for (var i = 0; i < key.Length; i++)
        {
            var compared =
                Values.Compare(a.Value(recordA, i, encoding), b.Value(recordB, i, encoding), key[i].Collation);
            if (compared != 0) return key[i].Descending ? -compared : compared;
        }
        return 0;
    }

    /// <summary>The row before, in buffers that are used again.</summary>
    sealed class Last
    {
        byte[] bytes = [];
        int length;

        public bool Any { get; private set; }
        public RecordFields Fields { get; } = new();
        public ReadOnlySpan<byte> Record => bytes.AsSpan(0, length);

        public void Take(ReadOnlySpan<byte> record, uint page)
        {
            if (bytes.Length < record.Length) bytes = new byte[Math.Max(record.Length, 2 * bytes.Length)];
            record.CopyTo(bytes);
            (length, Any) = (record.Length, true);
            Fields.Parse(Record, page);
        }
    }
}
