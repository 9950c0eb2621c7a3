using System.Globalization;
using Microsoft.Data.Sqlite;
using RecoveryVfs.RecoveryLog;
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
