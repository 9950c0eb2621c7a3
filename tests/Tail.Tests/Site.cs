using System.Text;
using Microsoft.Data.Sqlite;

namespace RecoveryVfs.Tail.Tests;

/// <summary>A directory with a writer, its remote and a follower in it.</summary>
public sealed class Site(string? remote = null) : IDisposable
{
    static Site()
    {
        SQLitePCL.Batteries_V2.Init();
        Recovery.Register();
    }

    readonly string directory = Directory.CreateTempSubdirectory("recovery-tail-").FullName;

    public string PathOf(string name) => Path.Combine(directory, name);

    public string Url => remote ?? "file://" + PathOf("bucket");

    public SqliteConnection Writer(string name = "a.db")
    {
        Directory.CreateDirectory(PathOf("writer"));
        return Open($"file:{PathOf("writer/" + name)}?vfs=recovery&remote={Uri.EscapeDataString(Url)}"
            + "&sync-interval=5&linger=0");
    }

    public SqliteConnection Reader(string name = "a.db") =>
        Open($"file:{PathOf("follower/" + name)}?vfs=recovery&mode=ro&follow={Uri.EscapeDataString(Url)}"
            + "&follow-interval=20");

    public SqliteConnection Open(string uri) => OpenUri(uri);

    public static SqliteConnection OpenUri(string uri)
    {
        var connection =
            new SqliteConnection(new SqliteConnectionStringBuilder { DataSource = uri, Pooling = false }.ToString());
        connection.Open();
        return connection;
    }

    /// <summary>Waits until the remote has everything, hints too.</summary>
    public void Wait(SqliteConnection writer)
    {
        var directory = writer.Do("PRAGMA recovery_store");
        SpinWait.SpinUntil(() => Directory.Exists(PathOf("bucket/hints"))
            && Directory.EnumerateFiles(PathOf("bucket/hints")).Any());
        writer.Do("PRAGMA recovery_sync=remote");
        Assert.True(directory.Length > 0);
    }

    /// <summary>Runs the program in this process.</summary>
    public async Task<(int Code, string Output, string Errors)> RunAsync(params string[] arguments)
    {
        using var output = new MemoryStream();
        using var errors = new StringWriter();
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(2));
        var code = await Program.RunAsync(arguments, output, errors, patience.Token);
        return (code, Encoding.UTF8.GetString(output.ToArray()), errors.ToString());
    }

    public static int FreePort()
    {
        using var listener = new System.Net.Sockets.TcpListener(System.Net.IPAddress.Loopback, 0);
        listener.Start();
        return ((System.Net.IPEndPoint)listener.LocalEndpoint).Port;
    }

    public void Dispose()
    {
        Recovery.CloseIdleStores();
        Directory.Delete(directory, recursive: true);
    }
}

/// <summary>Statements and their results, without ADO's retries.</summary>
public static class Sql
{
    /// <summary>Runs statements; the values of all rows joined by spaces, or "!CODE" on an error.</summary>
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
                        values.Add(SQLitePCL.raw.sqlite3_column_text(statement, i).utf8_to_string() ?? "");
                if (rc != SQLitePCL.raw.SQLITE_DONE && rc != 0) return SQLitePCL.raw.sqlite3_extended_errcode(db);
            }
            sql = tail;
        }
        return 0;
    }
}
