namespace RecoveryVfs.Rows.Sql;

/// <summary>A column as its CREATE TABLE says.</summary>
internal sealed class ParsedColumn
{
    public required string Name { get; init; }
    public string Type { get; set; } = "";
    public string? Collation { get; set; }
    public string? Default { get; set; }
    public bool NotNull { get; set; }
    public bool IsGenerated { get; set; }
    public bool IsStored { get; set; }
}

/// <summary>A column of a key, as declared.</summary>
internal readonly record struct ParsedKeyColumn(string Name, string? Collation, bool Descending);

/// <summary>A PRIMARY KEY or UNIQUE, in the order in which they are declared.</summary>
internal sealed class ParsedKey
{
    public required bool IsPrimary { get; init; }
    public required List<ParsedKeyColumn> Columns { get; init; }

    /// <summary>PRIMARY KEY DESC right behind a column: that one is never another name of the rowid.</summary>
    public bool IsDescendingColumn { get; init; }
}

/// <summary>What a CREATE TABLE says, as far as rows depend on it.</summary>
internal sealed class ParsedTable
{
    public List<ParsedColumn> Columns { get; } = [];
    public List<ParsedKey> Keys { get; } = [];
    /// <summary>The tables that its foreign keys refer to.</summary>
    public List<string> References { get; } = [];

    public bool IsWithoutRowId { get; set; }
    public bool IsStrict { get; set; }
}
