using System.Text.Json;
using RecoveryVfs.Changes.Backups;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.Cli.Backups;

/// <summary>
/// Makes a schema in the order in which rows need it: tables first, then (when the rows are there) indexes, views,
/// virtual tables and triggers. What a virtual table stores comes as the tables that it is stored in, so the table
/// itself is only entered in the schema, as <c>.dump</c> does.
/// </summary>
internal sealed class SchemaImport(Connection connection)
{
    static string Quoted(string name) => '"' + name.Replace("\"", "\"\"", StringComparison.Ordinal) + '"';

    static string Text(string text) => '\'' + text.Replace("'", "''", StringComparison.Ordinal) + '\'';

    bool Has(string type, string name) =>
        connection.Ask(
            $"SELECT count(*) FROM sqlite_schema WHERE type={Text(type)} AND name={Text(name)} COLLATE NOCASE") != "0";

    List<string> Names(string type, string but = "") =>
        [.. connection.Rows(
            $"SELECT name FROM sqlite_schema WHERE type={Text(type)} AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' {but}")
            .Select(n => n!)];

    /// <summary>A trigger that the database had before the import, and whose table still stands.</summary>
    sealed record OwnTrigger(string Name, string Table, string Sql);

    readonly List<OwnTrigger> own = [];

    /// <summary>Notes the triggers that are the database's own, before anything comes in.</summary>
    public void KeepTriggers()
    {
        foreach (var name in Names("trigger"))
        {
            string Of(string column) =>
                connection.Ask($"SELECT {column} FROM sqlite_schema WHERE type='trigger' AND name={Text(name)}")!;
            own.Add(new OwnTrigger(name, Of("tbl_name"), Of("sql")));
        }
    }

    /// <summary>
    /// Makes them again, when all rows are there: all that the backups neither have, of the same name, nor drop.
    /// </summary>
    public void CreateKeptTriggers()
    {
        foreach (var trigger in own)
            if (!Has("trigger", trigger.Name)) connection.Ask(trigger.Sql);
    }

    /// <summary>
    /// None fires while rows come in: what the source's did is in the rows, and what is merged is no insert of the
    /// application's.
    /// </summary>
    public void DropTriggers()
    {
        foreach (var name in Names("trigger")) connection.Ask($"DROP TRIGGER {Quoted(name)}");
    }

    public void DropAll()
    {
        foreach (var type in (string[])["trigger", "view"])
            foreach (var name in Names(type)) connection.Ask($"DROP {type} {Quoted(name)}");
        // A virtual table takes those that it is stored in along.
        foreach (var name in Names("table", "AND sql LIKE 'CREATE VIRTUAL%'"))
            connection.Ask($"DROP TABLE {Quoted(name)}");
        foreach (var name in Names("table")) connection.Ask($"DROP TABLE {Quoted(name)}");
    }

    /// <summary>A line <c>{"drop": type, "name": name}</c>.</summary>
    public void Drop(ReadOnlySpan<byte> line)
    {
        using var json = JsonDocument.Parse(line.ToArray());
        var (type, name) =
            (json.RootElement.GetProperty("drop").GetString(), json.RootElement.GetProperty("name").GetString());
        if (name is null || type is not ("table" or "index" or "view" or "trigger"))
            throw new RecoveryException(RecoveryError.Corrupt,
                $"The backup drops a '{type}', which is nothing of SQLite's.");
        bool Is(string other) => string.Equals(name, other, StringComparison.OrdinalIgnoreCase);
        own.RemoveAll(t => Is(type == "trigger" ? t.Name : type is "table" or "view" ? t.Table : ""));
        if (Has(type, name)) connection.Ask($"DROP {type} {Quoted(name)}");
    }

    public void CreateTables(IReadOnlyList<BackupEntry> entries)
    {
        foreach (var entry in entries)
            if (entry is { Type: "table", IsVirtual: false, Sql: { } sql } && !Has("table", entry.Name))
                Create(entry, sql);
    }

    /// <summary>
    /// Only what the entry says that it is: a backup from elsewhere must not run anything else. Not even a table that
    /// is made of a query, which may never end.
    /// </summary>
    void Create(BackupEntry entry, string sql)
    {
        if (!sql.StartsWith("CREATE ", StringComparison.OrdinalIgnoreCase))
            throw new RecoveryException(RecoveryError.Corrupt,
                $"The backup's statement for {entry.Name} creates nothing.");
        using (connection.RefuseSelects()) connection.RunOne(sql);
        if (!Has(entry.Type, entry.Name))
            throw new RecoveryException(RecoveryError.Corrupt,
                $"The backup's statement for the {entry.Type} {entry.Name} makes something else.");
    }

    public void CreateRest(IReadOnlyList<BackupEntry> entries)
    {
        foreach (var type in (string[])["index", "view", "trigger"])
            foreach (var entry in entries)
                if (entry.Type == type && entry.Sql is { } sql && !Has(type, entry.Name)) Create(entry, sql);
        var virtuals = entries.Where(e => e.IsVirtual && !Has("table", e.Name)).ToList();
        if (virtuals.Count == 0) return;
        connection.Ask("PRAGMA writable_schema=ON");
        foreach (var entry in virtuals)
            connection.Ask(
                $"INSERT INTO sqlite_schema(type, name, tbl_name, rootpage, sql) VALUES('table', {Text(entry.Name)}, "
                    + $"{Text(entry.Name)}, 0, {Text(entry.Sql!)})");
        connection.Ask("PRAGMA writable_schema=RESET");
        // SQLite reads the schema anew here, in the transaction, and refuses what would spoil the database.
        foreach (var entry in virtuals)
            if (!connection.Rows($"SELECT type FROM pragma_table_list({Text(entry.Name)}) WHERE schema='main'")
                .Contains("virtual"))
                throw new RecoveryException(RecoveryError.Corrupt,
                    $"The backup's statement for the virtual table {entry.Name} makes something else.");
    }
}
