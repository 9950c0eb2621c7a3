namespace RecoveryVfs.Dist.Tests;

/// <summary>Hosts that simply exit: with a store that lingers, and with one that is in use.</summary>
public sealed class ExitTests
{
    static Outcome Python(string uri, string code, Dictionary<string, string>? environment = null)
        => Command.RunWith(environment ?? [], "/usr/bin/python3", "-c", $"""
        import sqlite3, random
        loader = sqlite3.connect(':memory:')
        loader.enable_load_extension(True)
        loader.load_extension('{Repository.Extension}')
        db = sqlite3.connect('{uri}', uri=True, isolation_level=None)
        {code}
        """);

    [Theory]
    [InlineData("db.close()", "wal")]
    [InlineData("db.close()", "delete")]
    [InlineData("pass", "wal")]
    [InlineData("pass", "delete")]
    public async Task A_host_exits_as_it_wanted_while_pages_are_on_their_way(string end, string mode)
    {
        await Parallel.ForEachAsync(Enumerable.Range(0, 8), (turn, _) =>
        {
            using var store = new StoreDirectory();
            var outcome = Python(store.Uri, $"""
                db.execute('PRAGMA synchronous=OFF')
                db.execute('PRAGMA journal_mode={mode}')
                db.execute('CREATE TABLE t(id INTEGER PRIMARY KEY, b BLOB)')
                db.execute('BEGIN')
                for i in range({500 * turn + 1}): db.execute('INSERT INTO t(b) VALUES (randomblob(3000))')
                db.execute('COMMIT')
                for i in range(100): db.execute('UPDATE t SET b=randomblob(2900) WHERE id={turn}+?', (i,))
                {end}
                """);
            Assert.Equal((0, ""), (outcome.ExitCode, outcome.Errors));
            Assert.Equal($"{500 * turn + 1}\nok",
                store.Shell("SELECT count(*) FROM t; PRAGMA integrity_check").MustSucceed().Output.Trim());
            return ValueTask.CompletedTask;
        });
    }

    [Theory]
    [InlineData("delete"), InlineData("wal")]
    public void A_host_exits_as_it_wanted_while_its_threads_commit(string mode)
    {
        using var store = new StoreDirectory();
        string[] program =
            [Repository.HostProgram("killed"), Repository.Extension, store.Path, "page-cache=1M&pending-budget=256K",
            mode];
        for (var turn = 0; turn < 5; turn++)
        {
            var outcome = Command.Run(program[0], [.. program[1..], $"{turn}", $"{20 * turn}"]);
            Assert.Equal((7, ""), (outcome.ExitCode, outcome.Errors));
        }
        Command.Run(program[0], [.. program[1..], "check"]).MustSucceed();
    }

    // A connection that nobody closes: a reference too many, as a pool, a cycle or another thread has one.
    const string NeverClosed = "import ctypes; ctypes.pythonapi.Py_IncRef(ctypes.py_object(db))";

    [Theory]
    [InlineData("delete", "db.close()"), InlineData("delete", NeverClosed), InlineData("wal", NeverClosed)]
    [InlineData("delete", NeverClosed + "; db.execute('BEGIN'); db.execute('INSERT INTO t VALUES (8)')")]
    public void What_was_committed_just_before_the_exit_is_shipped(string mode, string end)
    {
        using var store = new StoreDirectory();
        using var remote = new StoreDirectory();
        Python($"{store.Uri}&remote=file://{remote.Path}&sync-interval=600000", $"""
            db.execute('PRAGMA journal_mode={mode}')
            db.execute('PRAGMA synchronous=OFF')
            db.execute('CREATE TABLE t(x)'); db.execute('INSERT INTO t VALUES (7)')
            {end}
            """).MustSucceed();
        var plain = Path.Combine(store.Path, "restored.sqlite");
        Command.Run(Path.Combine(Repository.Dist, "recovery"), "restore", $"file://{remote.Path}", "--database",
            "app.db", "-o", plain).MustSucceed();
        Assert.Equal("7", Command.Run("sqlite3", plain, "SELECT x FROM t").MustSucceed().Output.Trim());
    }

    [Fact]
    public void A_host_that_has_a_connection_open_exits_soon_when_its_remote_does_not_answer()
    {
        using var store = new StoreDirectory();
        // Takes connections, and never says a word.
        using var silent = new System.Net.Sockets.TcpListener(System.Net.IPAddress.Loopback, 0);
        silent.Start();
        var began = System.Diagnostics.Stopwatch.StartNew();
        var environment = new Dictionary<string, string>
        {
            ["AWS_ENDPOINT_URL"] = $"http://{silent.LocalEndpoint}",
            ["AWS_ACCESS_KEY_ID"] = "x",
            ["AWS_SECRET_ACCESS_KEY"] = "y",
            ["AWS_REGION"] = "us-east-1"
        };
        var outcome = Python($"{store.Uri}&remote=s3://bucket/prefix", $"""
            db.execute('CREATE TABLE t(x)'); db.execute('INSERT INTO t VALUES (7)')
            {NeverClosed}
            """, environment);
        Assert.Equal((0, ""), (outcome.ExitCode, outcome.Errors));
        // It waits five seconds, and the first write waited two; the limit is for a machine that is busy.
        Assert.True(began.Elapsed < TimeSpan.FromMinutes(1), $"The host took {began.Elapsed}.");
        Assert.Equal("7", store.Shell("SELECT x FROM t", "&mode=ro").MustSucceed().Output.Trim());
    }

    [Fact]
    public void A_child_that_was_forked_exits_at_once_and_leaves_shipping_to_its_parent()
    {
        using var store = new StoreDirectory();
        using var remote = new StoreDirectory();
        var outcome = Python($"{store.Uri}&remote=file://{remote.Path}&sync-interval=600000", $"""
            import os
            db.execute('CREATE TABLE t(x)'); db.execute('INSERT INTO t VALUES (7)')
            {NeverClosed}
            child = os.fork()
            if child == 0: raise SystemExit(3)
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
            db.execute('INSERT INTO t VALUES (8)')
            """).MustSucceed();
        Assert.Equal("3", outcome.Output.Trim());
        var plain = Path.Combine(store.Path, "restored.sqlite");
        Command.Run(Path.Combine(Repository.Dist, "recovery"), "restore", $"file://{remote.Path}", "--database",
            "app.db", "-o", plain).MustSucceed();
        Assert.Equal("2", Command.Run("sqlite3", plain, "SELECT count(*) FROM t").MustSucceed().Output.Trim());
    }

    [Fact]
    public async Task A_shell_ends_by_itself_while_its_remote_turns_out_to_be_of_another_store()
    {
        using var owner = new StoreDirectory();
        using var remote = new StoreDirectory();
        owner.Shell("CREATE TABLE t(x); PRAGMA recovery_sync;", $"&remote=file://{remote.Path}").MustSucceed();
        await Parallel.ForEachAsync(Enumerable.Range(0, 12), (_, _) =>
        {
            using var other = new StoreDirectory();
            var outcome = other.Shell("CREATE TABLE t(x);", $"&remote=file://{remote.Path}");
            // The shell may have met the refusal, and says so by its code; it was not ended by a signal (128 and more).
            Assert.True(outcome.ExitCode < 128, $"The shell ended with {outcome.ExitCode}: {outcome.Errors}");
            return ValueTask.CompletedTask;
        });
    }
}
