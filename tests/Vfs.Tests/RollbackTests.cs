using System.Globalization;
using Microsoft.Data.Sqlite;
using RecoveryVfs.Handles;
using RecoveryVfs.Operations;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Remote.Read;
using RecoveryVfs.Rollbacks;
using RecoveryVfs.Testing;

namespace RecoveryVfs.Tests;

/// <summary>Databases taken back to earlier states by commits, under open connections.</summary>
public sealed class RollbackTests : IDisposable
{
    readonly TestStore store = new();

    public void Dispose() => store.Dispose();

    string Remote => "file://" + store.PathOf("remote");

    string Options => "sync-interval=20&remote=" + Uri.EscapeDataString(Remote);

    string Data => store.PathOf("data");

    SqliteConnection Open(string name = "a.db") => store.Open("data/" + name, Options);

    static string All(SqliteConnection db) => db.Do("SELECT coalesce(group_concat(id || '=' || v), '') FROM t");

    static string Bookmark(SqliteConnection db) => db.Do("PRAGMA recovery_bookmark");

    Task<RollbackResult> Back(string to, string? database = null)
        => Recovery.RollbackAsync(Data, to, database, cancellation: CancellationToken.None);

    [Theory]
    [InlineData("DELETE")]
    [InlineData("WAL")]
    [InlineData("TRUNCATE")]
    [InlineData("MEMORY")]
    public async Task It_is_a_commit_that_readers_do_not_notice_and_that_can_be_undone(string mode)
    {
        Directory.CreateDirectory(Data);
        using var writer = Open();
        writer.Do($"PRAGMA journal_mode={mode}");
        writer.Do("CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES(1, 'a'), (2, 'b')");
        var before = Bookmark(writer);
        using var idle = Open();
        Assert.Equal("1=a,2=b", All(idle));
        writer.Do("DELETE FROM t WHERE id = 1; UPDATE t SET v = 'c'; ALTER TABLE t ADD COLUMN w; "
            + "INSERT INTO t VALUES(9, 9, 9)");
        Assert.Equal("2=c,9=9", All(writer));
        using var reader = Open();
        reader.Do("BEGIN");
        Assert.Equal("2=c,9=9", All(reader));
        var lsnBefore = ulong.Parse(writer.Do("PRAGMA recovery_lsn"), CultureInfo.InvariantCulture);
        var damaged = Bookmark(writer);

        var result = await Back(before);
        Assert.Equal(before, result.To);
        Assert.True(Assert.Single(result.Databases).Lsn > lsnBefore);
        Assert.Equal("2=c,9=9", All(reader));
        reader.Do("COMMIT");
        foreach (var each in (SqliteConnection[])[writer, idle, reader])
        {
            Assert.Equal("1=a,2=b", All(each));
            Assert.Equal("ok", each.Do("PRAGMA integrity_check"));
            Assert.Equal("2", each.Do("SELECT count(*) FROM pragma_table_info('t')"));
        }
        Assert.Equal(mode.ToLowerInvariant(), writer.Do("PRAGMA journal_mode"));
        Assert.Equal("ok", writer.Do("PRAGMA recovery_verify"));
        writer.Do("INSERT INTO t VALUES(3, 'd')");

        var undone = await Back(result.Undo!);
        Assert.Equal("2=c,9=9", All(idle));
        Assert.Equal("3", idle.Do("SELECT count(*) FROM pragma_table_info('t')"));
        var list = Recovery.Rollbacks(Data);
        Assert.Equal([result.Databases[0].Undo, undone.Databases[0].Undo], list.Select(e => e.Undo));
        Assert.Equal([before, result.Undo!], list.Select(e => e.To));
        // What came between is not lost either.
        await Back(undone.Undo!);
        Assert.Equal("1=a,2=b,3=d", All(reader));
        Assert.Equal("ok", reader.Do("PRAGMA recovery_verify"));
        // The bookmark that was taken by hand is the same state as the one that undoes.
        await Back(damaged);
        Assert.Equal("2=c,9=9", All(reader));
    }

    [Fact]
    public async Task What_is_like_that_already_gets_no_commit_and_what_cannot_be_done_is_refused()
    {
        Directory.CreateDirectory(Data);
        using var db = Open();
        db.Do("CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES(1, 'a')");
        var here = Bookmark(db);
        using var other = Open("b.db");
        other.Do("CREATE TABLE t(id INTEGER PRIMARY KEY, v)");
        var (result, lsn) = (await Back(here), db.Do("PRAGMA recovery_lsn"));
        Assert.Null(result.Undo);
        Assert.Null(Assert.Single(result.Databases).Lsn);
        Assert.Equal(lsn, db.Do("PRAGMA recovery_lsn"));
        var notThen = await Assert.ThrowsAsync<RecoveryException>(() => Back(here, "b.db"));
        Assert.Contains("There is no database b.db", notThen.Message);
        var parts = here.Split('-');
        var foreign = await Assert.ThrowsAsync<RecoveryException>(() => Back($"00000000-{parts[1]}-{parts[2]}"));
        Assert.Contains("another log", foreign.Message);
        var epoch = await Assert.ThrowsAsync<RecoveryException>(() => Back($"{parts[0]}-77-{parts[2]}"));
        Assert.Contains("another writer took over", epoch.Message);
        await Assert.ThrowsAsync<RecoveryException>(() => Back("soon"));
        Assert.Equal("1=a", All(db));
    }

    [Fact]
    public async Task A_store_that_nobody_has_open_is_opened_for_it()
    {
        Directory.CreateDirectory(Data);
        string before;
        using (var db = Open())
        {
            db.Do("CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES(1, 'a')");
            before = Bookmark(db);
            db.Do("PRAGMA page_size=8192; VACUUM");
            db.Do("DELETE FROM t");
        }
        store.Close();
        await Back(before);
        store.Close();
        using (var db = Open())
        {
            Assert.Equal("1=a", All(db));
            Assert.Equal("ok", db.Do("PRAGMA recovery_verify"));
            Assert.Equal("4096", db.Do("PRAGMA page_size"));
        }
    }

    [Theory]
    [InlineData("DELETE")]
    [InlineData("WAL")]
    public async Task What_the_store_still_has_itself_needs_no_remote(string mode)
    {
        Directory.CreateDirectory(Data);
        using var db = store.Open("data/a.db");
        db.Do($"PRAGMA journal_mode={mode}; CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES(1, 'a')");
        var before = Bookmark(db);
        db.Do("UPDATE t SET v = 'b'; CREATE TABLE u(x)");
        var result = await Back(before);
        Assert.Equal("1=a", All(db));
        await Back(result.Undo!);
        Assert.Equal("1=b", All(db));
        Assert.Equal("ok ok", db.Do("PRAGMA integrity_check; PRAGMA recovery_verify"));
        db.Do("PRAGMA recovery_checkpoint");
        db.Dispose();
        store.Close();
        using (var again = store.Open("data/a.db"))
        {
            var gone = await Assert.ThrowsAsync<RecoveryException>(() => Back(before));
            Assert.Contains("has no remote that would reach further", gone.Message);
            Assert.Equal("1=b", All(again));
        }
    }

    [Fact]
    public async Task Of_a_large_database_only_the_pages_that_were_written_since_are_looked_at()
    {
        const int Pages = 5000;
        Directory.CreateDirectory(Data);
        using var db = store.Open("data/a.db");
        db.Do("CREATE TABLE t(id INTEGER PRIMARY KEY, v); CREATE TABLE big(x)");
        db.Do($"INSERT INTO big SELECT zeroblob(4000) FROM (WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM "
            + $"c WHERE i<{Pages}) SELECT i FROM c)");
        // Nothing is flushed meanwhile, and no log is dropped.
        db.Do("INSERT INTO t VALUES(1, 'a'); PRAGMA recovery_checkpoint");
        var before = Bookmark(db);
        for (var i = 2; i < 30; i++)
            db.Do($"INSERT INTO t VALUES({i}, randomblob(500)); UPDATE t SET v='x' WHERE id<9");
        var steps = new List<(string What, long Bytes)>();
        await new Rollback(StoreDirectory.Find(Data), (what, bytes) =>
        {
            steps.Add((what, bytes));
            return ReportedStep.To(null)(what, bytes);
        }, _ => { }).RunAsync(before, null, CancellationToken.None);
        var (_, read) = Assert.Single(steps, s => s.What.StartsWith("reading"));
        Assert.InRange(read, 4096, 50 * 4096);
        Assert.Equal("1=a", All(db));
        Assert.Equal($"{Pages} ok ok",
            db.Do("SELECT count(*) FROM big; PRAGMA integrity_check; PRAGMA recovery_verify"));
    }

    [Fact]
    public async Task A_state_that_was_found_stays_readable_when_the_store_drops_its_log()
    {
        Directory.CreateDirectory(Data);
        using var db = store.Open("data/a.db");
        db.Do("CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES(1, 'a')");
        await using var state = await LocalState.TryOpenAsync(StoreDirectory.Find(Data),
            RestoreTarget.Parse(Bookmark(db)), mayBeElsewhere: false, CancellationToken.None);
        Assert.NotNull(state);
        for (var i = 2; i < 6; i++)
            db.Do($"UPDATE t SET v = 'b'; INSERT INTO t VALUES({i}, randomblob(6000000)); PRAGMA recovery_checkpoint");
        await state.HoldAsync(["a.db"], CancellationToken.None);
        var file = store.PathOf("past");
        await state.WriteAsync("a.db", file, ReportedStep.To(null), CancellationToken.None);
        using var plain = new SqliteConnection($"Data Source={file};Pooling=false");
        plain.Open();
        Assert.Equal("1=a ok", All(plain) + " " + plain.Do("PRAGMA integrity_check"));
    }

    /// <summary>What was read aside is as of some commit; one that comes after it must be taken back as well.</summary>
    [Theory]
    [InlineData("INSERT INTO t VALUES(3, 'c')")]
    [InlineData("PRAGMA journal_mode=WAL; INSERT INTO t VALUES(3, 'c')")]
    [InlineData("DELETE FROM big; VACUUM")]
    public async Task A_commit_that_comes_in_between_is_taken_back_too(string comes)
    {
        Directory.CreateDirectory(Data);
        using var db = store.Open("data/a.db");
        db.Do("CREATE TABLE t(id INTEGER PRIMARY KEY, v); CREATE TABLE big(x); INSERT INTO t VALUES(1, 'a'); "
            + "INSERT INTO big VALUES(zeroblob(100000))");
        var before = Bookmark(db);
        db.Do("INSERT INTO t VALUES(2, 'b')");
        var taking = 0;
        var result = await new Rollback(StoreDirectory.Find(Data), (what, bytes) =>
        {
            if (what.StartsWith("taking") && taking++ == 0) db.Do(comes);
            return ReportedStep.To(null)(what, bytes);
        }, _ => { }).RunAsync(before, null, CancellationToken.None);
        Assert.Equal(1, taking);
        Assert.Equal("1=a", All(db));
        Assert.Equal("1 100000 ok ok",
            db.Do("SELECT count(*), sum(length(x)) FROM big; PRAGMA integrity_check; PRAGMA recovery_verify"));
        await Back(result.Undo!);
        Assert.NotEqual("1=a 1", db.Do("SELECT group_concat(id || '=' || v), (SELECT count(*) FROM big) FROM t"));
    }

    /// <summary>The process that has the store open trusts no file, not even one in the store's directory.</summary>
    [Fact]
    public void A_file_of_pages_that_is_cut_or_changed_is_refused_or_gives_pages_that_it_has()
    {
        var path = store.PathOf("pages");
        PagesReplacement.Write(path, (8 * 512, 512), 7, [1, 3, 8], (at, page) =>
        {
            page.Fill((byte)(at / 512 + 1));
            return page.Length;
        }, CancellationToken.None);
        var whole = File.ReadAllBytes(path);
        using (var read = ReplacementFile.Open(path))
        {
            Assert.True(read.Fits(7) && !read.Fits(8));
            Assert.Equal([(1024L, 512), (3584L, 512)], read.Runs(512));
            var page = new byte[512];
            read.Read(page, 3584);
            Assert.All(page, b => Assert.Equal(8, b));
            Assert.Throws<RecoveryException>(() => read.Read(new byte[512], 512));
            Assert.Throws<RecoveryException>(() => read.Runs(1024).Count());
        }
        // Beyond the magic, which makes it another kind of file, and in front of the pages.
        for (var at = 16; at < 40 + 3 * 4; at++)
            Try([.. whole[..at], (byte)(whole[at] ^ 0xff), .. whole[(at + 1)..]]);
        for (var length = 16; length < whole.Length; length += 97) Assert.False(Try(whole[..length]));

        bool Try(byte[] bytes)
        {
            File.WriteAllBytes(path, bytes);
            try
            {
                using var file = ReplacementFile.Open(path);
                var page = new byte[ReplacementFile.MaxRunBytes];
                foreach (var (at, length) in file.Runs(512)) file.Read(page.AsSpan(0, length), at);
                return true;
            }
            catch (RecoveryException)
            {
                return false;
            }
        }
    }

    /// <summary>
    /// At random moments of random histories: the database is what it was, undoing gives back what was undone, and a
    /// restore of the remote shows the same.
    /// </summary>
    [Fact, Trait(Seeds.Kind, Seeds.Random)]
    public void Any_moment_comes_back_and_its_undoing_too()
        => Seeds.Run(3, random => Run(random).GetAwaiter().GetResult());

    async Task Run(Random random)
    {
        var place = Guid.NewGuid().ToString("N");
        var (data, remote) = (store.PathOf(place), "file://" + store.PathOf(place + "-remote"));
        Directory.CreateDirectory(data);
        var options = "sync-interval=20&remote=" + Uri.EscapeDataString(remote);
        var modes = (string[])["DELETE", "WAL", "PERSIST", "TRUNCATE"];
        var states = new List<(string Bookmark, string Rows)>();
        var db = store.Open(place + "/a.db", options);
        db.Do("CREATE TABLE t(id INTEGER PRIMARY KEY, v)");
        for (var step = 0; step < 25; step++)
        {
            switch (random.Next(8))
            {
                case 0: db.Do($"PRAGMA journal_mode={modes[random.Next(modes.Length)]}"); break;
                case 1: db.Do($"DELETE FROM t WHERE id % {random.Next(2, 5)} = 0"); break;
                case 2: db.Do("VACUUM"); break;
                case 3: db.Do($"CREATE TABLE IF NOT EXISTS u{random.Next(3)}(x)"); break;
                case 4 when states.Count > 0:
                    var (bookmark, rows) = states[random.Next(states.Count)];
                    var was = Rows(db);
                    var result = await Recovery.RollbackAsync(data, bookmark);
                    Assert.Equal(rows, Rows(db));
                    if (result.Undo is not null && random.Next(2) == 0)
                    {
                        await Recovery.RollbackAsync(data, result.Undo);
                        Assert.Equal(was, Rows(db));
                    }
                    break;
                case 5:
                    store.Close();
                    db = store.Open(place + "/a.db", options);
                    break;
                default:
                    db.Do($"INSERT INTO t(v) SELECT randomblob({random.Next(1, 3000)}) "
                        + "FROM (SELECT 1 UNION ALL SELECT 2)");
                    break;
            }
            Assert.Equal("ok", db.Do("PRAGMA integrity_check"));
            states.Add((Bookmark(db), Rows(db)));
        }
        Assert.Equal("ok", db.Do("PRAGMA recovery_verify"));
        var (last, all) = states[^1];
        await Recovery.SyncAsync(data);
        store.Close();
        await Recovery.RestoreFileAsync(remote, store.PathOf(place + ".plain"));
        using var plain = new SqliteConnection($"Data Source={store.PathOf(place + ".plain")};Pooling=false");
        plain.Open();
        Assert.Equal(all, Rows(plain));
        Assert.NotEmpty(last);
    }

    static string Rows(SqliteConnection db) =>
        db.Do("SELECT (SELECT count(*) || ':' || coalesce(sum(id * length(v)), 0)"
            + " || coalesce(group_concat(hex(substr(v, 1, 4))), '') FROM t)"
            + " || (SELECT group_concat(sql) FROM sqlite_schema)");
}
