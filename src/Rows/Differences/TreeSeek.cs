using RecoveryVfs.Rows.Format;

namespace RecoveryVfs.Rows.Differences;

/// <summary>Looks single rows up. It reads one page a level, and overflow pages where a key has them.</summary>
internal sealed class TreeSeek(RowReader reader)
{
    const int MostLevels = 20;

    readonly Pages pages = reader.Pages;
    readonly TreePage page = new(reader.Pages);
    readonly RecordFields fields = new();

    /// <summary>The row of that rowid, or null.</summary>
    public Row? ByRowId(Table table, long rowId)
    {
        var (number, from) = (table.Root, 1u);
        for (var level = 0; level < MostLevels; level++)
        {
            page.Load(number, from, ofRowIds: true);
            var at = FirstAtLeast(rowId, out var cell);
            if (!page.IsLeaf)
            {
                (number, from) = (page.Child(at), number);
                continue;
            }
            return at < page.CellCount && cell.RowId == rowId ? new Row(table, rowId, Payload(cell), number) : null;
        }
        throw page.Damaged($"there are more than {MostLevels} pages above it");
    }

    /// <summary>
    /// The rowid that the index of the primary key has for the key of <paramref name="row"/>; null when it has none.
    /// </summary>
    public long? ByKey(Table table, uint indexRoot, Row row)
    {
        var (number, from) = (indexRoot, 1u);
        for (var level = 0; level < MostLevels; level++)
        {
            page.Load(number, from, ofRowIds: false);
            var (low, high) = (0, page.CellCount);
            while (low < high)
            {
                var middle = (low + high) / 2;
                page.Read(middle, out var cell);
                var compared = Compare(table, row, cell, out var rowId);
                if (compared == 0) return rowId;
                if (compared < 0) high = middle;
                else low = middle + 1;
            }
            if (page.IsLeaf) return null;
            (number, from) = (page.Child(low), number);
        }
        throw page.Damaged($"there are more than {MostLevels} pages above it");
    }

    int FirstAtLeast(long rowId, out Cell found)
    {
        var (low, high) = (0, page.CellCount);
        while (low < high)
        {
            var middle = (low + high) / 2;
            page.Read(middle, out var cell);
            if (cell.RowId < rowId) low = middle + 1;
            else high = middle;
        }
        found = default;
        if (low < page.CellCount) page.Read(low, out found);
        return low;
    }

    int Compare(Table table, Row row, Cell cell, out long rowId)
    {
        var record = Payload(cell);
        fields.Parse(record, page.Number);
        rowId = 0;
        if (fields.Count <= table.Key.Length)
            throw page.Damaged($"an entry has {fields.Count} fields, too few for the key of table '{table}'");
        for (var i = 0; i < table.Key.Length; i++)
        {
            var key = table.Key[i];
            var compared = Values.Compare(row[row.Table.Key[i].Column], fields.Value(record, i, table.Encoding), key.Collation);
            if (compared != 0) return key.Descending ? -compared : compared;
        }
        var last = fields.Value(record, fields.Count - 1, table.Encoding);
        rowId = last.Kind == ValueKind.Integer ? last.Integer : throw page.Damaged("an entry of an index has no rowid");
        return 0;
    }

    ReadOnlySpan<byte> Payload(in Cell cell)
    {
        if (cell.Overflow == 0) return page.Bytes.Slice(cell.LocalAt, cell.LocalBytes);
        var chain = new OverflowChain(pages);
        chain.Read(page, cell, reader.MostRowBytes);
        return chain.Last;
    }
}
