namespace RecoveryVfs.Rows;

/// <summary>By what the rows of a table are told apart.</summary>
public enum KeyKind
{
    /// <summary>By the columns of its primary key.</summary>
    PrimaryKey,

    /// <summary>
    /// By its rowid: it has no key of its own that identifies rows. VACUUM may give rows other rowids.
    /// </summary>
    RowId,
}

/// <summary>One table whose rows are in the database's pages.</summary>
public sealed class Table
{
    readonly Column[] columns;
    Dictionary<string, int>? byName;

    internal Table(string name, uint root, string sql, Column[] columns, KeyColumn[] key, TextEncoding encoding)
    {
        (Name, Root, Sql, this.columns, Key, Encoding) = (name, root, sql, columns, key, encoding);
    }

    /// <summary>Its name.</summary>
    public string Name { get; }

    /// <summary>The statement that makes it, as the schema has it.</summary>
    public string Sql { get; }

    /// <summary>Its columns, in their order; generated ones too.</summary>
    public IReadOnlyList<Column> Columns => columns;

    /// <summary>Whether it is WITHOUT ROWID.</summary>
    public bool IsWithoutRowId { get; internal init; }

    /// <summary>Whether it is STRICT.</summary>
    public bool IsStrict { get; internal init; }

    /// <summary>Whether it is one of SQLite's own (<c>sqlite_sequence</c>, <c>sqlite_stat1</c>, ..).</summary>
    public bool IsInternal => Name.StartsWith("sqlite_", StringComparison.OrdinalIgnoreCase);

    /// <summary>By what its rows are told apart.</summary>
    public KeyKind KeyKind => Key.Length > 0 ? KeyKind.PrimaryKey : KeyKind.RowId;

    /// <summary>
    /// The columns of the primary key in its order, as indexes into <see cref="Columns"/>; empty when the rowid is the
    /// key.
    /// </summary>
    public IReadOnlyList<int> KeyColumns => Array.ConvertAll(Key, k => k.Column);

    /// <summary>The column that is another name of the rowid; -1 when none is.</summary>
    public int RowIdColumn { get; internal init; } = -1;

    /// <summary>
    /// The index of the column called <paramref name="name"/> (letter case does not matter); -1 when there is none.
    /// </summary>
    public int IndexOf(string name)
    {
        if (byName is null)
        {
            byName = new Dictionary<string, int>(StringComparer.OrdinalIgnoreCase);
            for (var i = 0; i < Columns.Count; i++) byName.TryAdd(Columns[i].Name, i);
        }
        return byName.GetValueOrDefault(name, -1);
    }

    /// <inheritdoc/>
    public override string ToString() => Name;

    /// <summary>The tables that its foreign keys refer to.</summary>
    internal IReadOnlyList<string> References { get; init; } = [];

    /// <summary>Whether values are unique beside the key that tells rows apart.</summary>
    internal bool HasOtherKeys { get; init; }

    internal uint Root { get; }
    internal KeyColumn[] Key { get; }
    internal TextEncoding Encoding { get; }

    /// <summary>
    /// The name of the index that SQLite keeps for a primary key that is neither the rowid nor the table itself.
    /// </summary>
    internal string? KeyIndexName { get; init; }

    internal ColumnValue Value(RecordFields fields, ReadOnlySpan<byte> record, int column, long rowId)
    {
        var of = columns[column];
        if (of.IsRowId) return ColumnValue.Of(rowId);
        if (!of.IsStored) return ColumnValue.NotStored;
        if (of.Field >= fields.Count) return Lacking(of);
        var value = fields.Value(record, of.Field, Encoding);
        return of.Affinity == Affinity.Real && value.Kind == ValueKind.Integer
            ? ColumnValue.Of((double)value.Integer)
            : value;
    }

    ColumnValue Lacking(Column column) => column.Default.IsUnknown
        ? throw new DatabaseDamagedException(Root,
        $"a row of table '{Name}' lacks column '{column.Name}', and its default ({column.DefaultSql}) is no constant")
        : column.Default.Value(Encoding);
}

/// <summary>One column of a key: which, by which collation, and whether the greatest comes first.</summary>
internal readonly record struct KeyColumn(int Column, string Collation, bool Descending);
