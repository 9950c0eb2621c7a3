namespace RecoveryVfs.Rows;

/// <summary>One column of a table, as its schema declares it.</summary>
public sealed class Column
{
    internal Column(string name, string declaredType) => (Name, DeclaredType) = (name, declaredType);

    /// <summary>Its name, without quotes.</summary>
    public string Name { get; }

    /// <summary>The type as declared; empty when there is none.</summary>
    public string DeclaredType { get; }

    /// <summary>What the type means to SQLite.</summary>
    public Affinity Affinity { get; internal init; }

    /// <summary>The collation by which its texts are compared; BINARY unless another is declared.</summary>
    public string Collation { get; internal init; } = "BINARY";

    /// <summary>Whether NOT NULL is declared.</summary>
    public bool NotNull { get; internal init; }

    /// <summary>Whether its value is computed from others.</summary>
    public bool IsGenerated { get; internal init; }

    /// <summary>False when the value is computed anew at each reading, and so is in no page.</summary>
    public bool IsStored { get; internal init; } = true;

    /// <summary>Whether it is another name of the rowid (INTEGER PRIMARY KEY).</summary>
    public bool IsRowId { get; internal set; }

    /// <summary>Its place in the primary key, from 0; -1 when it is not part of it.</summary>
    public int KeyIndex { get; internal set; } = -1;

    /// <summary>The text after DEFAULT; null when there is none.</summary>
    public string? DefaultSql { get; internal init; }

    /// <summary>Which field of a record is this column's; -1 when it is not stored.</summary>
    internal int Field { get; set; } = -1;

    /// <summary>What rows have that were written before the column was added.</summary>
    internal DefaultValue Default { get; init; } = DefaultValue.Null;
}
