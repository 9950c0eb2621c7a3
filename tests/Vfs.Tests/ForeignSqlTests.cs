using RecoveryVfs.PageStore.Stores;

namespace RecoveryVfs.Tests;

/// <summary>Whoever runs SQL may run ATTACH, and so write a URI: that must not lead anybody's data elsewhere.</summary>
public sealed class ForeignSqlTests : IDisposable
{
    readonly TestStore store = new();

    public void Dispose() => store.Dispose();

    string Remote(string name) => "file://" + store.PathOf(name);

    string SecretWith(string remote)
        => store.UriOf("secret/s.db", "sync-interval=20&linger=0&remote=" + Uri.EscapeDataString(remote));

    /// <summary>A database of a store of its own that ships, and is closed.</summary>
    void WriteSecret()
    {
        Directory.CreateDirectory(store.PathOf("secret"));
        store.Open("secret/s.db", "sync-interval=20&remote=" + Uri.EscapeDataString(Remote("ours")))
            .Do("CREATE TABLE t(x); INSERT INTO t VALUES('secret'); PRAGMA recovery_sync");
        store.Close();
        Assert.Equal(Remote("ours"), new StoreHome(store.PathOf("secret/.recovery")).RemoteUrl);
    }

    [Fact]
    public void Attach_does_not_lead_a_store_that_ships_to_another_remote()
    {
        WriteSecret();
        var foreign = store.Open("other.db");
        Assert.StartsWith("!", foreign.Try($"ATTACH '{SecretWith(Remote("thief"))}' AS s; SELECT count(*) FROM s.t"));
        Assert.Contains("recovery remote set", Recovery.LastError);
        Assert.Contains(Remote("ours"), Recovery.LastError);
        Assert.Contains(Remote("thief"), Recovery.LastError);
        Assert.False(Directory.Exists(store.PathOf("thief")));
        Assert.Equal(Remote("ours"), new StoreHome(store.PathOf("secret/.recovery")).RemoteUrl);
        Assert.Equal("1 " + Remote("ours"),
            foreign.Do($"ATTACH '{SecretWith(Remote("ours"))}' AS s; SELECT count(*) FROM s.t; PRAGMA "
                + "s.recovery_remote"));
    }

    [Fact]
    public void Attach_does_not_keep_a_store_from_shipping()
    {
        WriteSecret();
        var foreign = store.Open("other.db");
        Assert.StartsWith("!", foreign.Try($"ATTACH '{SecretWith("none")}' AS s; INSERT INTO s.t VALUES('unshipped')"));
        Assert.Contains("recovery remote set", Recovery.LastError);
        Assert.Contains(Remote("ours"), Recovery.LastError);
        // Of a store that ships nowhere it says what is so.
        Assert.Equal("none", store.Open("alone.db", "store=" + store.PathOf("alone") + "&remote=none")
            .Do("PRAGMA recovery_remote"));
    }

    [Theory, InlineData("thief"), InlineData("none")]
    public void A_remote_in_the_config_is_not_changed_by_a_uri(string wanted)
    {
        Directory.CreateDirectory(store.PathOf("secret/.recovery"));
        File.WriteAllText(store.PathOf("secret/.recovery/config"), $"remote = {Remote("ours")}\n");
        var remote = wanted == "none" ? wanted : Remote(wanted);
        Assert.StartsWith("!", store.Open("other.db")
            .Try($"ATTACH '{SecretWith(remote)}' AS s; SELECT count(*) FROM s.sqlite_master"));
        Assert.Contains("its config", Recovery.LastError);
        Assert.False(Directory.Exists(store.PathOf("thief")));
    }

    [Fact]
    public void An_open_store_takes_no_other_store_wide_options()
    {
        WriteSecret();
        store.Open("secret/s.db", "page-cache=8M");
        var foreign = store.Open("other.db");
        foreach (var (name, value) in (ReadOnlySpan<(string, string)>)[
            ("remote", Uri.EscapeDataString(Remote("thief"))), ("remote", "none"), ("page-cache", "9M"),
            ("retention", "0")])
        {
            Assert.StartsWith("!",
                foreign.Try($"ATTACH '{store.UriOf("secret/s.db", $"{name}={value}")}' AS s; SELECT count(*) FROM "
                    + "s.t"));
            Assert.Contains($"another {name}", Recovery.LastError);
            // By another path to the same store, too.
            Assert.StartsWith("!",
                foreign.Try($"ATTACH '{store.UriOf("secret/new.db", $"{name}={value}")}' AS s; SELECT count(*) FROM "
                    + "s.sqlite_master"));
        }
        Assert.Equal("1",
            foreign.Do("ATTACH '"
                + store.UriOf("secret/s.db",
                    "page-cache=8M&isolation=locking&remote=" + Uri.EscapeDataString(Remote("ours")))
                + "' AS s; SELECT count(*) FROM s.t"));
    }

    [Theory]
    [InlineData("remote=file%3A%2F%2F%2Ftmp%2Fthief", "remote")]
    [InlineData("store=/tmp/elsewhere", "store")]
    [InlineData("follow=file%3A%2F%2F%2Ftmp%2Fthief", "follow")]
    [InlineData("auto-restore=on", "auto-restore")]
    [InlineData("retention=0", "retention")]
    [InlineData("endpoint=http://thief", "endpoint")]
    public void A_program_that_runs_the_sql_of_others_refuses_options_in_uris(string option, string name)
    {
        var said = Opener.InProcess(new() { ["RECOVERY_URI_OPTIONS"] = "safe" }, store.UriOf("mine.db"),
            "CREATE TABLE t(x)",
                $"ATTACH '{store.UriOf("other.db", option)}' AS o; SELECT count(*) FROM o.sqlite_master",
                "SELECT 'goes on'");
        Assert.Contains("\n!", said);
        Assert.Contains("goes on", said);
        Assert.Contains(name, said);
        Assert.False(File.Exists(store.PathOf("other.db")));
    }

    [Fact]
    public void Of_a_connections_own_options_a_safe_uri_may_say_all_but_a_weaker_durability()
    {
        var environment = new Dictionary<string,
            string>
        { ["RECOVERY_URI_OPTIONS"] = "safe", ["RECOVERY_DURABILITY"] = "remote" };
        Assert.Contains("locking",
            Opener.InProcess(environment, store.UriOf("mine.db", "isolation=locking&journal=plain&durability=remote"),
            "PRAGMA recovery_isolation"));
        Assert.Contains("durability=",
            Opener.InProcess(environment, store.UriOf("mine.db", "durability=async"), "SELECT 1"));
    }

    [Theory]
    [InlineData("remot=file:///tmp/x", "'remote'")]
    [InlineData("Remote=file:///tmp/x", "'remote'")]
    [InlineData("sync_interval=5", "'sync-interval'")]
    [InlineData("durabilty=remote", "'durability'")]
    [InlineData("retentoin=5", "'retention'")]
    [InlineData("endpoint=http://localhost", "escape the URL")]
    public void A_misspelled_option_in_a_uri_is_an_error_that_names_the_nearest(string option, string meant)
    {
        Assert.ThrowsAny<Exception>(() => store.Open("a.db", option).Do("CREATE TABLE t(x)"));
        Assert.Contains(meant, Recovery.LastError);
        Assert.Empty(Directory.GetFileSystemEntries(store.Directory));
    }

    [Fact]
    public void What_does_not_look_like_ours_in_a_uri_is_somebody_elses() =>
        Assert.Equal("0", store.Open("a.db", "cache=private&psow=1&application=test&modeof=x&key=1")
            .Do("SELECT count(*) FROM sqlite_master"));

    [Fact]
    public void A_misspelled_option_in_the_environment_is_an_error_that_names_the_nearest()
    {
        Assert.Contains("RECOVERY_REMOTE?",
            Opener.InProcess(new() { ["RECOVERY_REMOT"] = "file:///tmp/x" }, store.UriOf("a.db"), "CREATE TABLE t(x)"));
        Assert.Contains("all or safe",
            Opener.InProcess(new() { ["RECOVERY_URI_OPTIONS"] = "sometimes" }, store.UriOf("a.db"),
            "CREATE TABLE t(x)"));
        Assert.Empty(Directory.GetFileSystemEntries(store.Directory));
        Assert.Contains("fine",
            Opener.InProcess(new() { ["RECOVERY_TEAM"] = "ours" }, store.UriOf("a.db"), "SELECT 'fine'"));
    }

    [Fact]
    public void Sync_without_a_remote_is_an_error()
    {
        var db = store.Open();
        db.Do("CREATE TABLE t(x)");
        Assert.Equal("!1", db.Try("PRAGMA recovery_sync"));
        Assert.Contains("no remote", Recovery.LastError);
    }

    [Fact]
    public void Sql_raises_the_durability_and_does_not_lower_it()
    {
        WriteSecret();
        var db = store.Open("secret/s.db");
        Assert.Equal("async remote remote",
            db.Do("PRAGMA recovery_durability; PRAGMA recovery_durability=remote; PRAGMA recovery_durability=remote"));
        Assert.Equal("!1", db.Try("PRAGMA recovery_durability=async"));
        Assert.Contains("not lowered", Recovery.LastError);
        Assert.Equal("remote", db.Do("PRAGMA recovery_durability"));
    }
}
