namespace RecoveryVfs.Rows.Format;

/// <summary>Looks single rows up. It reads one page a level, and overflow pages where a key has them.</summary>
internal sealed class TreeSeek(Pages pages, long mostRowBytes)
{
    const int MostLevels = 20;

    TreePage? taken;
    readonly RecordFields fields = new();

    TreePage Page => taken ??= new TreePage(pages);

    /// <summary>Gives its room back, until it is used again.</summary>
    public void Release()
    {
        taken?.Release();
        taken = null;
    }

    /// <summary>The row of that rowid, or null.</summary>
    public Row? ByRowId(Table table, long rowId)
    {
        var (number, from) = (table.Root, 1u);
        for (var level = 0; level < MostLevels; level++)
        {
            Page.Load(number, from, ofRowIds: true);
            var at = FirstAtLeast(rowId, out var cell);
            if (!Page.IsLeaf)
            {
                (number, from) = (Page.Child(at), number);
                continue;
            }
            return at < Page.CellCount && cell.RowId == rowId ? new Row(table, rowId, Payload(cell), number) : null;
        }
        throw Page.Damaged($"there are more than {MostLevels} pages above it");
    }

    /// <summary>
    /// The rowid that the index of the primary key has for the key of <paramref name="row"/>; null when it has none.
    /// </summary>
    public long? ByKey(Table table, uint indexRoot, Row row) =>
        TryFind(table, indexRoot, new KeyOfRow(row), out var cell) ? RowIdOf(table, cell) : null;

    /// <summary>The rowid that the index of the primary key has for a key; null when it has none.</summary>
    public long? ByKey(Table table, uint indexRoot, KeyValues key) => TryFind(table, indexRoot, key, out var cell)
        ? RowIdOf(table, cell)
        : null;

    /// <summary>The row of that key in a table WITHOUT ROWID, or null.</summary>
    public Row? ByKey(Table table, KeyValues key) =>
        TryFind(table, table.Root, key, out var cell) ? new Row(table, 0, Payload(cell), Page.Number) : null;

    bool TryFind(Table table, uint root, KeyValues key, out Cell cell)
    {
        var (number, from) = (root, 1u);
        for (var level = 0; level < MostLevels; level++)
        {
            Page.Load(number, from, ofRowIds: false);
            var (low, high) = (0, Page.CellCount);
            while (low < high)
            {
                var middle = (low + high) / 2;
                Page.Read(middle, out cell);
                var compared = Compare(table, key, cell);
                if (compared == 0) return true;
                if (compared < 0) high = middle;
                else low = middle + 1;
            }
            cell = default;
            if (Page.IsLeaf) return false;
            (number, from) = (Page.Child(low), number);
        }
        throw Page.Damaged($"there are more than {MostLevels} pages above it");
    }

    int FirstAtLeast(long rowId, out Cell found)
    {
        var (low, high) = (0, Page.CellCount);
        while (low < high)
        {
            var middle = (low + high) / 2;
            Page.Read(middle, out var cell);
            if (cell.RowId < rowId) low = middle + 1;
            else high = middle;
        }
        found = default;
        if (low < Page.CellCount) Page.Read(low, out found);
        return low;
    }

    /// <summary>Both an index of the key and a table WITHOUT ROWID begin with the key's columns.</summary>
    int Compare(Table table, KeyValues wanted, in Cell cell)
    {
        var record = Payload(cell);
        fields.Parse(record, Page.Number);
        if (fields.Count < table.Key.Length + (table.IsWithoutRowId ? 0 : 1))
            throw Page.Damaged($"an entry has {fields.Count} fields, too few for the key of table '{table}'");
        for (var i = 0; i < table.Key.Length; i++)
        {
            var key = table.Key[i];
            var compared = Values.Compare(wanted[i], fields.Value(record, i, table.Encoding), key.Collation);
            if (compared != 0) return key.Descending ? -compared : compared;
        }
        return 0;
    }

    long RowIdOf(Table table, in Cell cell)
    {
        var record = Payload(cell);
        fields.Parse(record, Page.Number);
        var last = fields.Value(record, fields.Count - 1, table.Encoding);
        return last.Kind == ValueKind.Integer ? last.Integer : throw Page.Damaged("an entry of an index has no rowid");
    }

    ReadOnlySpan<byte> Payload(in Cell cell)
    {
        if (cell.Overflow == 0) return Page.Bytes.Slice(cell.LocalAt, cell.LocalBytes);
        var chain = new OverflowChain(pages);
        chain.Read(Page, cell, mostRowBytes);
        return chain.Last;
    }
}
