using RecoveryVfs.Rows;

namespace RecoveryVfs.Changes;

/// <summary>What an event of a row tail tells of.</summary>
public enum RowEventKind
{
    /// <summary>A row of the state at which the stream begins.</summary>
    Read,
    /// <summary>A row that a commit made.</summary>
    Insert,
    /// <summary>A row to which a commit gave other values.</summary>
    Update,
    /// <summary>A row that a commit took away.</summary>
    Delete,
    /// <summary>A change of the schema: of a table, an index, a view or a trigger.</summary>
    Schema,
    /// <summary>A database came to be.</summary>
    DatabaseCreated,
    /// <summary>A database got another name.</summary>
    DatabaseRenamed,
    /// <summary>A database is gone, with all that was in it.</summary>
    DatabaseDeleted,
}

/// <summary>
/// One event of a row tail. <see cref="Lsn"/> and <see cref="Number"/> together are its id: a consumer that may see an
/// event twice, after it was stopped, drops what it has seen by that.
/// </summary>
public sealed record RowEvent
{
    /// <summary>The commit; of rows that were read, the state.</summary>
    public required ulong Lsn { get; init; }

    /// <summary>Its number within the commit, from 1.</summary>
    public required long Number { get; init; }

    /// <summary>When it was committed, by the writer's clock.</summary>
    public required DateTimeOffset Time { get; init; }

    /// <summary>What happened.</summary>
    public required RowEventKind Kind { get; init; }

    /// <summary>The database.</summary>
    public required string Database { get; init; }

    /// <summary>
    /// The table, or what else of the schema changed; null of events that concern the whole database.
    /// </summary>
    public string? Table { get; init; }

    /// <summary>By what the table's rows are told apart.</summary>
    public KeyKind KeyKind { get; init; }

    /// <summary>The row as it was; null when there was none.</summary>
    public Row? Before { get; init; }

    /// <summary>The row as it is; null when it is gone.</summary>
    public Row? After { get; init; }

    /// <summary>Whether this is one half of an update that gave a row another key.</summary>
    public bool IsKeyUpdate { get; init; }

    /// <summary>What happened to the schema.</summary>
    public SchemaChange? SchemaChange { get; init; }

    /// <summary>The earlier name of a database that was renamed.</summary>
    public string? EarlierName { get; init; }
}
