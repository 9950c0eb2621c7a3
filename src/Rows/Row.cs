using RecoveryVfs.Rows.Format;

namespace RecoveryVfs.Rows;

/// <summary>One row, kept: a copy of its bytes.</summary>
public sealed class Row
{
    readonly byte[] record;
    readonly RecordFields fields = new();
    readonly long rowId;

    internal Row(Table table, long rowId, ReadOnlySpan<byte> record, uint page)
    {
        (Table, this.rowId, this.record) = (table, rowId, record.ToArray());
        fields.Parse(record, page);
    }

    /// <summary>The table that it is of, as it was at the row's version.</summary>
    public Table Table { get; }

    /// <summary>Its rowid; null in a table WITHOUT ROWID.</summary>
    public long? RowId => Table.IsWithoutRowId ? null : rowId;

    /// <summary>The value of the column at <paramref name="column"/> in <see cref="Table.Columns"/>.</summary>
    public ColumnValue this[int column] => Table.Value(fields, record, column, rowId);

    /// <summary>The value of the column called <paramref name="column"/>.</summary>
    public ColumnValue this[string column] =>
        Table.IndexOf(column) is >= 0 and var i ? this[i] : throw new ArgumentException($"Table '{Table}' has no column '{column}'.", nameof(column));

    internal ReadOnlySpan<byte> Record => record;

    /// <inheritdoc/>
    public override string ToString()
    {
        var values = new string[Table.Columns.Count];
        for (var i = 0; i < values.Length; i++) values[i] = $"{Table.Columns[i].Name}={this[i].ToString()}";
        return $"{Table.Name}({string.Join(", ", values)})";
    }
}
