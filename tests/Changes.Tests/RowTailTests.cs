using RecoveryVfs.PageStore.Tails;
using RecoveryVfs.Rows.Tests;

namespace RecoveryVfs.Changes.Tests;

/// <summary>The stream of changes, taken together, gives at each commit the rows that SQLite selected then.</summary>
public sealed class RowTailTests
{
    [Fact]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void The_changes_up_to_any_commit_give_the_rows_of_that_commit() => Seeds.Run(4, random =>
    {
        using var history = new ShippedHistory();
        var moments = Written(history, random);
        Check(history, new RowTailOptions { From = TailStart.Oldest, Once = true, Databases = "a.db" }, moments)
            .GetAwaiter().GetResult();
        var begun = moments[random.Next(moments.Count)].Lsn;
        Check(history,
            new RowTailOptions { After = begun, Once = true, Databases = "a*", Snapshot = RowSnapshot.Initial },
            moments.FindAll(m => m.Lsn >= begun))
            .GetAwaiter().GetResult();
    });

    static List<Moment> Written(ShippedHistory history, Random random)
    {
        var moments = new List<Moment>();
        using var orders = new OrdersDatabase(random, history.NameOf("a.db"), random.Next(2) == 0 ? "WAL" : "DELETE");
        using var other = new OrdersDatabase(random, history.NameOf("b.db"), random.Next(2) == 0 ? "WAL" : "DELETE");
        orders.Db.Do("PRAGMA cache_size=" + random.Next(5, 50));
        orders.Db.Do("PRAGMA wal_autocheckpoint=" + random.Next(1, 40));
        for (var i = 0; i < 25; i++)
        {
            orders.Change(random.Next(1, random.Next(3) == 0 ? 40 : 4));
            moments.Add(ShippedHistory.Note(orders.Db));
            if (random.Next(2) == 0) other.Change(3);
            if (random.Next(8) == 0) orders.Db.Do("PRAGMA wal_checkpoint(TRUNCATE)");
            if (random.Next(8) == 0) orders.Db.Do("VACUUM");
            if (random.Next(8) == 0) orders.Db.Do("PRAGMA recovery_sync");
        }
        orders.Db.Do("PRAGMA recovery_sync");
        return moments;
    }

    static async Task Check(ShippedHistory history, RowTailOptions options, List<Moment> moments)
    {
        var rows = new Dictionary<string, List<string>>(StringComparer.Ordinal);
        var (next, last) = (0, (Lsn: 0UL, Number: 0L));
        await foreach (var each in new RowTail(history.Context, options).ReadAsync())
        {
            Assert.Equal("a.db", each.Database);
            for (; next < moments.Count && moments[next].Lsn < each.Lsn; next++) Same(moments[next], rows);
            Assert.True(each.Lsn > last.Lsn ? each.Number == 1 : each.Lsn == last.Lsn
                && each.Number == last.Number + 1, $"{each.Lsn}.{each.Number} after {last}");
            last = (each.Lsn, each.Number);
            if (each.Table is null || each.Kind == RowEventKind.Schema) continue;
            if (!rows.TryGetValue(each.Table, out var of)) rows.Add(each.Table, of = []);
            if (each.Before is { } before) Assert.True(of.Remove(Say(before)), $"There is no {before} at {last}");
            if (each.After is { } after) of.Add(Say(after));
        }
        for (; next < moments.Count; next++) Same(moments[next], rows);
    }

    static string Say(Rows.Row row) => string.Join("|", ModelRow.Of(row).Values);

    static void Same(Moment moment, Dictionary<string, List<string>> rows)
    {
        foreach (var (name, table) in moment.Rows.Tables)
            if (!name.StartsWith("sqlite_", StringComparison.Ordinal))
                Assert.Equal(table.Rows.Select(r => string.Join("|", r.Values)).Order(StringComparer.Ordinal),
                    (rows.GetValueOrDefault(name) ?? []).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task The_schema_and_databases_that_come_and_go_are_events()
    {
        using var history = new ShippedHistory();
        using (var db = new Sqlite(history.NameOf("a.db")))
        {
            db.Do("CREATE TABLE t(x)");
            db.Do("INSERT INTO t VALUES(1)");
            db.Do("ALTER TABLE t ADD COLUMN y DEFAULT 5");
            db.Do("UPDATE t SET y = 6");
            db.Do("CREATE INDEX i ON t(y)");
            db.Do("DROP TABLE t");
            db.Do("PRAGMA recovery_sync");
        }
        Recovery.CloseIdleStores();
        var told = new List<string>();
        await foreach (
            var each in new RowTail(history.Context, new RowTailOptions { From = TailStart.Oldest, Once = true })
            .ReadAsync())
            told.Add($"{each.Kind} {each.Table} {each.SchemaChange?.Kind}".TrimEnd());
        Assert.Equal(
            ["DatabaseCreated", "Schema t Created", "Insert t", "Schema t Altered", "Update t", "Schema i Created",
            "Schema t Dropped", "Schema i Dropped", "Delete t"],
            told.Select(t => t.Trim()).ToList());
    }

    [Fact]
    public async Task One_who_waits_is_given_what_is_committed_then_and_the_writer_knows_nothing_of_it()
    {
        using var history = new ShippedHistory();
        using var db = new Sqlite(history.NameOf("a.db"));
        db.Do("CREATE TABLE t(id INTEGER PRIMARY KEY, x)");
        db.Do("INSERT INTO t VALUES(1, 'there')");
        db.Do("PRAGMA recovery_sync");
        using var enough = new CancellationTokenSource();
        var tail = new RowTail(history.Context,
            new RowTailOptions { Snapshot = RowSnapshot.Initial, Interval = TimeSpan.FromMilliseconds(20) });
        var told = new List<string>();
        await foreach (var each in tail.ReadAsync(enough.Token))
        {
            told.Add($"{each.Kind} {each.After!["x"].Text}");
            if (told.Count == 3) break;
            db.Do("INSERT INTO t(x) VALUES(?)", $"row {told.Count}");
            db.Do("PRAGMA recovery_sync");
        }
        Assert.Equal(["Read there", "Insert row 1", "Insert row 2"], told);
    }

    /// <summary>A database of some size and commits of one row: the stream must not read what did not change.</summary>
    [Fact]
    [Trait(Seeds.Kind, Seeds.Big)]
    public async Task The_stream_goes_as_fast_as_commits_are_however_large_the_database_is()
    {
        using var history = new ShippedHistory();
        const int rows = 200_000, commits = 3000;
        ulong before;
        var began = System.Diagnostics.Stopwatch.GetTimestamp();
        double writing;
        using (var db = new Sqlite(history.NameOf("a.db")))
        {
            db.Do("PRAGMA synchronous=OFF");
            for (var t = 0; t < 5; t++) db.Do($"CREATE TABLE t{t}(id INTEGER PRIMARY KEY, v)");
            for (var t = 0; t < 5; t++)
                db.Do($"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows / 5}) INSERT "
                    + $"INTO t{t} SELECT i, randomblob(700) FROM n");
            before = ShippedHistory.LsnOf(db);
            db.Do("PRAGMA recovery_sync=300");
            began = System.Diagnostics.Stopwatch.GetTimestamp();
            for (var i = 0; i < commits; i++)
                db.Do($"UPDATE t{i % 5} SET v = zeroblob(700) WHERE id = ?", (i * 7919L) % (rows / 5) + 1);
            writing = System.Diagnostics.Stopwatch.GetElapsedTime(began).TotalSeconds;
            db.Do("PRAGMA recovery_sync=300");
        }
        Recovery.CloseIdleStores();
        var (seen, opened) = (0, 0.0);
        began = System.Diagnostics.Stopwatch.GetTimestamp();
        await foreach (var each in new RowTail(history.Context, new RowTailOptions { After = before, Once = true })
            .ReadAsync())
        {
            if (seen++ == 0)
                (opened, began) =
                    (System.Diagnostics.Stopwatch.GetElapsedTime(began).TotalSeconds,
                    System.Diagnostics.Stopwatch.GetTimestamp());
            Assert.Equal(RowEventKind.Update, each.Kind);
        }
        var streaming = System.Diagnostics.Stopwatch.GetElapsedTime(began).TotalSeconds;
        Console.WriteLine(
            $"{commits} commits written in {writing:0.00} s, {seen} events: begun in {opened:0.00} s, streamed in "
                + $"{streaming:0.00} s ({seen / streaming:0}/s)");
        Assert.Equal(commits, seen);
    }
}
