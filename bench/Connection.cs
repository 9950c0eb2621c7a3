using SQLitePCL;

namespace RecoveryVfs.Bench;

/// <summary>A raw SQLite connection, without any layer that would hide what is measured.</summary>
internal sealed class Connection : IDisposable
{
    readonly sqlite3 db;

    public Connection(string uri)
    {
        const int Flags = raw.SQLITE_OPEN_READWRITE | raw.SQLITE_OPEN_CREATE | raw.SQLITE_OPEN_URI
            | raw.SQLITE_OPEN_NOMUTEX;
        if (raw.sqlite3_open_v2(uri, out db, Flags, null) != raw.SQLITE_OK) throw Failed("open " + uri);
        raw.sqlite3_busy_timeout(db, 10_000);
    }

    public Statement Prepare(string sql)
    {
        if (raw.sqlite3_prepare_v2(db, sql, out var statement) != raw.SQLITE_OK) throw Failed(sql);
        return new Statement(this, statement, sql);
    }

    /// <summary>
    /// Runs a statement to its end; returns the first column of its first row as an integer (0 when it gave none).
    /// </summary>
    public long Do(string sql)
    {
        using var statement = Prepare(sql);
        return statement.First();
    }

    /// <summary>Like <see cref="Do"/>, for a text.</summary>
    public string Ask(string sql)
    {
        using var statement = Prepare(sql);
        return statement.Step() ? raw.sqlite3_column_text(statement.Raw, 0).utf8_to_string() : "";
    }

    internal InvalidOperationException Failed(string what) =>
        new($"{what}: {raw.sqlite3_errmsg(db).utf8_to_string()} ({raw.sqlite3_extended_errcode(db)}) "
            + $"[{Recovery.LastError}]");

    public void Dispose() => db.Dispose();
}

/// <summary>A prepared statement.</summary>
internal sealed class Statement(Connection connection, sqlite3_stmt statement, string sql) : IDisposable
{
    internal sqlite3_stmt Raw => statement;

    public Statement Bind(int at, long value)
    {
        raw.sqlite3_bind_int64(statement, at, value);
        return this;
    }

    public Statement Bind(int at, ReadOnlySpan<byte> utf8)
    {
        raw.sqlite3_bind_text(statement, at, utf8);
        return this;
    }

    public bool Step()
    {
        var code = raw.sqlite3_step(statement);
        if (code is not raw.SQLITE_ROW and not raw.SQLITE_DONE) throw connection.Failed(sql);
        return code == raw.SQLITE_ROW;
    }

    /// <summary>Runs it once, whatever it gives, and makes it ready for the next time.</summary>
    public long First()
    {
        var value = 0L;
        var first = true;
        while (Step())
        {
            if (first) value = raw.sqlite3_column_int64(statement, 0);
            first = false;
        }
        raw.sqlite3_reset(statement);
        return value;
    }

    public void Dispose() => statement.Dispose();
}
