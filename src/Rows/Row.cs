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
        Table.IndexOf(column) is >= 0 and var i
            ? this[i]
            : throw new ArgumentException($"Table '{Table}' has no column '{column}'.", nameof(column));

    /// <summary>
    /// Whether this row has that key: a value for each of <see cref="Table.KeyColumns"/>, or its rowid where that is
    /// the key.
    /// </summary>
    public bool HasKey(IReadOnlyList<object?> key)
    {
        if (Table.RowIdColumn >= 0 || Table.Key.Length == 0) return key is [long wanted] && wanted == rowId;
        if (key.Count != Table.Key.Length) return false;
        var values = new GivenKey(Table, key);
        for (var i = 0; i < Table.Key.Length; i++)
            if (Values.Compare(this[Table.Key[i].Column], values[i], Table.Key[i].Collation) != 0) return false;
        return true;
    }

    internal ReadOnlySpan<byte> Record => record;

    /// <inheritdoc/>
    public override string ToString()
    {
        var values = new string[Table.Columns.Count];
        for (var i = 0; i < values.Length; i++) values[i] = $"{Table.Columns[i].Name}={this[i].ToString()}";
        return $"{Table.Name}({string.Join(", ", values)})";
    }
}
