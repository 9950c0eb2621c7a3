using System.Globalization;

namespace RecoveryVfs.Rows.Tests;

/// <summary>What SQLite says a database holds, and what we read from its pages, in the same words.</summary>
internal static class Oracle
{
    public static string Say(object? value) => value switch
    {
        null => "NULL",
        long integer => "i" + integer.ToString(CultureInfo.InvariantCulture),
        double real => "r" + BitConverter.DoubleToInt64Bits(real).ToString("x", CultureInfo.InvariantCulture),
        string text => "t" + text,
        byte[] blob => "b" + Convert.ToHexString(blob),
        _ => throw new ArgumentException($"{value.GetType()} is no type of SQLite's."),
    };

    /// <summary>The columns whose values the pages hold, each with its name.</summary>
    public static List<string> StoredColumns(Sqlite db, string table)
        => db.Query($"PRAGMA table_xinfo({Sqlite.Quote(table)})")
        .Where(r => (long)r[6]! != 2).Select(r => (string)r[1]!).ToList();

    public static bool HasRowId(Sqlite db, string table)
        => db.Try($"SELECT _rowid_ FROM {Sqlite.Quote(table)} LIMIT 0") is null;

    /// <summary>All rows by SELECT: rowid (when there is one) and each stored column.</summary>
    public static List<string> Selected(Sqlite db, string table)
    {
        var columns = StoredColumns(db, table).Select(Sqlite.Quote);
        if (HasRowId(db, table)) columns = columns.Prepend("_rowid_");
        return db.Query($"SELECT {string.Join(", ", columns)} FROM {Sqlite.Quote(table)}")
            .ConvertAll(r => string.Join("|", r.Select(Say)));
    }

    public static List<string> Read(RowReader reader, string table)
    {
        var rows = new List<string>();
        var cursor = reader.Read(table);
        while (cursor.Read())
        {
            var values = new List<string>();
            if (cursor.RowId is { } rowId) values.Add(Say(rowId));
            for (var i = 0; i < cursor.Table.Columns.Count; i++)
                if (cursor.Table.Columns[i].IsStored) values.Add(Say(cursor[i].ToObject()));
            rows.Add(string.Join("|", values));
        }
        return rows;
    }
}
