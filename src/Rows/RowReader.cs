using RecoveryVfs.Rows.Format;
using RecoveryVfs.Rows.Sql;

namespace RecoveryVfs.Rows;

/// <summary>Limits of reading.</summary>
public sealed class RowReaderOptions
{
    /// <summary>
    /// A row of more bytes is an error. The default is what SQLite itself stores at most; a row with overflow pages is
    /// held in memory whole.
    /// </summary>
    public int MostRowBytes { get; init; } = 1_000_000_000;
}

/// <summary>
/// Reads the rows of one version of a SQLite database from its pages, without SQLite. What the pages cannot mean is a
/// <see cref="DatabaseDamagedException"/> that names the page. One thread at a time.
/// </summary>
public sealed class RowReader
{
    const string SchemaSql = "CREATE TABLE sqlite_schema(type TEXT, name TEXT, tbl_name TEXT, rootpage INT, sql TEXT)";

    readonly RowReaderOptions options;

    /// <summary>Reads the schema of <paramref name="pages"/>.</summary>
    public RowReader(IPageSource pages, RowReaderOptions? options = null)
    {
        this.options = options ?? new RowReaderOptions();
        Pages = new Pages(pages);
        Schema = ReadSchema();
    }

    /// <summary>
    /// Another version of a database that <paramref name="earlier"/> reads: its schema is not read again where SQLite
    /// says that it is the same. One thread at a time uses both.
    /// </summary>
    public RowReader(IPageSource pages, RowReader earlier)
    {
        options = earlier.options;
        Pages = new Pages(pages, earlier.Pages.Buffers);
        Schema = Pages.HasSchemaOf(earlier.Pages) ? earlier.Schema : ReadSchema();
    }

    /// <summary>The tables, and what else there is.</summary>
    public DatabaseSchema Schema { get; }

    internal Pages Pages { get; }
    internal long MostRowBytes => options.MostRowBytes;

    /// <summary>The rows of <paramref name="table"/>, which is one of <see cref="Schema"/>.</summary>
    public RowCursor Read(Table table) => new(Pages, table, options.MostRowBytes);

    /// <summary>How many rows <paramref name="table"/> has: its pages are read, and no row is looked at.</summary>
    public long Count(Table table) => new TreeWalk(Pages, table.Root, !table.IsWithoutRowId).CountRows();

    /// <summary>The rows of the table called <paramref name="table"/>.</summary>
    public RowCursor Read(string table) =>
        Schema.TryGetTable(table, out var found)
            ? Read(found)
            : throw new ArgumentException($"The database has no table '{table}'.", nameof(table));

    /// <summary>
    /// The row of <paramref name="table"/> with that key; null when there is none. A key is what <see
    /// cref="Rows.Table.KeyColumns"/> says, in its order, or the rowid where that is the key. A value is null, a long,
    /// a double, a string or a byte array.
    /// </summary>
    /// <exception cref="NotSupportedException">The key's order is not known here.</exception>
    public Row? Find(Table table, IReadOnlyList<object?> key)
    {
        var seek = new TreeSeek(Pages, MostRowBytes);
        if (table.RowIdColumn >= 0 || table.Key.Length == 0)
            return key is [long rowId]
                ? seek.ByRowId(table, rowId)
                : throw new ArgumentException($"The key of table '{table}' is one integer.", nameof(key));
        if (key.Count != table.Key.Length)
            throw new ArgumentException(
                $"The key of table '{table}' has {table.Key.Length} columns, and {key.Count} values were given.",
                nameof(key));
        if (table.Key.FirstOrDefault(k => !Values.Knows(k.Collation)) is { Collation: { } unknown })
            throw new NotSupportedException(
                $"The key of table '{table}' has the collation '{unknown}', which is not known here.");
        var values = new GivenKey(table, key);
        if (table.IsWithoutRowId) return seek.ByKey(table, values);
        var index = Schema.IndexRoot(table.KeyIndexName);
        if (index == 0) throw new NotSupportedException($"The key of table '{table}' has no index.");
        return seek.ByKey(table, index, values) is { } found ? seek.ByRowId(table, found) : null;
    }

    DatabaseSchema ReadSchema()
    {
        var entries = new List<SchemaEntry>();
        var tables = new List<Table>();
        if (Pages.Header is not { } header) return new DatabaseSchema(TextEncoding.Utf8, entries, tables);
        var roots = new HashSet<uint> { 1 };
        var cursor = Read(TableFactory.Make("sqlite_schema", 1, SchemaSql, header.Encoding, header.SchemaFormat));
        while (cursor.Read())
        {
            var entry = Entry(cursor);
            entries.Add(entry);
            if (entry.Root != 0 && !roots.Add(entry.Root))
                throw new DatabaseDamagedException(entry.Page,
                    $"'{entry.Name}' has the root page {entry.Root}, which something else has, too");
            if (entry.Kind == SchemaKind.Table) tables.Add(TableOf(entry, header));
        }
        return new DatabaseSchema(header.Encoding, entries, tables);
    }

    SchemaEntry Entry(RowCursor cursor)
    {
        static string? Text(ColumnValue value) => value.Kind == ValueKind.Text ? value.Text : null;

        var page = cursor.PageNumber;
        var name = Text(cursor[1]) ?? throw new DatabaseDamagedException(page, "an entry of the schema has no name");
        var sql = Text(cursor[4]);
        var root = cursor[3] is { Kind: ValueKind.Integer } number ? number.Integer : 0;
        if (root < 0 || root > Pages.Count)
            throw new DatabaseDamagedException(page,
                $"'{name}' has the root page {root}, and the database has {Pages.Count} pages");
        var kind = Text(cursor[0]) switch
        {
            "table" => root == 0 ? SchemaKind.VirtualTable : SchemaKind.Table,
            "index" => SchemaKind.Index,
            "view" => SchemaKind.View,
            "trigger" => SchemaKind.Trigger,
            _ => throw new DatabaseDamagedException(page, $"the schema's entry '{name}' is of no kind that SQLite has"),
        };
        return new SchemaEntry(kind, name, Text(cursor[2]) ?? name, sql) { Root = (uint)root, Page = page };
    }

    static Table TableOf(SchemaEntry entry, FileHeader header)
    {
        try
        {
            return TableFactory.Make(entry.Name, entry.Root, entry.Sql
                ?? throw new FormatException("no statement"), header.Encoding, header.SchemaFormat);
        }
        catch (FormatException e)
        {
            throw new DatabaseDamagedException(entry.Page,
                $"the schema's entry of table '{entry.Name}' is no CREATE TABLE: {e.Message}");
        }
    }
}
