namespace RecoveryVfs.Rows.Tests;

/// <summary>All rows of all tables as SQLite gives them.</summary>
internal sealed class Model
{
    public Dictionary<string, ModelTable> Tables { get; } = new(StringComparer.Ordinal);

    public static Model Of(Sqlite db)
    {
        var model = new Model();
        foreach (var name in db.Names("SELECT name FROM sqlite_master WHERE type='table' AND rootpage>0"))
            model.Tables.Add(name, ModelTable.Of(db, name));
        return model;
    }
}

/// <summary>The rows of one table: columns by name, and the rowid where there is one.</summary>
internal sealed record ModelTable(List<string> Columns, List<string> Key, bool HasRowId, List<ModelRow> Rows)
{
    public static ModelTable Of(Sqlite db, string name)
    {
        var info = db.Query($"PRAGMA table_xinfo({Sqlite.Quote(name)})").Where(r => (long)r[6]! != 2).ToList();
        var columns = info.ConvertAll(r => (string)r[1]!);
        var key = info.Where(r => (long)r[5]! > 0).OrderBy(r => (long)r[5]!).Select(r => (string)r[1]!).ToList();
        var hasRowId = Oracle.HasRowId(db, name);
        var selected = columns.Select(Sqlite.Quote);
        if (hasRowId) selected = selected.Prepend("_rowid_");
        var rows = db.Query($"SELECT {string.Join(", ", selected)} FROM {Sqlite.Quote(name)}").ConvertAll(r =>
        {
            var said = r.Select(Oracle.Say).ToArray();
            return new ModelRow(hasRowId ? (long)r[0]! : null, hasRowId ? said[1..] : said);
        });
        return new ModelTable(columns, key, hasRowId, rows);
    }
}

internal sealed record ModelRow(long? RowId, string[] Values)
{
    public override string ToString() => string.Join("|", Values.Prepend(RowId.ToString() ?? ""));

    /// <summary>A row that we read, in the same words.</summary>
    public static ModelRow Of(Row row) => new(row.RowId,
        Enumerable.Range(0, row.Table.Columns.Count).Where(i => row.Table.Columns[i].IsStored)
            .Select(i => Oracle.Say(row[i].ToObject())).ToArray());
}
