using System.Diagnostics.CodeAnalysis;

namespace RecoveryVfs.Rows;

/// <summary>What kind a schema's entry is.</summary>
public enum SchemaKind
{
    /// <summary>A table with rows in the database's pages.</summary>
    Table,

    /// <summary>A table whose rows a module makes up; what it stores is in other tables.</summary>
    VirtualTable,

    /// <summary>An index.</summary>
    Index,

    /// <summary>A view.</summary>
    View,

    /// <summary>A trigger.</summary>
    Trigger,
}

/// <summary>
/// One entry of <c>sqlite_schema</c>. <paramref name="Sql"/> is null for an index that SQLite made for a key.
/// </summary>
public sealed record SchemaEntry(SchemaKind Kind, string Name, string TableName, string? Sql)
{
    internal uint Root { get; init; }
    internal uint Page { get; init; }
}

/// <summary>What a database has at one version.</summary>
public sealed class DatabaseSchema
{
    readonly Dictionary<string, uint> indexRoots = new(StringComparer.OrdinalIgnoreCase);
    readonly Dictionary<string, Table> byName = new(StringComparer.OrdinalIgnoreCase);

    internal DatabaseSchema(TextEncoding encoding, List<SchemaEntry> entries, List<Table> tables)
    {
        (Encoding, Entries, Tables) = (encoding, entries, tables);
        foreach (var table in tables) byName.TryAdd(table.Name, table);
        foreach (var entry in entries)
            if (entry.Kind == SchemaKind.Index) indexRoots.TryAdd(entry.Name, entry.Root);
    }

    /// <summary>
    /// In which table a page was when it was looked for last: where versions with this schema look first. Nobody counts
    /// on it.
    /// </summary>
    internal Dictionary<uint, Table> LikelyOwners { get; } = [];

    /// <summary>How texts are stored.</summary>
    public TextEncoding Encoding { get; }

    /// <summary>All entries, in the order of the schema.</summary>
    public IReadOnlyList<SchemaEntry> Entries { get; }

    /// <summary>
    /// The tables that have rows, in the order of the schema: those of SQLite and of FTS and R-Tree, too.
    /// </summary>
    public IReadOnlyList<Table> Tables { get; }

    /// <summary>The table called <paramref name="name"/>; letter case does not matter.</summary>
    public bool TryGetTable(string name, [NotNullWhen(true)] out Table? table) => byName.TryGetValue(name, out table);

    /// <summary>The root page of an index; 0 when there is none of that name.</summary>
    internal uint IndexRoot(string? name) => name is not null && indexRoots.TryGetValue(name, out var root) ? root : 0;
}
