namespace RecoveryVfs.Rows;

/// <summary>What happened to a row.</summary>
public enum ChangeKind
{
    /// <summary>It is new.</summary>
    Insert,

    /// <summary>It is gone.</summary>
    Delete,

    /// <summary>It has other values under the same key.</summary>
    Update,
}

/// <summary>
/// One row that differs between two versions: as it was, and as it is. Where one of them has no such row, it is null.
/// </summary>
public sealed record RowChange(ChangeKind Kind, Row? Before, Row? After)
{
    /// <summary>
    /// Whether this is one half of an update that gave a row another key: its delete, or its insert. Known where the
    /// row has a rowid beside its key; elsewhere such an update leaves no trace, and is a delete and an insert like
    /// others.
    /// </summary>
    public bool IsKeyUpdate { get; init; }

    /// <inheritdoc/>
    public override string ToString() => $"{Kind}{(IsKeyUpdate ? " (of a key)" : "")}: {Before} -> {After}";
}
