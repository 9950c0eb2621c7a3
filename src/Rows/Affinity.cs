namespace RecoveryVfs.Rows;

/// <summary>What a column's declared type makes SQLite prefer to store.</summary>
public enum Affinity
{
    /// <summary>As it comes.</summary>
    Blob,

    /// <summary>Texts.</summary>
    Text,

    /// <summary>Numbers where they are numbers.</summary>
    Numeric,

    /// <summary>Integers where they are.</summary>
    Integer,

    /// <summary>Floating-point numbers; small whole ones are stored as integers, and read as what they are.</summary>
    Real,
}
