using RecoveryVfs.Rows.Format;

namespace RecoveryVfs.Rows;

/// <summary>
/// Goes through the rows of a table in the order of its tree: by rowid, or by the primary key when it is WITHOUT ROWID.
/// It holds one page a level of the tree and, when a row has overflow pages, that row.
/// </summary>
public sealed class RowCursor
{
    readonly TreeWalk walk;
    readonly RecordFields fields = new();
    readonly long mostRowBytes;
    bool parsed;

    internal RowCursor(Pages pages, Table table, long mostRowBytes)
    {
        (Table, this.mostRowBytes) = (table, mostRowBytes);
        walk = new TreeWalk(pages, table.Root, !table.IsWithoutRowId);
    }

    /// <summary>The table that is read.</summary>
    public Table Table { get; }

    /// <summary>The rowid of the row at hand; null in a table WITHOUT ROWID.</summary>
    public long? RowId => Table.IsWithoutRowId ? null : walk.Cell.RowId;

    /// <summary>A value of the row at hand, which lasts until the next one is read.</summary>
    public ColumnValue this[int column]
    {
        get
        {
            var record = Record();
            return Table.Value(fields, record, column, walk.Cell.RowId);
        }
    }

    internal uint PageNumber => walk.Page.Number;

    /// <summary>To the next row, or the first; false when there is none.</summary>
    public bool Read()
    {
        parsed = false;
        if (walk.At == WalkAt.Row) walk.Next();
        return walk.ToRow();
    }

    /// <summary>A copy of the row at hand, to be kept.</summary>
    public Row ToRow() => new(Table, walk.Cell.RowId, walk.Payload(mostRowBytes), walk.Page.Number);

    ReadOnlySpan<byte> Record()
    {
        if (walk.At != WalkAt.Row) throw new InvalidOperationException("No row is at hand: call Read first.");
        var record = walk.Payload(mostRowBytes);
        if (parsed) return record;
        fields.Parse(record, walk.Page.Number);
        parsed = true;
        return record;
    }
}
