namespace RecoveryVfs.Rows;

/// <summary>What a value is: SQLite's five storage classes, and what is not stored.</summary>
public enum ValueKind
{
    /// <summary>NULL.</summary>
    Null,

    /// <summary>A 64-bit integer.</summary>
    Integer,

    /// <summary>A 64-bit floating-point number.</summary>
    Real,

    /// <summary>A text.</summary>
    Text,

    /// <summary>Bytes.</summary>
    Blob,

    /// <summary>The value of a generated column that SQLite computes when it is asked for: no page has it.</summary>
    NotStored,
}
