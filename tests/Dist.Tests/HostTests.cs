using System.Globalization;

namespace RecoveryVfs.Dist.Tests;

/// <summary>The extension is a guest in its host's process.</summary>
public sealed class HostTests
{
    [Fact]
    public void Loading_costs_milliseconds_and_changes_nothing_in_the_host()
    {
        var state = State();
        Assert.Equal(state["before.signals"], state["loaded.signals"]);
        Assert.Equal(state["before.locale"], state["loaded.locale"]);
        Assert.Equal("1", state["loaded.threads"]);
        // The best of some: the machine may be busy.
        Assert.InRange(Enumerable.Range(0, 5)
            .Min(_ => double.Parse(State()["load.milliseconds"], CultureInfo.InvariantCulture)), 0, 50);
    }

    [Fact]
    public void An_open_store_catches_only_the_signals_that_the_runtime_needs()
    {
        using var store = new StoreDirectory();
        var state = State(store.Uri);
        // SIGFPE, SIGSEGV, and SIGRTMIN, with which the runtime stops its threads; the C library's own 33 is in use
        // with threads.
        var own = new[] { "caught:8,", "caught:11,", "caught:33,", "caught:34," };
        Assert.Equal(state["before.signals"],
            own.Aggregate(state["opened.signals"], (signals, one) => signals.Replace(one, "")));
        Assert.Equal(state["before.locale"], state["opened.locale"]);
        Assert.Equal(state["opened.signals"], state["closed.signals"]);
    }

    [Fact]
    public void The_extension_brings_no_binding_to_SQLite_and_none_to_RocksDB_but_its_own()
    {
        var extension = File.ReadAllText(Repository.Extension + ".so", System.Text.Encoding.Latin1);
        Assert.Contains("RecoveryVfs", extension);
        Assert.DoesNotContain("SQLitePCL", extension);
        Assert.DoesNotContain("RocksDbSharp", extension);
    }

    [Fact]
    public void A_directory_copied_elsewhere_works_with_nothing_installed()
    {
        using var store = new StoreDirectory();
        using var copy = new StoreDirectory();
        foreach (var file in Directory.GetFiles(Repository.Dist, "*.so*"))
            File.Copy(file, Path.Combine(copy.Path, Path.GetFileName(file)));
        // The loader names each library it maps; RocksDB and its codecs have to be the copied ones.
        var environment = new Dictionary<string, string> { ["LD_DEBUG"] = "files" };
        var outcome =
            Command.RunWith(environment, Repository.HostProgram("process_state"), Path.Combine(copy.Path, "recovery"),
            store.Uri).MustSucceed();
        foreach (var library in new[] { "librecovery_native.so", "librocksdb.so.7.8", "libzstd.so.1", "liblz4.so.1" })
            Assert.Contains($"calling init: {copy.Path}/{library}", outcome.Errors);
    }

    [Fact]
    public void A_process_that_forks_before_its_first_open_uses_databases_in_parent_and_child()
    {
        using var store = new StoreDirectory();
        var outcome = Command.Run(Repository.HostProgram("forks"), "before", Repository.Extension, store.Uri)
            .MustSucceed();
        Assert.Equal(["child ok", "child-status 0", "parent ok", "parent-close ok"], outcome.Lines);
        Assert.Equal("2", store.Shell("SELECT count(*) FROM t").MustSucceed().Output.Trim());
    }

    [Fact]
    public void A_child_forked_after_an_open_gets_an_error_that_says_why_and_harms_nothing()
    {
        using var store = new StoreDirectory();
        var outcome = Command.Run(Repository.HostProgram("forks"), "after", Repository.Extension, store.Uri)
            .MustSucceed();
        Assert.Equal(5, outcome.Lines.Length);
        Assert.StartsWith("child-with-parents-connection ", outcome.Lines[0]);
        Assert.DoesNotContain("child-with-parents-connection ok", outcome.Output);
        Assert.Equal("child-with-its-own unable to open database file", outcome.Lines[1]);
        Assert.Equal(["child-status 0", "parent ok", "parent-close ok"], outcome.Lines[2..]);
        Assert.Contains("fork", outcome.Errors);
        Assert.Equal("2\nok", store.Shell("SELECT count(*) FROM t; PRAGMA integrity_check").MustSucceed()
            .Output.Trim());
    }

    [Fact]
    public void A_host_that_exits_without_closing_loses_only_what_was_not_committed()
    {
        using var store = new StoreDirectory();
        var outcome = Command.Run(Repository.HostProgram("commits"), Repository.Extension, store.Uri, "50", "leave")
            .MustSucceed();
        Assert.Equal(50, outcome.Lines.Length);
        Assert.Equal("50\nok", store.Shell("SELECT count(*) FROM n; PRAGMA integrity_check").MustSucceed()
            .Output.Trim());
    }

    [Fact]
    public void What_went_wrong_is_said_on_every_connection_and_in_the_log_that_the_environment_names()
    {
        using var store = new StoreDirectory();
        var outcome = Command.RunWith(new() { ["RECOVERY_LOG"] = "stderr" }, "/usr/bin/python3", "-c", $"""
            import sqlite3
            plain = sqlite3.connect(':memory:')
            plain.enable_load_extension(True)
            plain.load_extension('{Repository.Extension}')
            print(plain.execute('SELECT recovery_last_error()').fetchone()[0] == '')
            try: sqlite3.connect('file:{store.Path}/none/app.db?vfs=recovery', uri=True).execute('CREATE TABLE t(x)')
            except sqlite3.OperationalError as e: print(e)
            print(plain.execute('SELECT recovery_last_error()').fetchone()[0])
            print(sqlite3.connect(':memory:').execute('SELECT recovery_last_error()').fetchone()[0])
            """).MustSucceed();
        Assert.Equal(["True", "unable to open database file"], outcome.Lines[..2]);
        foreach (var line in outcome.Lines[2..4]) Assert.Contains("none/app.db", line);
        Assert.Contains("error CANTOPEN", outcome.Errors);
    }

    [Fact]
    public void The_environment_makes_it_the_default_VFS()
    {
        using var store = new StoreDirectory();
        var outcome = Command.RunWith(new() { ["RECOVERY_VFS_DEFAULT"] = "1" }, "sqlite3", "-batch", "-bail",
            "-cmd", ".load " + Repository.Extension, "-cmd", $".open {store.Path}/plain.db", ":memory:",
                "CREATE TABLE t(x)", ".vfsname").MustSucceed();
        Assert.Equal("recovery", outcome.Output.Trim());
        Assert.True(Directory.Exists(Path.Combine(store.Path, ".recovery")));
    }

    static Dictionary<string, string> State(params string[] uri) =>
        Command.Run(Repository.HostProgram("process_state"), [Repository.Extension, .. uri]).MustSucceed().Lines
            .Select(line => line.Split(' ', 2)).ToDictionary(parts => parts[0], parts => parts[1]);
}
