using RecoveryVfs.RecoveryLog;
using SQLitePCL;

namespace RecoveryVfs.Cli;

/// <summary>A connection to SQLite, for the few statements that this program runs.</summary>
internal sealed class Connection : IDisposable
{
    const int PatienceMs = 30_000;

    readonly sqlite3 db;

    /// <summary>Opens a file, named by its path or as a URI.</summary>
    public Connection(string file)
    {
        const int Flags = raw.SQLITE_OPEN_READWRITE | raw.SQLITE_OPEN_CREATE | raw.SQLITE_OPEN_URI;
        if (raw.sqlite3_open_v2(file, out db, Flags, null) != raw.SQLITE_OK)
            using (db)
                throw Failed(file);
        raw.sqlite3_busy_timeout(db, PatienceMs);
    }

    /// <summary>
    /// Opens a plain file that somebody else made: what its schema calls is not trusted, and cells are checked before they are believed.
    /// </summary>
    public static Connection OpenForeign(string path)
    {
        var connection = new Connection("file:" + path.Replace("%", "%25").Replace("?", "%3f").Replace("#", "%23"));
        foreach (var pragma in (string[])["PRAGMA trusted_schema=off", "PRAGMA cell_size_check=on"]) connection.Ask(pragma);
        return connection;
    }

    /// <summary>Runs a statement to its end; returns the first column of its first row.</summary>
    public string? Ask(string sql)
    {
        string? answer = null;
        var first = true;
        foreach (var row in Rows(sql))
        {
            if (first) answer = row;
            first = false;
        }
        return answer;
    }

    /// <summary>The first column of each row.</summary>
    public IEnumerable<string?> Rows(string sql)
    {
        if (raw.sqlite3_prepare_v2(db, sql, out var statement) != raw.SQLITE_OK) throw Refused();
        using (statement)
        {
            int code;
            while ((code = raw.sqlite3_step(statement)) == raw.SQLITE_ROW) yield return raw.sqlite3_column_text(statement, 0).utf8_to_string();
            if (code != raw.SQLITE_DONE) throw Refused();
        }
    }

    SqliteRefusal Refused() => new(raw.sqlite3_errmsg(db).utf8_to_string());

    RecoveryException Failed(string what) => new(RecoveryError.IoRead, $"SQLite: {what}: {raw.sqlite3_errmsg(db).utf8_to_string()}. {Recovery.LastError}".TrimEnd());

    public void Dispose() => db.Dispose();
}

/// <summary>SQLite's own message why it did not run a statement.</summary>
internal sealed class SqliteRefusal(string said) : Exception($"SQLite: {said}. {Recovery.LastError}".TrimEnd())
{
    public string Said { get; } = said;
}
