using RecoveryVfs.PageStore.Pages;
using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.PageStore.Rocks;
using RecoveryVfs.PageStore.Writing;
using static RecoveryVfs.PageStore.Tests.PageStoreTestExtensions;

namespace RecoveryVfs.PageStore.Tests;

/// <summary>What every <see cref="IPageStore"/> must do.</summary>
public abstract class PageStoreContract : IDisposable
{
    protected TempDirectory Temp { get; } = new();

    IPageStore? opened;

    private protected IPageStore Store => opened ??= Open();

    private protected abstract IPageStore Open();

    public void Dispose()
    {
        opened?.Dispose();
        Temp.Dispose();
        GC.SuppressFinalize(this);
    }

    [Fact]
    public void A_new_store_is_empty()
    {
        Assert.Equal(0ul, Store.Applied);
        Assert.Equal(0ul, Store.PersistedApplied);
        Assert.Equal(0, Store.UnflushedBytes);
        Assert.Equal(-1, Store.Read(1, 1, null, new byte[10]));
        Assert.Empty(Store.ScanAll(1));
        using var snapshot = Store.Snapshot();
        Assert.Equal(0ul, snapshot.Applied);
    }

    [Fact]
    public void Values_keep_their_lengths()
    {
        int[] lengths = [1, 2, 8, 255, 256, 257, 511, 512, 1024, 4095, 4096, 65535, 65536];
        Store.Commit(1, batch =>
        {
            foreach (var length in lengths)
                batch.Put(1, (uint)length, Page(1, (uint)length, 1, length));
        });
        foreach (var flushed in new[] { false, true })
        {
            if (flushed)
                Store.Flush();
            foreach (var length in lengths)
                Assert.Equal(Page(1, (uint)length, 1, length), Store.Get(1, (uint)length));
            Assert.Equal(lengths.Select(l => (uint)l), Store.ScanAll(1).Select(p => p.Page));
            Assert.Equal(lengths, Store.ScanAll(1).Select(p => p.Value.Length));
        }
    }

    [Fact]
    public void A_short_destination_gets_the_beginning_and_the_whole_length()
    {
        var page = Page(1, 1, 1);
        Store.Commit(1, batch => batch.Put(1, 1, page));
        Span<byte> part = stackalloc byte[100];
        Assert.Equal(4096, Store.Read(1, 1, null, part));
        Assert.True(part.SequenceEqual(page.AsSpan(0, 100)));
        Span<byte> more = new byte[5000];
        Assert.Equal(4096, Store.Read(1, 1, null, more));
        Assert.True(more[..4096].SequenceEqual(page));
        Assert.False(more[4096..].ContainsAnyExcept((byte)0));
    }

    [Fact]
    public void What_makes_no_sense_is_refused()
    {
        using var batch = Store.CreateBatch();
        Assert.Throws<ArgumentOutOfRangeException>(() => batch.Put(0, 1, new byte[1]));
        Assert.Throws<ArgumentOutOfRangeException>(() => batch.Put(1, 1, []));
        Assert.Throws<ArgumentOutOfRangeException>(() => batch.Put(1, 1, new byte[65537]));
        Assert.Throws<ArgumentOutOfRangeException>(() => batch.DeleteRange(0, 1, 1));
        Assert.Equal(0, batch.SizeBytes);
    }

    [Fact]
    public void A_batch_wins_over_earlier_ones_and_its_later_calls_over_earlier_ones()
    {
        Store.Commit(1, batch =>
        {
            batch.Put(1, 1, [1]);
            batch.Put(1, 2, [1]);
            batch.Put(1, 3, [1]);
        });
        Store.Commit(2, batch =>
        {
            batch.Put(1, 1, [2]);
            batch.Put(1, 1, [3]);
            batch.Put(1, 2, [2]);
            batch.DeleteRange(1, 2, 200);
            batch.DeleteRange(1, 3, 300);
            batch.Put(1, 3, [4]);
        });
        Assert.Equal([3], Store.Get(1, 1));
        Assert.Null(Store.Get(1, 2));
        Assert.Equal([4], Store.Get(1, 3));
        Assert.Equal(2ul, Store.Applied);
    }

    [Fact]
    public void Applying_clears_the_batch_and_it_can_be_used_again()
    {
        using var batch = Store.CreateBatch();
        Assert.Equal(0, batch.SizeBytes);
        batch.Put(1, 1, [1]);
        Assert.InRange(batch.SizeBytes, 1, 100);
        Store.Apply(batch, 1);
        Assert.Equal(0, batch.SizeBytes);
        batch.Put(1, 2, [2]);
        batch.Clear();
        Assert.Equal(0, batch.SizeBytes);
        batch.Put(1, 3, [3]);
        Store.Apply(batch, 2);
        Assert.Equal([1u, 3u], Store.ScanAll(1).Select(p => p.Page));
        Store.Apply(batch, 3); // nothing but an LSN
        Assert.Equal(3ul, Store.Applied);
    }

    [Theory]
    [InlineData(1)] // few pages
    [InlineData(1000)] // many
    public void A_range_is_deleted_with_both_ends_and_nothing_else(uint length)
    {
        uint first = 5, last = first + length - 1;
        uint[] pages = [0, 1, first - 1, first, last, last + 1, uint.MaxValue];
        Store.Commit(1, batch =>
        {
            foreach (var database in new uint[] { 1, 2, 3, uint.MaxValue })
                foreach (var page in pages)
                    batch.Put(database, page, [1]);
        });
        Store.Commit(2, batch => batch.DeleteRange(2, first, last));
        Assert.Equal(pages.Where(p => p < first || p > last).Distinct(), Store.ScanAll(2).Select(p => p.Page));
        foreach (var database in new uint[] { 1, 3, uint.MaxValue })
            Assert.Equal(pages.Distinct(), Store.ScanAll(database).Select(p => p.Page));
        Store.Commit(3, batch =>
        {
            batch.DeleteRange(2, 0, uint.MaxValue);
            batch.DeleteRange(uint.MaxValue, 1, uint.MaxValue);
            batch.DeleteRange(1, 10, 9); // empty
        });
        Assert.Empty(Store.ScanAll(2));
        Assert.Equal([0u], Store.ScanAll(uint.MaxValue).Select(p => p.Page));
        Assert.Equal(pages.Distinct(), Store.ScanAll(1).Select(p => p.Page));
        Assert.Equal(3ul, Store.Applied);
    }

    [Fact]
    public void A_scan_takes_its_range_and_stops_when_told()
    {
        Store.Commit(1, batch =>
        {
            for (uint page = 10; page < 100; page += 10)
                batch.Put(7, page, Page(7, page, 1));
        });
        Assert.Equal([20u, 30u, 40u], Store.ScanAll(7, 20, 40).Select(p => p.Page));
        Assert.Equal([20u, 30u], Store.ScanAll(7, 11, 39).Select(p => p.Page));
        Assert.Empty(Store.ScanAll(7, 40, 30));
        var seen = new List<uint>();
        Store.Scan(7, 0, uint.MaxValue, null, (page, _) =>
        {
            seen.Add(page);
            return page < 30;
        });
        Assert.Equal([10u, 20u, 30u], seen);
    }

    [Fact]
    public void What_a_scan_callback_throws_comes_back()
    {
        Store.Commit(1, batch => batch.Put(1, 1, [1]));
        var thrown = Assert.Throws<InvalidTimeZoneException>(()
            => Store.Scan(1, 0, 9, null, (_, _) => throw new InvalidTimeZoneException("mine")));
        Assert.Equal("mine", thrown.Message);
    }

    [Fact]
    public void A_snapshot_shows_its_state_whatever_is_applied_flushed_or_deleted_after()
    {
        Store.Commit(1, batch =>
        {
            for (uint page = 1; page <= 200; page++)
                batch.Put(1, page, Page(1, page, 1));
        });
        using var old = Store.Snapshot();
        Store.Commit(2, batch =>
        {
            batch.DeleteRange(1, 100, 200);
            batch.Put(1, 1, Page(1, 1, 2));
            batch.Put(1, 201, Page(1, 201, 2));
        });
        Store.Flush();
        using var middle = Store.Snapshot();
        Store.Commit(3, batch => batch.DeleteRange(1, 0, uint.MaxValue));
        Store.Flush();
        Store.CollectGarbage(CancellationToken.None);

        Assert.Equal((1ul, 2ul, 3ul), (old.Applied, middle.Applied, Store.Applied));
        Assert.Empty(Store.ScanAll(1));
        Assert.Equal(Enumerable.Range(1, 200).Select(p => (uint)p),
            Store.ScanAll(1, snapshot: old).Select(p => p.Page));
        Assert.All(Store.ScanAll(1, snapshot: old), p => Assert.Equal(1ul, LsnOf(1, p.Page, p.Value)));
        Assert.Equal(Page(1, 150, 1), Store.Get(1, 150, old));
        Assert.Null(Store.Get(1, 201, old));
        Assert.Equal(Enumerable.Range(1, 99).Append(201).Select(p => (uint)p),
            Store.ScanAll(1, snapshot: middle).Select(p => p.Page));
        Assert.Equal(Page(1, 1, 2), Store.Get(1, 1, middle));
    }

    [Fact]
    public void A_disposed_snapshot_is_refused()
    {
        var snapshot = Store.Snapshot();
        snapshot.Dispose();
        snapshot.Dispose();
        Assert.Throws<ObjectDisposedException>(() => Store.Read(1, 1, snapshot, []));
    }

    [Fact]
    public void Parts_without_an_LSN_leave_it_until_the_last_one()
    {
        Store.Commit(5, batch => batch.Put(1, 1, [5]));
        Store.Flush();
        Store.Commit(null, batch => batch.Put(1, 2, [6]));
        using var between = Store.Snapshot();
        Store.Commit(null, _ => { });
        Assert.Equal(5ul, Store.Applied);
        Assert.Equal([6], Store.Get(1, 2));
        Store.Flush();
        Assert.Equal(5ul, Store.PersistedApplied);
        Store.Commit(6, batch => batch.Put(1, 3, [6]));
        Assert.Equal(6ul, Store.Applied);
        Assert.Equal(5ul, Store.PersistedApplied);
        Assert.Equal(5ul, between.Applied);
        Assert.Equal([1u, 2u], Store.ScanAll(1, snapshot: between).Select(p => p.Page));
    }

    [Fact]
    public void Flush_brings_what_was_applied_into_files()
    {
        Store.Commit(1, batch => batch.Put(1, 1, Page(1, 1, 1)));
        Assert.Equal(0ul, Store.PersistedApplied);
        Assert.InRange(Store.UnflushedBytes, 4096, 2 << 20); // memory is taken in larger blocks
        Store.Flush();
        Assert.Equal(1ul, Store.PersistedApplied);
        Assert.Equal(0, Store.UnflushedBytes);
        Store.Flush();
        Store.Commit(2, batch => batch.Put(1, 1, Page(1, 1, 2)));
        Assert.Equal(1ul, Store.PersistedApplied);
        Store.Flush();
        Assert.Equal(2ul, Store.PersistedApplied);
        Assert.NotEmpty(Store.Statistics());
    }

    [Fact, Trait(Seeds.Kind, Seeds.Random)]
    public void A_random_history_reads_back_at_every_snapshot() => Seeds.Once(RandomHistory);

    void RandomHistory(Random random)
    {
        const uint Databases = 3, Pages = 300;
        var model = new SortedDictionary<(uint Database, uint Page), byte[]>();
        var pins = new List<(IPageSnapshot Snapshot, ulong Applied, SortedDictionary<(uint, uint), byte[]> Model)>();
        using var batch = Store.CreateBatch();
        ulong lsn = 0;
        for (var step = 0; step < 400; step++)
        {
            for (var n = random.Next(12); n > 0; n--)
            {
                var (database, page) = ((uint)random.Next(1, (int)Databases + 1), (uint)random.Next((int)Pages));
                if (random.Next(6) == 0)
                {
                    var last = page + (uint)random.Next(random.Next(2) == 0 ? 10 : 150);
                    batch.DeleteRange(database, page, last);
                    foreach (var key in model.Keys.Where(k => k.Database == database && k.Page >= page
                        && k.Page <= last).ToList())
                        model.Remove(key);
                }
                else
                {
                    var value = Page(database, page, lsn + 1, random.Next(4) == 0 ? random.Next(16, 300) : 1024);
                    batch.Put(database, page, value);
                    model[(database, page)] = value;
                }
            }
            ulong? applied = random.Next(4) == 0 ? null : ++lsn;
            Store.Apply(batch, applied);
            Assert.Equal(lsn, Store.Applied);
            switch (random.Next(24))
            {
                case 0:
                    Store.Flush();
                    Assert.Equal(lsn, Store.PersistedApplied);
                    break;
                case 1:
                    Store.CollectGarbage(CancellationToken.None);
                    break;
                case 2 or 3:
                    pins.Add((Store.Snapshot(), lsn, new(model)));
                    break;
                case 4 when pins.Count > 0:
                    var pin = pins[random.Next(pins.Count)];
                    CheckState(pin.Snapshot, pin.Applied, pin.Model);
                    pin.Snapshot.Dispose();
                    pins.Remove(pin);
                    break;
                case 5:
                    CheckState(null, lsn, model);
                    break;
            }
        }
        foreach (var pin in pins)
            CheckState(pin.Snapshot, pin.Applied, pin.Model);
        pins.ForEach(p => p.Snapshot.Dispose());
        CheckState(null, lsn, model);

        void CheckState(IPageSnapshot? snapshot, ulong applied, SortedDictionary<(uint Database, uint Page),
            byte[]> expected)
        {
            if (snapshot is not null)
                Assert.Equal(applied, snapshot.Applied);
            for (uint database = 1; database <= Databases; database++)
            {
                var pages = expected.Where(e => e.Key.Database == database).ToList();
                var scanned = Store.ScanAll(database, snapshot: snapshot);
                Assert.Equal(pages.Select(p => p.Key.Page), scanned.Select(p => p.Page));
                Assert.All(pages.Zip(scanned), pair => Assert.Equal(pair.First.Value, pair.Second.Value));
                for (uint page = 0; page < Pages; page += 7)
                    Assert.Equal(expected.GetValueOrDefault((database, page)), Store.Get(database, page, snapshot));
            }
        }
    }

    [Fact]
    public async Task Readers_see_whole_states_while_a_writer_applies()
    {
        // Every state has all pages of one LSN; a reader that sees two has seen half a batch.
        const uint Pages = 40;
        const ulong Last = 150;
        void Write(ulong lsn) => Store.Commit(lsn, batch =>
        {
            for (uint page = 1; page <= Pages; page++)
                batch.Put(1, page, Page(1, page, lsn, 600));
        });
        Write(1);
        var readers = Enumerable.Range(0, 3).Select(reader => Task.Run(() =>
        {
            ulong seen = 0;
            while (seen < Last)
            {
                using var snapshot = Store.Snapshot();
                var pages = Store.ScanAll(1, snapshot: snapshot);
                Assert.Equal((int)Pages, pages.Count);
                Assert.All(pages, p => Assert.Equal(snapshot.Applied, LsnOf(1, p.Page, p.Value)));
                Assert.Equal(snapshot.Applied, LsnOf(1, 7, Store.Get(1, 7, snapshot)));
                Assert.True(snapshot.Applied >= seen, "states only go forward");
                seen = snapshot.Applied;
            }
        })).ToList();
        for (ulong lsn = 2; lsn <= Last; lsn++)
        {
            Write(lsn);
            if (lsn % 20 == 0)
                Store.Flush();
            if (lsn % 50 == 0)
                Store.CollectGarbage(CancellationToken.None);
        }
        await Task.WhenAll(readers);
    }
}

public sealed class MemoryPageStoreTests : PageStoreContract
{
    private protected override IPageStore Open() => new MemoryPageStore();
}

public sealed class MirroredPagesTests : PageStoreContract
{
    private protected override IPageStore Open() => Again();

    MirroredPages Again() => new(RocksPageStore.Open(new() { Directory = Temp.Path }));

    [Fact]
    public void What_was_flushed_is_in_memory_again_whatever_the_numbers()
    {
        uint[] databases = [1, 2, 77, 1 << 30, uint.MaxValue];
        Store.Commit(5, batch =>
        {
            foreach (var database in databases)
                foreach (var page in (uint[])[0, 1, 9, uint.MaxValue])
                    batch.Put(database, page, Page(database, page, 5));
            batch.DeleteRange(2, 0, uint.MaxValue);
        });
        Store.Flush();
        // A crash forgets it.
        Store.Commit(6, batch => batch.Put(3, 3, Page(3, 3, 6)));
        Store.Dispose();
        using var again = Again();
        Assert.Equal(5ul, again.Applied);
        Assert.Equal(5ul, again.PersistedApplied);
        foreach (var database in databases.Except([2u]))
            Assert.Equal([0, 1, 9, uint.MaxValue], again.ScanAll(database).Select(p => p.Page));
        Assert.Empty(again.ScanAll(2));
        Assert.Empty(again.ScanAll(3));
        Assert.Equal(Page(77, 9, 5), again.Get(77, 9));
    }
}

public sealed class RocksPageStoreContractTests : PageStoreContract
{
    private protected override IPageStore Open() => RocksPageStore.Open(new() { Directory = Temp.Path });
}
