using System.Globalization;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Writing;

namespace RecoveryVfs.Cli.Tests;

/// <summary>
/// <c>recovery restore</c>: stores and plain files, at any commit, and the idioms that scripts count on.
/// </summary>
public sealed class RestoreTests(Shipped shipped) : IClassFixture<Shipped>
{
    [Fact]
    public void A_store_comes_back_whole_with_its_stubs()
    {
        var place = shipped.Place("store");
        var report = Recover.Run("restore", shipped.Remote, place, "--integrity-check", "full", "--json").MustEndWith(0)
            .Json;
        Assert.Equal(["a.db", "w.db"], report.GetProperty("databases").EnumerateArray().Select(d => d.GetString()));
        Assert.StartsWith("This is a RecoveryVfs database.", File.ReadAllText(Path.Combine(place, "a.db")));
        Assert.Equal(Shipped.Commits, Shipped.RowsOfStore(place, "a.db"));
        Assert.Equal(3, Shipped.RowsOfStore(place, "w.db"));
        Assert.Equal([".recovery", "a.db", "w.db"],
            Directory.EnumerateFileSystemEntries(place).Select(Path.GetFileName).Order());
    }

    [Fact]
    public void A_plain_file_comes_back_of_a_database_in_either_journal_mode()
    {
        var (a, w) = (shipped.Place("a.db"), shipped.Place("w.db"));
        // Neither takes a store on the way.
        Assert.Equal("", Recover.Run("restore", shipped.Remote, "--database", "a.db", "-o", a).MustEndWith(0).Errors);
        Assert.Equal("", Recover.Run("restore", shipped.Remote, "--database", "w.db", "-o", w).MustEndWith(0).Errors);
        Assert.Equal(Shipped.Commits, Shipped.RowsOfPlain(a));
        Assert.Equal(3, Shipped.RowsOfPlain(w));
    }

    [Fact]
    public void A_name_that_went_to_another_database_in_the_log_takes_a_store_on_the_way()
    {
        var (data, remote) = (shipped.Place("renamed"), "file://" + shipped.Place("remote"));
        Directory.CreateDirectory(data);
        using (var connection = Shipped.Open(data, "a.db"))
            Shipped.Execute(connection, "CREATE TABLE t(x); INSERT INTO t VALUES (1)");
        Shipped.Close();
        Recover.Run("sync", "--wait", data, "--remote", remote).MustEndWith(0);
        Recover.Run("delete", Path.Combine(data, "a.db")).MustEndWith(0);
        using (var connection = Shipped.Open(data, "a.db", "&remote=" + Uri.EscapeDataString(remote)))
        {
            Shipped.Execute(connection, "CREATE TABLE t(x); INSERT INTO t VALUES (1), (2)");
            Shipped.Execute(connection, "PRAGMA recovery_sync");
        }
        Shipped.Close();
        var file = shipped.Place("file");
        Recover.Run("restore", remote, "--database", "a.db", "-o", file).MustEndWith(0);
        Assert.Equal(2, Shipped.RowsOfPlain(file));
    }

    [Fact]
    public void Of_many_databases_some_are_named_and_the_others_counted()
    {
        const int Databases = 300, WidthMax = 300;
        var remote = "file://" + shipped.Place("remote");
        using (var store = Store.Open(new StoreOptions
        {
            Directory = Path.Combine(shipped.Place("data"), ".recovery"),
            Remote = new RemoteOptions { Url = remote },
        }))
        {
            for (var i = 0; i < Databases; i++) store.Create($"database-{i}.db");
            store.SyncRemote();
        }
        void MustBeShort(string output)
        {
            Assert.Contains("more", output);
            Assert.All(output.Split('\n'), line => Assert.InRange(line.Length, 0, WidthMax));
        }
        var place = shipped.Place("restored");
        MustBeShort(Recover.Run("restore", remote, place, "--dry-run").MustEndWith(0).Output);
        MustBeShort(Recover.Run("restore", remote, place).MustEndWith(0).Output);
        Assert.Equal(Databases, Directory.GetFiles(place).Length);
        MustBeShort(Recover.Run("restore", remote, "-o", shipped.Place("one")).MustEndWith(2).Errors);
        Assert.Equal(Databases, Recover.Run("restore", remote, shipped.Place("json"), "--json").MustEndWith(0).Json
            .GetProperty("databases").GetArrayLength());
    }

    [Fact]
    public void Any_commit_comes_back_by_lsn()
    {
        foreach (var rows in (int[])[1, 3])
        {
            var file = shipped.Place("at");
            Recover.Run("restore", shipped.Remote, "--database", "a.db", "-o", file, "--lsn",
                $"{shipped.Lsns[rows - 1]}").MustEndWith(0);
            Assert.Equal(rows, Shipped.RowsOfPlain(file));
        }
    }

    [Fact]
    public void Any_commit_comes_back_by_time()
    {
        var commits = Recover.Run("log", shipped.Remote, "--commits", "--database", "a.db", "--json").MustEndWith(0)
            .Json.EnumerateArray().ToList();
        var time = commits.First(c => c.GetProperty("lsn").GetUInt64() == shipped.Lsns[2]).GetProperty("time")
            .GetDateTimeOffset();
        // Commits may share a millisecond.
        var rows = commits.Count(c => shipped.Lsns.Contains(c.GetProperty("lsn").GetUInt64())
            && c.GetProperty("time").GetDateTimeOffset() <= time);
        var file = shipped.Place("at");
        Recover.Run("restore", shipped.Remote, "--database", "a.db", "-o", file, "--timestamp",
            time.ToString("O", CultureInfo.InvariantCulture)).MustEndWith(0);
        Assert.Equal(rows, Shipped.RowsOfPlain(file));
    }

    [Fact]
    public void What_is_there_is_not_overwritten_unless_forced()
    {
        var file = shipped.Place("there");
        File.WriteAllText(file, "precious");
        Assert.Contains(file, Recover.Run("restore", shipped.Remote, "--database", "a.db", "-o", file).MustEndWith(2)
            .Errors);
        Assert.Equal("precious", File.ReadAllText(file));
        Recover.Run("restore", shipped.Remote, "--database", "a.db", "-o", file, "--if-db-not-exists").MustEndWith(0);
        Assert.Equal("precious", File.ReadAllText(file));
        File.WriteAllText(file + "-wal", "of the old one");
        Recover.Run("restore", shipped.Remote, "--database", "a.db", "-o", file, "--force").MustEndWith(0);
        Assert.Equal(Shipped.Commits, Shipped.RowsOfPlain(file));
        Recover.Run("restore", shipped.Remote, shipped.Data).MustEndWith(2);
    }

    [Fact]
    public void An_init_container_restores_what_is_lost_and_nothing_else()
    {
        var place = shipped.Place("pod");
        string[] idiom = ["restore", "--if-db-not-exists", "--if-replica-exists", place];
        var nothingYet = new Dictionary<string, string> { ["RECOVERY_REMOTE"] = shipped.Remote + "-of-tomorrow" };
        var environment = new Dictionary<string, string> { ["RECOVERY_REMOTE"] = shipped.Remote };
        Recover.RunWith(nothingYet, idiom).MustEndWith(0);
        Assert.False(Directory.Exists(place));
        // Without the word, a missing remote is an error, never an empty database.
        Recover.RunWith(nothingYet, "restore", place).MustEndWith(3);
        // A restore that was killed has left something.
        Directory.CreateDirectory(Path.Combine(place, ".recovery.restoring", "store"));
        File.WriteAllText(Path.Combine(place, ".recovery.restoring", "store", "half"), "");
        Recover.RunWith(environment, idiom).MustEndWith(0);
        Assert.Equal(Shipped.Commits, Shipped.RowsOfStore(place, "a.db"));
        var before = File.GetLastWriteTimeUtc(Path.Combine(place, "a.db"));
        Recover.RunWith(environment, idiom).MustEndWith(0);
        Assert.Equal(before, File.GetLastWriteTimeUtc(Path.Combine(place, "a.db")));
    }

    [Fact]
    public void A_restored_store_ships_nothing_by_itself()
    {
        var before = Recover.Run("status", shipped.Remote, "--json").MustEndWith(0).Json.GetProperty("remote");
        var file = shipped.Place("quiet");
        Recover.RunWith(new() { ["RECOVERY_REMOTE"] = shipped.Remote }, "restore", "--database", "a.db", "-o", file)
            .MustEndWith(0);
        var after = Recover.Run("status", shipped.Remote, "--json").MustEndWith(0).Json.GetProperty("remote");
        Assert.Equal(before.GetRawText(), after.GetRawText());
    }

    [Fact]
    public void A_damaged_extent_is_refused_by_name()
    {
        var remote = shipped.CopyOfRemote();
        var extent = new DirectoryInfo(Path.Combine(remote, "extents")).EnumerateFiles().MaxBy(f => f.Length)!;
        Flip(extent.FullName);
        var place = shipped.Place("store");
        Assert.Contains("extents/" + extent.Name,
            Recover.Run("restore", "file://" + remote, place).MustEndWith(4).Errors);
        Assert.False(Directory.Exists(Path.Combine(place, ".recovery")));
        var file = shipped.Place("file");
        Assert.Contains("extents/" + extent.Name,
            Recover.Run("restore", "file://" + remote, "--database", "a.db", "-o", file).MustEndWith(4).Errors);
        Assert.False(File.Exists(file));
        Assert.Contains("extents/" + extent.Name, Recover.Run("verify", "file://" + remote).MustEndWith(4).Errors);
        Assert.Contains("extents/" + extent.Name,
            Recover.Run("verify", "file://" + remote, "--sample").MustEndWith(4).Errors);
    }

    [Fact]
    public void A_missing_segment_is_refused_by_name_and_the_state_before_it_offered()
    {
        var remote = shipped.CopyOfRemote();
        var segment = Directory.EnumerateFiles(Path.Combine(remote, "log")).Order().Last();
        Flip(segment);
        var said = Recover.Run("restore", "file://" + remote, shipped.Place("store")).MustEndWith(4).Errors;
        Assert.Contains("log/" + Path.GetFileName(segment), said);
    }

    [Fact]
    public void A_dry_run_changes_nothing()
    {
        var place = shipped.Place("dry");
        var plan = Recover.Run("restore", shipped.Remote, place, "--dry-run", "--json").MustEndWith(0).Json;
        Assert.True(plan.GetProperty("dry_run").GetBoolean());
        Assert.False(Directory.Exists(place));
    }

    [Fact]
    public void What_is_not_there_is_not_found()
    {
        var file = shipped.Place("none");
        Recover.Run("restore", shipped.Remote, "--database", "b.db", "-o", file).MustEndWith(3);
        Recover.Run("restore", shipped.Remote, "--database", "a.db", "-o", file, "--lsn", "99999999").MustEndWith(3);
        Recover.Run("restore", shipped.Remote, "--database", "a.db", "-o", file, "--timestamp", "2001-01-01")
            .MustEndWith(3);
        Recover.Run("restore", shipped.Remote, "-o", file).MustEndWith(2);
        Assert.False(File.Exists(file));
    }

    static void Flip(string path)
    {
        var bytes = File.ReadAllBytes(path);
        bytes[bytes.Length / 2] ^= 1;
        File.WriteAllBytes(path, bytes);
    }
}
