using System.Diagnostics;
using System.Net.Sockets;
using System.Text.Json;
using Microsoft.Data.Sqlite;
using RecoveryVfs.Interop;
using RecoveryVfs.Statements;

namespace RecoveryVfs.Cli.Tests;

/// <summary>SQL on a database, with nobody beside it, beside a writer, and in the writer's own process.</summary>
[System.Runtime.Versioning.SupportedOSPlatform("linux")]
public sealed class SqlTests : IDisposable
{
    readonly string root = Directory.CreateTempSubdirectory("recovery-sql-").FullName;

    public SqlTests()
    {
        SQLitePCL.Batteries_V2.Init();
        Recovery.Register();
    }

    public void Dispose()
    {
        Shipped.Close();
        Directory.Delete(root, recursive: true);
    }

    string Database => Path.Combine(root, "a.db");

    string SocketPath => Path.Combine(root, ".recovery", "sql");

    const string Table =
        "CREATE TABLE t(id INTEGER PRIMARY KEY, v, w); INSERT INTO t(v, w) VALUES (1, 'one'), (2.5, NULL), (x'0aff', "
            + "'a \"b\", c')";

    /// <summary>An application that has the store open.</summary>
    SqliteConnection Application(string sql = Table, string options = "")
    {
        var db = Shipped.Open(root, "a.db", options);
        Shipped.Execute(db, sql);
        return db;
    }

    Outcome Sql(params string[] arguments) => Recover.Run(["sql", Database, .. arguments]);

    Outcome Write(string sql, params string[] more) => Sql(["--write", sql, .. more]);

    [Fact]
    public void Rows_come_as_lists_csv_json_and_boxes()
    {
        Application().Dispose();
        Shipped.Close();
        const string select = "SELECT v, w FROM t ORDER BY id";
        Assert.Equal("1|one\n2.5|\nx'0aff'|a \"b\", c\n", Sql(select).MustEndWith(0).Output);
        Assert.Equal("v|w\n1|one\n2.5|\nx'0aff'|a \"b\", c\n", Sql(select, "--header").MustEndWith(0).Output);
        Assert.Equal("v,w\r\n1,one\r\n2.5,\r\nx'0aff',\"a \"\"b\"\", c\"\r\n",
            Sql(select, "--csv", "--header").MustEndWith(0).Output);
        Assert.Equal("""[{"v":1,"w":"one"},""" + "\n" + """{"v":2.5,"w":null},""" + "\n" + """{"v":"x'0aff'","w":"a \"b\", c"}]""" + "\n", Sql(select, "--json").MustEndWith(0).Output);
        Assert.Equal("┌────────┐\n│ w      │\n├────────┤\n│ 日本語 │\n└────────┘\n",
            Sql("SELECT '日本語' AS w", "--box").MustEndWith(0).Output);
        Assert.Equal("[]\n", Sql("SELECT 1 WHERE 0", "--json").MustEndWith(0).Output);
        Assert.Equal("1\n2\n", Sql("SELECT 1; -- and\nSELECT 2;").MustEndWith(0).Output);
        Sql("SELECT 1", "--json", "--csv").MustEndWith(2);
    }

    [Fact]
    public void It_reads_beside_a_writer_and_does_not_write()
    {
        using var application = Application();
        Shipped.Execute(application, "BEGIN IMMEDIATE; DELETE FROM t");
        Assert.Equal("3\n", Sql("SELECT count(*) FROM t").MustEndWith(0).Output);
        Assert.Contains("readonly", Sql("DELETE FROM t").MustEndWith(1).Errors);
        Assert.Contains("no such table: nope", Sql("SELECT * FROM nope").MustEndWith(2).Errors);
        Assert.Equal("usage", JsonDocument.Parse(Sql("SELECT * FROM nope", "--json").Errors)
            .RootElement.GetProperty("error").GetProperty("kind").GetString());
        Recover.Run("sql", Path.Combine(root, "none.db"), "SELECT 1").MustEndWith(3);
    }

    [Fact]
    public void What_it_writes_runs_in_the_process_that_has_the_store()
    {
        using var application = Application();
        Assert.Equal("2\n", Write("UPDATE t SET w = 'mended' WHERE id < 3; SELECT changes()").MustEndWith(0).Output);
        Assert.Equal("2", Shipped.Scalar(application, "SELECT count(*) FROM t WHERE w = 'mended'"));
        // The types of values survive the way.
        Assert.Equal("integer|text|real|text|blob|text\n1|2.5|x'0aff'\n",
            Write("SELECT group_concat(typeof(v) || '|' || typeof(w), '|') FROM t; SELECT group_concat(quote(v), "
                + "'|') FROM t WHERE 0; SELECT (SELECT v FROM t WHERE id=1), (SELECT v FROM t WHERE id=2), (SELECT v "
                + "FROM t WHERE id=3)")
                .MustEndWith(0).Output.Replace("\n\n", "\n"));
        var far = Recover.Run("sql", Database, "--write", "SELECT v FROM t WHERE id = 2", "--json").MustEndWith(0);
        Assert.Equal(2.5, far.Json[0].GetProperty("v").GetDouble());
    }

    [Fact]
    public void A_transaction_is_whole_or_not_at_all()
    {
        using var application = Application();
        Write("BEGIN; INSERT INTO t(v) VALUES (4); INSERT INTO t(v) VALUES (5); COMMIT").MustEndWith(0);
        Assert.Contains("UNIQUE constraint failed: t.id",
            Write("BEGIN; INSERT INTO t(v) VALUES (6); INSERT INTO t(id) VALUES (1); COMMIT").MustEndWith(1).Errors);
        Assert.Contains("rolled back", Write("BEGIN; INSERT INTO t(v) VALUES (7)").MustEndWith(0).Errors);
        Assert.Equal("5", Shipped.Scalar(application, "SELECT count(*) FROM t"));
        // Nothing of them holds the application up.
        Shipped.Execute(application, "INSERT INTO t(v) VALUES (8)");
    }

    [Fact]
    public void A_writer_of_the_application_is_waited_for_and_then_reported_as_sqlite_does()
    {
        using var application = Application();
        Shipped.Execute(application, "BEGIN IMMEDIATE");
        Assert.Contains("database is locked", Write("INSERT INTO t(v) VALUES (9)").MustEndWith(5).Errors);
        Shipped.Execute(application, "COMMIT");
        Write("INSERT INTO t(v) VALUES (9)").MustEndWith(0);
    }

    const string Endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) ";

    [Fact]
    public void Time_and_results_have_limits_and_what_was_stopped_changes_nothing()
    {
        using var application = Application();
        Assert.Contains("Stopped after 1 s",
            Write(Endless + "INSERT INTO t(v) SELECT x FROM c", "--timeout", "1s").MustEndWith(1).Errors);
        Assert.Contains("MiB", Write("INSERT INTO t(v) SELECT 1; " + Endless + "SELECT zeroblob(1000000) FROM c")
            .MustEndWith(1).Errors);
        Assert.Contains("MiB",
            Write("WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 100) INSERT INTO t(v) "
                + "SELECT zeroblob(1000000) FROM c RETURNING v").MustEndWith(1).Errors);
        Assert.Equal("4", Shipped.Scalar(application, "SELECT count(*) FROM t"));
        Sql("SELECT 1", "--write", "--timeout", "2h").MustEndWith(2);
    }

    [Fact]
    public void A_transaction_that_is_left_open_ends_and_one_whose_client_is_gone_too()
    {
        using var application = Application();
        // It listens soon after the store has opened.
        Write("SELECT 1").MustEndWith(0);
        using (var slow = SqlClient.TryConnect(Path.GetDirectoryName(SocketPath)!, "a.db", TimeSpan.FromSeconds(1))!)
        {
            slow.Run("BEGIN IMMEDIATE; DELETE FROM t", new Nothing());
            Assert.True(slow.IsInTransaction);
            // Its own thread rolls it back; the application waits for that with its busy timeout.
            Shipped.Execute(application, "INSERT INTO t(v) VALUES (4)");
            Assert.Contains("rolled back", Assert.Throws<SqlFailure>(() => slow.Run("COMMIT", new Nothing())).Message);
        }
        var gone = SqlClient.TryConnect(Path.GetDirectoryName(SocketPath)!, "a.db", TimeSpan.FromSeconds(60))!;
        gone.Run("BEGIN IMMEDIATE; DELETE FROM t", new Nothing());
        gone.Dispose();
        Shipped.Execute(application, "INSERT INTO t(v) VALUES (5)");
        Assert.Equal("5", Shipped.Scalar(application, "SELECT count(*) FROM t"));
    }

    sealed class Nothing : ISqlResults
    {
        public void Columns(string[] names) { }
        public void Row(SqlValue[] values) { }
        public void Done(bool hasRows, long changes) { }
    }

    [Fact]
    public void Without_anybody_it_opens_the_store_itself_and_takes_statements_from_standard_input()
    {
        Application().Dispose();
        Shipped.Close();
        Assert.False(File.Exists(SocketPath));
        var program = Path.Combine(AppContext.BaseDirectory, "recovery.dll");
        using var process =
            Process.Start(
            new ProcessStartInfo("sh",
            ["-c", $"printf 'INSERT INTO t(v) VALUES (4);\\nSELECT count(*)\\nFROM t' | dotnet {program} sql {Database}"
                + " --write"])
            { RedirectStandardOutput = true })
            !;
        Assert.Equal("4\n", process.StandardOutput.ReadToEnd());
        using var application = Application("SELECT 1");
        Assert.Equal("4", Shipped.Scalar(application, "SELECT count(*) FROM t"));
    }

    [Fact]
    public void A_prompt_on_a_terminal()
    {
        using var application = Application();
        var program = Path.Combine(AppContext.BaseDirectory, "recovery.dll");
        var typed = ".mode box\\n.tables\\nSELECT id\\n  FROM t WHERE id = 3;\\nBEGIN;\\nDELETE FROM t;\\nSELECT "
            + "nope;\\nROLLBACK;\\n.nonsense\\nSELECT count(*) AS n FROM t;\\n.quit\\n";
        using var process =
            Process.Start(
            new ProcessStartInfo("sh",
            ["-c", $"printf '{typed}' | script -qec 'dotnet {program} sql {Database} --write' "
                + "/dev/null"])
            { RedirectStandardOutput = true })
            !;
        var said = process.StandardOutput.ReadToEnd().Replace("\r", "");
        process.WaitForExit();
        foreach (var part in (string[])["recovery> ", "     ...> ", "recovery*> ", "│ t    │", "│ 3  │",
            "no such column: nope", ".help says", "│ 3 │", $"pid {Environment.ProcessId}"])
            Assert.Contains(part, said);
        Assert.Equal(0, process.ExitCode);
    }

    [Fact]
    public void The_switch_turns_it_off()
    {
        using var application = Application(options: "&sql-socket=off");
        Assert.Contains("sql-socket=on", Write("DELETE FROM t").MustEndWith(5).Errors);
        Assert.False(File.Exists(SocketPath));
        Sql("SELECT count(*) FROM t").MustEndWith(0);
    }

    [Fact]
    public void The_socket_is_its_users_alone_and_goes_with_the_store()
    {
        using (Application())
        {
            Write("SELECT 1").MustEndWith(0);
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(SocketPath));
        }
        Shipped.Close();
        Assert.False(File.Exists(SocketPath));
    }

    [Fact]
    public void Another_user_is_refused_by_rights_and_by_who_it_is()
    {
        if (Environment.UserName != "root") return;
        using var application = Application();
        Write("SELECT 1").MustEndWith(0);
        File.SetUnixFileMode(root, (UnixFileMode)0b111_101_101);
        File.SetUnixFileMode(Path.GetDirectoryName(SocketPath)!, (UnixFileMode)0b111_101_101);
        const string ask =
            "import "
                + "socket,sys\ns=socket.socket(socket.AF_UNIX)\ns.connect(sys.argv[1])\n"
                + "s.sendall(bytes([14,0,0,0])+b'H'+bytes([1,0,0,0,0,0,0,0,4,0,0,0])+b'a.db')\nprint(len(s.recv(100)))";
        string Ask()
        {
            using var python =
                Process.Start(
                new ProcessStartInfo("setpriv",
                ["--reuid", "65534", "--regid", "65534", "--clear-groups", "/usr/bin/env", "python3", "-c", ask,
                SocketPath])
                { RedirectStandardOutput = true, RedirectStandardError = true })
                !;
            return python.StandardOutput.ReadToEnd() + python.StandardError.ReadToEnd();
        }
        Assert.Contains("Permission", Ask());
        // Even where somebody has given the socket away.
        File.SetUnixFileMode(SocketPath, (UnixFileMode)0b110_110_110);
        var refused = Ask();
        Assert.True(refused == "0\n" || refused.Contains("ConnectionResetError")
            || refused.Contains("BrokenPipeError"), refused);
        Write("SELECT 1").MustEndWith(0);
    }

    [Fact]
    public void What_a_killed_process_left_is_replaced_and_what_is_no_socket_is_left_alone()
    {
        Application().Dispose();
        Shipped.Close();
        // As after a kill: a name that nobody listens behind.
        using (var left = new Socket(AddressFamily.Unix, SocketType.Stream, ProtocolType.Unspecified))
        {
            var aside = Path.Combine(root, "aside");
            left.Bind(new UnixDomainSocketEndPoint(aside));
            File.Move(aside, SocketPath);
        }
        Write("INSERT INTO t(v) VALUES (4)").MustEndWith(0);
        using (var application = Application("SELECT 1"))
            Assert.Equal("5\n", Write("INSERT INTO t(v) VALUES (5); SELECT count(*) FROM t").MustEndWith(0).Output);
        Shipped.Close();
        File.WriteAllText(SocketPath, "mine");
        using (var application = Application("SELECT 1")) Write("INSERT INTO t(v) VALUES (6)").MustEndWith(5);
        Shipped.Close();
        Assert.Equal("mine", File.ReadAllText(SocketPath));
    }

    [Fact]
    public void Nonsense_from_the_other_end_harms_nobody()
    {
        using var application = Application();
        Write("SELECT 1").MustEndWith(0);
        var random = new Random(20);
        for (var i = 0; i < 50; i++)
        {
            using var socket = UnixSocket.TryConnect(SocketPath)!;
            var bytes = new byte[random.Next(1, 60)];
            random.NextBytes(bytes);
            if (i % 2 == 0)
                new byte[] { (byte)(random.Next(40)), 0, 0, 0, (byte)'H', 1, 0, 0, 0 }.AsSpan(0,
                    Math.Min(9, bytes.Length)).CopyTo(bytes);
            socket.Send(bytes);
        }
        // Those that were cut short are waited for, for a while, and hold places.
        Outcome outcome;
        for (var tries = 0; (outcome = Write("SELECT 1")).ExitCode == 5 && tries < 30; tries++) { }
        outcome.MustEndWith(0);
        Shipped.Execute(application, "INSERT INTO t(v) VALUES (4)");
    }

    [Fact]
    public void A_path_longer_than_a_sockets_address_is_no_trouble()
    {
        var deep = Path.Combine(root, new string('d', 120), new string('e', 120));
        Directory.CreateDirectory(deep);
        using var application = Shipped.Open(deep, "a.db");
        Shipped.Execute(application, Table);
        Assert.Equal("3\n", Recover.Run("sql", Path.Combine(deep, "a.db"), "--write", "SELECT count(*) FROM t")
            .MustEndWith(0).Output);
    }
}
