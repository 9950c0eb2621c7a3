using RecoveryVfs.PageStore.Past;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.Rows.Tests;

namespace RecoveryVfs.Changes.Tests;

/// <summary>The past as a store's own pages and log have it: the same as SQLite said then, or a refusal.</summary>
public sealed class LocalPastTests
{
    [Fact]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void A_store_shows_its_past_as_it_was_while_it_is_written_and_when_nobody_has_it_open() => Seeds.Run(4,
        random =>
    {
        using var history = new ShippedHistory();
        var moments = new List<Moment>();
        var source =
            new LocalPastSource(new StoreOptions { Directory = Path.Combine(history.Data, ".recovery") }, null);
        void CompareSome(int count)
        {
            for (var i = 0; i < count; i++)
            {
                var (from, to) = (moments[random.Next(moments.Count)], moments[random.Next(moments.Count)]);
                try
                {
                    MomentDifferenceTests.Compare(source, from, to).GetAwaiter().GetResult();
                }
                catch (RecoveryException e) when (e.Error == RecoveryError.NotFound)
                {
                    Assert.True(Math.Min(from.Lsn, to.Lsn) < e.Lsn, e.Message);
                }
            }
        }
        using (var database =
            new RandomDatabase(random, name: $"file:{history.Data}/a.db?vfs=recovery",
            journal: random.Next(2) == 0 ? "DELETE" : "WAL"))
        {
            database.Db.Do("PRAGMA wal_autocheckpoint=" + random.Next(1, 40));
            for (var i = 0; i < 16; i++)
            {
                database.Commit(random.Next(1, random.Next(2) == 0 ? 3 : 20));
                moments.Add(ShippedHistory.Note(database.Db));
                if (random.Next(6) == 0) database.Db.Do("PRAGMA wal_checkpoint(TRUNCATE)");
                if (random.Next(8) == 0) database.Db.Do("PRAGMA recovery_checkpoint");
                if (random.Next(4) == 0) CompareSome(2);
            }
            CompareSome(4);
            // From here on nothing goes into files, so all of it is within reach.
            database.Db.Do("PRAGMA recovery_checkpoint");
            for (var i = 0; i < 2; i++)
            {
                database.Commit(random.Next(1, 5));
                moments.Add(ShippedHistory.Note(database.Db));
            }
            MomentDifferenceTests.Compare(source, moments[^2], moments[^1]).GetAwaiter().GetResult();
            CompareSome(2);
        }
        Recovery.CloseIdleStores();
        CompareSome(8);
    });

    [Fact]
    public async Task A_WAL_that_was_begun_anew_after_the_hints_is_shown_from_there_on()
    {
        using var history = new ShippedHistory();
        var source =
            new LocalPastSource(new StoreOptions { Directory = Path.Combine(history.Data, ".recovery") }, null);
        using var database = new RandomDatabase(new Random(3), name: $"file:{history.Data}/a.db?vfs=recovery",
            journal: "WAL");
        database.Db.Do("PRAGMA wal_autocheckpoint=0");
        var moments = new List<Moment>();
        Commit(6);
        database.Db.Do("PRAGMA recovery_checkpoint");
        Commit(1);
        database.Db.Do("PRAGMA wal_checkpoint(TRUNCATE)");
        Commit(3);
        await MomentDifferenceTests.Compare(source, moments[^3], moments[^1]);
        await MomentDifferenceTests.Compare(source, moments[^2], moments[^3]);

        void Commit(int count)
        {
            for (var i = 0; i < count; i++)
            {
                database.Commit(5);
                moments.Add(ShippedHistory.Note(database.Db));
            }
        }
    }
}
