namespace RecoveryVfs.Rows;

/// <summary>What happened to an entry of the schema.</summary>
public enum SchemaChangeKind
{
    /// <summary>It is new.</summary>
    Created,

    /// <summary>It is gone.</summary>
    Dropped,

    /// <summary>Its statement is another.</summary>
    Altered,

    /// <summary>A table has another name (and perhaps another statement).</summary>
    Renamed,
}

/// <summary>One difference of two schemas.</summary>
public sealed record SchemaChange(SchemaChangeKind Kind, SchemaEntry? Before, SchemaEntry? After);
