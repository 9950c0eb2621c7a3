namespace RecoveryVfs.Testing;

/// <summary>
/// Each command of the program, given a recorded RocksDB or its remote: it works, or says in a sentence what to use.
/// </summary>
public sealed class CommandTests(ShippedRocksDb shipped) : IClassFixture<ShippedRocksDb>
{
    const string UseRestore = "holds the files of a RocksDB, not SQLite databases. `recovery restore` brings them back";
    const string NoDatabases = "is the log of the RocksDB in";
    const string NoBranches = "branches are of SQLite databases";

    [Theory]
    [InlineData("verify URL", 0, "It is a RocksDB of")]
    [InlineData("verify URL --full", 0, "which opens, and of which every block was read")]
    [InlineData("verify DIR --sample", 0, "A sample verifies")]
    [InlineData("status URL", 0, "the files of a RocksDB")]
    [InlineData("status DIR", 0, "the files of a RocksDB")]
    [InlineData("log URL", 0, "log/0000000000000001")]
    [InlineData("log DIR", 0, "0000000000000001.log")]
    [InlineData("log URL --commits", 2, UseRestore)]
    [InlineData("log DIR --commits", 2, NoDatabases)]
    [InlineData("log DIR --around now", 2, NoDatabases)]
    [InlineData("hints URL", 0, "EXTENTS")]
    [InlineData("gc --dry-run URL", 0, "Would delete 0 objects")]
    [InlineData("salvage DIR", 2, "has all that was written to it")]
    [InlineData("check URL", 0, "Nothing needs attention.")]
    [InlineData("doctor DIR", 0, "every block was read")]
    [InlineData("branch URL file://NEW", 2, NoBranches)]
    [InlineData("branch DIR NEW", 2, NoBranches)]
    [InlineData("branches URL", 0, "BRANCH")]
    [InlineData("snapshot --list URL", 0, "NAME")]
    [InlineData("snapshot create URL -o NEW", 2, "snapshot files are of SQLite databases")]
    [InlineData("snapshot create DIR -o NEW", 2, "snapshot files are of SQLite databases")]
    [InlineData("databases URL", 2, UseRestore)]
    [InlineData("databases DIR", 2, NoDatabases)]
    [InlineData("bookmark URL", 0, "-1-")]
    [InlineData("diff URL --from 10 --to 20", 2, UseRestore)]
    [InlineData("diff DIR --from 10 --to 20", 2, NoDatabases)]
    [InlineData("at URL --lsn 20 --database a.db --query select", 2, UseRestore)]
    [InlineData("rollbacks DIR", 2, NoDatabases)]
    [InlineData("promote DIR", 2, "is not a replica")]
    [InlineData("remote show DIR", 0, "remote")]
    [InlineData("sql DIR/a.db select", 3, "There is no RecoveryVfs database")]
    public void A_command_works_or_says_what_to_use(string command, int code, string says)
    {
        var place = shipped.At("new-" + Guid.NewGuid().ToString("N")[..8]);
        string[] arguments = [.. command.Split(' ').Select(w => w.Replace("URL", shipped.Url, StringComparison.Ordinal)
            .Replace("DIR", shipped.Path, StringComparison.Ordinal).Replace("NEW", place, StringComparison.Ordinal))];
        var outcome = Programs.Recovery(arguments).MustEndWith(code);
        Assert.Contains(says, outcome.Output + outcome.Errors, StringComparison.Ordinal);
        Assert.False(File.Exists(place) || (Directory.Exists(place) && Directory.EnumerateFiles(place).Any()));
    }

    [Fact]
    public void A_snapshot_keeps_a_state_that_can_be_restored_by_its_name()
    {
        var remote = "file://" + shipped.CopyOfRemote();
        Programs.Recovery("snapshot", "kept", remote).MustEndWith(0);
        var into = shipped.At("by-name");
        Programs.Recovery("restore", remote, into, "--snapshot", "kept").MustEndWith(0);
        Assert.Equal(ShippedRocksDb.Pairs, Site.Read(into).Count);
    }

    [Fact]
    public void What_a_closed_RocksDB_has_not_shipped_ships_and_its_remote_is_collected()
    {
        using var site = new Site();
        using (var kv = site.Open()) kv.Db.Put("a", "1");
        // Written without being recorded.
        Site.Run("ldb", $"--db={site.Path}", "put", "b", "2");
        Programs.Recovery("sync", "--wait", site.Path).MustEndWith(0);
        Programs.Recovery("gc", site.Path, "--keep", "0s", "--grace", "0s", "--keep-hints", "1").MustEndWith(0);
        Programs.Recovery("verify", site.Url).MustEndWith(0);
        var into = site.At("restored");
        Programs.Recovery("restore", site.Url, into).MustEndWith(0);
        Assert.Equal(["a", "b"], Site.Read(into).Keys);
    }

    [Fact]
    public void A_RocksDB_in_use_is_neither_synced_nor_collected_by_others()
    {
        using var site = new Site();
        using var kv = site.Open();
        var sync = Programs.Recovery("sync", site.Path);
        Assert.Contains("RecordedRocksDb.SyncAsync", sync.MustEndWith(sync.ExitCode).Errors, StringComparison.Ordinal);
        Assert.NotEqual(0, sync.ExitCode);
        Assert.NotEqual(0, Programs.Recovery("gc", site.Path).ExitCode);
        // It goes on.
        kv.Db.Put("a", "1");
        Assert.Equal("1", kv.Db.Get("a"));
    }

    [Fact]
    public void A_database_cannot_be_made_where_a_RocksDB_has_its_log()
    {
        using var site = new Site();
        using (var kv = site.Open()) kv.Db.Put("a", "1");
        var plain = site.At("plain.db");
        Site.Run("sqlite3", plain, "CREATE TABLE t(a)");
        var import = Programs.Recovery("import", plain, Path.Combine(site.Path, "a.db")).MustEndWith(2);
        Assert.Contains(NoDatabases, import.Errors, StringComparison.Ordinal);
        Assert.Equal(["a"], Site.Read(site.Path).Keys);
    }
}
