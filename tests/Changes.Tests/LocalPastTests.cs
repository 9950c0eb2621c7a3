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
        var reached = 0;
        void CompareSome(int count)
        {
            for (var i = 0; i < count; i++)
            {
                var (from, to) = (moments[random.Next(moments.Count)], moments[random.Next(moments.Count)]);
                try
                {
                    MomentDifferenceTests.Compare(source, from, to).GetAwaiter().GetResult();
                    reached++;
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
        }
        Recovery.CloseIdleStores();
        CompareSome(8);
        Assert.True(reached > 0, "nothing was within reach");
    });
}
