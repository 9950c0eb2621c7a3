using RecoveryVfs.Changes.Versions;
using RecoveryVfs.PageStore.Past;
using RecoveryVfs.RecoveryLog.Remote.Read;
using RecoveryVfs.Rows;
using RecoveryVfs.Rows.Tests;

namespace RecoveryVfs.Changes.Tests;

/// <summary>
/// What changed between two moments of a remote is what SQLite's rows say, under random statements in every journal
/// mode.
/// </summary>
public sealed class MomentDifferenceTests
{
    [Fact]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void Between_any_two_moments_the_difference_is_that_of_the_rows_that_SQLite_selected() => Seeds.Run(4,
        random =>
    {
        using var history = new ShippedHistory();
        var moments = new List<Moment>();
        using (var database =
            new RandomDatabase(random, name: history.NameOf("a.db"),
            journal: Pick(random, "DELETE", "WAL", "TRUNCATE", "MEMORY")))
        using (var other = new Sqlite(history.NameOf("b.db")))
        {
            database.Db.Do("PRAGMA wal_autocheckpoint=" + random.Next(1, 40));
            other.Do("CREATE TABLE noise(x)");
            for (var i = 0; i < 14; i++)
            {
                database.Commit(random.Next(1, random.Next(2) == 0 ? 3 : 20));
                moments.Add(ShippedHistory.Note(database.Db));
                other.Do("INSERT INTO noise VALUES(zeroblob(1000))");
                if (random.Next(5) == 0) database.Db.Do("PRAGMA wal_checkpoint(TRUNCATE)");
                if (random.Next(5) == 0) database.Db.Do("PRAGMA recovery_sync");
                if (random.Next(8) == 0) database.Db.Do($"PRAGMA journal_mode={Pick(random, "DELETE", "WAL")}");
            }
            database.Db.Do("PRAGMA recovery_sync");
        }
        Recovery.CloseIdleStores();
        for (var i = 0; i < 5; i++)
            Compare(history, moments[random.Next(moments.Count)], moments[random.Next(moments.Count)]).GetAwaiter()
                .GetResult();
    });

    [Fact]
    public async Task What_a_killed_process_left_aside_is_removed_and_nothing_else()
    {
        using var history = new ShippedHistory();
        using (var db = new Sqlite(history.NameOf("a.db"))) db.Do("CREATE TABLE t(a); PRAGMA recovery_sync");
        Recovery.CloseIdleStores();
        var aside = Directory.CreateTempSubdirectory("recovery-changes-aside-").FullName;
        try
        {
            string Leave(string name, TimeSpan age)
            {
                var left = Directory.CreateDirectory(Path.Combine(aside, name)).FullName;
                File.WriteAllText(Path.Combine(left, "LOCK"), "");
                File.SetLastWriteTimeUtc(Path.Combine(left, "LOCK"), DateTime.UtcNow - age);
                return left;
            }
            var (hour, now) = (TimeSpan.FromHours(1), TimeSpan.Zero);
            var killed = Leave("recovery-past-killed", hour);
            var beginning = Leave("recovery-past-beginning", now);
            var others = Leave("something", hour);
            Directory.CreateSymbolicLink(Path.Combine(aside, "recovery-past-link"), others);
            await using (await RemotePast.OpenAsync(history.Context, RestoreTarget.Newest,
                new PastOptions { TemporaryDirectory = aside }))
            {
                Assert.False(Directory.Exists(killed));
                Assert.True(Directory.Exists(beginning));
            }
            Assert.True(File.Exists(Path.Combine(others, "LOCK")));
            Assert.Equal(["recovery-past-beginning", "recovery-past-link", "something"],
                Directory.GetDirectories(aside).Select(Path.GetFileName).Order(StringComparer.Ordinal));
        }
        finally
        {
            Directory.Delete(aside, recursive: true);
        }
    }

    [Fact]
    public async Task Moments_are_named_in_either_order_by_lsn_or_time_and_errors_say_what_there_is()
    {
        using var history = new ShippedHistory();
        ulong first, second;
        using (var db = new Sqlite(history.NameOf("a.db")))
        {
            db.Do("CREATE TABLE t(id INTEGER PRIMARY KEY, v)");
            db.Do("INSERT INTO t VALUES(1, 'a')");
            first = ShippedHistory.LsnOf(db);
            db.Do("UPDATE t SET v = 'b'");
            second = ShippedHistory.LsnOf(db);
            db.Do("PRAGMA recovery_sync");
        }
        Recovery.CloseIdleStores();
        DateTimeOffset time;
        await using (
            var back = await MomentDifference.OpenAsync(history.Context, "a.db", RestoreTarget.At(second),
            RestoreTarget.At(first)))
        {
            var change = Assert.Single(back.Difference.Tables.SelectMany(t => t.Changes()));
            Assert.Equal(("b", "a"), (change.Before!["v"].Text, change.After!["v"].Text));
            time = back.To.Time;
        }
        // A time that is later than an LSN, though it is named first.
        await using (
            var mixed = await MomentDifference.OpenAsync(history.Context, "a.db", RestoreTarget.Newest,
            RestoreTarget.At(first)))
            Assert.Equal("b", Assert.Single(mixed.Difference.Tables.SelectMany(t => t.Changes())).Before!["v"].Text);
        await using (
            var byTime = await MomentDifference.OpenAsync(history.Context, "a.db", RestoreTarget.At(first),
            RestoreTarget.At(time.AddDays(1))))
            Assert.True(byTime.To.Lsn >= second);
        await using (
            var beginning =
                await MomentDifference.OpenAsync(history.Context, "a.db", RestoreTarget.At(1), RestoreTarget.Newest))
            Assert.Equal(ChangeKind.Insert, Assert.Single(beginning.Difference.Tables.SelectMany(t => t.Changes()))
                .Kind);
        var none = await Assert.ThrowsAsync<RecoveryLog.RecoveryException>(()
            => MomentDifference.OpenAsync(history.Context, "x.db", RestoreTarget.At(first), RestoreTarget.Newest));
        Assert.Contains("a.db", none.Message);
        var far = await Assert.ThrowsAsync<RecoveryLog.RecoveryException>(()
            => MomentDifference.OpenAsync(history.Context, "a.db", RestoreTarget.At(first),
                RestoreTarget.At(second + 100)));
        Assert.Contains($"{second + 100}", far.Message);
    }

    internal static Task Compare(ShippedHistory history, Moment from, Moment to) =>
        Compare(new RemotePastSource(history.Context), from, to);

    internal static async Task Compare(PastSource source, Moment from, Moment to)
    {
        await using var found =
            await MomentDifference.OpenAsync(source, "a.db", RestoreTarget.At(from.Lsn),
            RestoreTarget.At(to.Lsn));
        Assert.Equal(from.Lsn, found.From.Lsn);
        Assert.Equal(to.Lsn, found.To.Lsn);
        Check(found.Difference, from, to);
        Check(found.Reverse(), to, from);
    }

    static void Check(VersionDifference difference, Moment from, Moment to)
    {
        Assert.Equal(from.Rows.Tables.Keys.Order(),
            difference.Tables.Where(t => t.Before is not null).Select(t => t.Before!.Name).Order());
        Assert.Equal(to.Rows.Tables.Keys.Order(),
            difference.Tables.Where(t => t.After is not null).Select(t => t.After!.Name).Order());
        foreach (var table in difference.Tables)
            DifferenceCheck.Check(table, [.. table.Changes()], difference.IsRewritten, from.Rows, to.Rows);
    }

    static T Pick<T>(Random random, params T[] from) => from[random.Next(from.Length)];
}
