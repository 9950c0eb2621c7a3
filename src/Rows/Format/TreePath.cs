namespace RecoveryVfs.Rows.Format;

/// <summary>
/// The way from a table's root down to one page, found by that page's first key. It costs a page a level. (Of a table
/// WITHOUT ROWID, the collations of the key must be known.)
/// </summary>
internal sealed class TreePath(Pages pages, long mostRowBytes)
{
    const int MostLevels = 20;

    readonly TreePage page = new(pages);
    readonly OverflowChain wantedChain = new(pages), chain = new(pages);
    readonly RecordFields wanted = new(), fields = new();

    /// <summary>The pages above the one that was looked for, from the root on.</summary>
    public List<uint> Above { get; } = [];

    /// <summary>Whether <paramref name="to"/>, which has cells, is a page of the table's tree.</summary>
    public bool Leads(Table table, TreePage to)
    {
        Above.Clear();
        to.Read(0, out var first);
        if (!table.IsWithoutRowId) return Leads(table, to.Number, first.RowId, []);
        var key = Payload(to, first, wantedChain);
        wanted.Parse(key, to.Number);
        return wanted.Count >= table.Key.Length && Leads(table, to.Number, 0, key);
    }

    bool Leads(Table table, uint to, long rowId, ReadOnlySpan<byte> key)
    {
        for (var (number, from) = (table.Root, 1u); Above.Count < MostLevels;)
        {
            if (number == to) return true;
            Above.Add(number);
            page.Load(number, from, ofRowIds: !table.IsWithoutRowId);
            if (page.IsLeaf) return false;
            var (low, high) = (0, page.CellCount);
            while (low < high)
            {
                var middle = (low + high) / 2;
                page.Read(middle, out var cell);
                var compared = table.IsWithoutRowId ? Compare(table, cell, key) : cell.RowId.CompareTo(rowId);
                if (compared < 0) low = middle + 1;
                else high = middle;
            }
            (from, number) = (number, page.Child(low));
        }
        return false;
    }

    int Compare(Table table, in Cell cell, ReadOnlySpan<byte> key)
    {
        var record = Payload(page, cell, chain);
        fields.Parse(record, page.Number);
        if (fields.Count < table.Key.Length) throw page.Damaged("a row of it lacks a part of its key");
        for (var i = 0; i < table.Key.Length; i++)
        {
            var of = table.Key[i];
            var compared = Values.Compare(fields.Value(record, i, table.Encoding),
                wanted.Value(key, i, table.Encoding), of.Collation);
            if (compared != 0) return of.Descending ? -compared : compared;
        }
        return 0;
    }

    ReadOnlySpan<byte> Payload(TreePage of, in Cell cell, OverflowChain chain)
    {
        if (cell.Overflow == 0) return of.Bytes.Slice(cell.LocalAt, cell.LocalBytes);
        chain.Restart();
        chain.Read(of, cell, mostRowBytes);
        return chain.Last;
    }

    /// <summary>Gives its room back; it must not be used after that.</summary>
    public void Release()
    {
        page.Release();
        wantedChain.Release();
        chain.Release();
    }
}
