using Microsoft.Data.Sqlite;

namespace RecoveryVfs.Tests;

/// <summary>A directory of its own with databases in it; closes everything and deletes it at the end.</summary>
public sealed class TestStore : IDisposable
{
    static TestStore()
    {
        SQLitePCL.Batteries_V2.Init();
        Recovery.Register();
    }

    readonly List<SqliteConnection> connections = [];

    public TestStore(string options = "", string? vfs = "recovery")
    {
        Options = options;
        Vfs = vfs;
        Directory = System.IO.Directory.CreateTempSubdirectory("recovery-vfs-").FullName;
    }

    /// <summary>URI parameters of every connection, as "isolation=locking&amp;journal=plain".</summary>
    public string Options { get; }

    public string? Vfs { get; }

    public string Directory { get; }

    public string PathOf(string name) => Path.Combine(Directory, name);

    public string UriOf(string name, string options = "") =>
        "file:" + PathOf(name) + "?"
            + string.Join('&', ((string[])[Vfs is null ? "" : "vfs=" + Vfs, Options, options])
            .Where(o => o.Length > 0));

    /// <summary>A new connection, with no busy timeout unless asked for.</summary>
    public SqliteConnection Open(string name = "a.db", string options = "", int timeoutSeconds = 0,
        SqliteCacheMode cache = SqliteCacheMode.Default)
    {
        var connection = new SqliteConnection(new SqliteConnectionStringBuilder
        {
            DataSource = UriOf(name, options),
            Pooling = false,
            Cache = cache,
        }.ToString());
        connection.Open();
        SQLitePCL.raw.sqlite3_busy_timeout(connection.Handle, timeoutSeconds * 1000);
        connections.Add(connection);
        return connection;
    }

    /// <summary>Closes every connection and the store, so that the next open reads what is on disk.</summary>
    public void Close()
    {
        foreach (var connection in connections) connection.Dispose();
        connections.Clear();
        Recovery.CloseIdleStores();
    }

    public void Dispose()
    {
        Close();
        System.IO.Directory.Delete(Directory, recursive: true);
    }
}

/// <summary>Statements and their results as the tests write them, without ADO's retries.</summary>
public static class Sql
{
    /// <summary>
    /// Runs statements; the values of all rows joined by spaces, or "!MESSAGE" with the extended code on an error.
    /// </summary>
    public static string Try(this SqliteConnection connection, string sql)
    {
        var values = new List<string>();
        var code = Run(connection, sql, values);
        return code == 0 ? string.Join(' ', values) : $"!{code}";
    }

    /// <summary>Runs statements that must succeed.</summary>
    public static string Do(this SqliteConnection connection, string sql)
    {
        var values = new List<string>();
        var code = Run(connection, sql, values);
        if (code != 0)
            throw new InvalidOperationException(
                $"{sql}: {code} {SQLitePCL.raw.sqlite3_errmsg(connection.Handle).utf8_to_string()} "
                    + $"[{Recovery.LastError}]");
        return string.Join(' ', values);
    }

    static int Run(SqliteConnection connection, string sql, List<string> values)
    {
        var db = connection.Handle!;
        while (sql.Trim().Length > 0)
        {
            var rc = SQLitePCL.raw.sqlite3_prepare_v2(db, sql, out var statement, out string tail);
            using (statement)
            {
                if (rc != 0) return SQLitePCL.raw.sqlite3_extended_errcode(db);
                while (statement is { IsInvalid: false }
                    && (rc = SQLitePCL.raw.sqlite3_step(statement)) == SQLitePCL.raw.SQLITE_ROW)
                    for (var i = 0; i < SQLitePCL.raw.sqlite3_column_count(statement); i++)
                        values.Add(Value(statement, i));
                if (rc != SQLitePCL.raw.SQLITE_DONE && rc != 0) return SQLitePCL.raw.sqlite3_extended_errcode(db);
            }
            sql = tail;
        }
        return 0;
    }

    static string Value(SQLitePCL.sqlite3_stmt statement, int column)
        => SQLitePCL.raw.sqlite3_column_type(statement, column) switch
        {
            SQLitePCL.raw.SQLITE_NULL => "",
            SQLitePCL.raw.SQLITE_BLOB => Convert.ToHexString(SQLitePCL.raw.sqlite3_column_blob(statement, column)),
            _ => SQLitePCL.raw.sqlite3_column_text(statement, column).utf8_to_string(),
        };
}
