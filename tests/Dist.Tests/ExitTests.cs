namespace RecoveryVfs.Dist.Tests;

/// <summary>Hosts that simply exit: with a store that lingers, and with one that is in use.</summary>
public sealed class ExitTests
{
    static Outcome Python(string uri, string code) => Command.Run("/usr/bin/python3", "-c", $"""
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

    [Fact]
    public void What_was_committed_just_before_the_exit_is_shipped_when_the_connections_were_closed()
    {
        using var store = new StoreDirectory();
        using var remote = new StoreDirectory();
        Python($"{store.Uri}&remote=file://{remote.Path}&sync-interval=600000",
            "db.execute('CREATE TABLE t(x)'); db.execute('INSERT INTO t VALUES (7)'); db.close()").MustSucceed();
        var plain = Path.Combine(store.Path, "restored.sqlite");
        Command.Run(Path.Combine(Repository.Dist, "recovery"), "restore", $"file://{remote.Path}", "--database",
            "app.db", "-o", plain).MustSucceed();
        Assert.Equal("7", Command.Run("sqlite3", plain, "SELECT x FROM t").MustSucceed().Output.Trim());
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
