using System.Globalization;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RocksDb;
using RocksDbSharp;

namespace RecoveryVfs.Testing;

/// <summary>RocksDBs that follow another one: read meanwhile, stopped, promoted.</summary>
public sealed class FollowerTests : IDisposable
{
    static readonly FollowedRocksDbOptions soon = new() { Interval = TimeSpan.FromMilliseconds(20) };

    readonly Site site = new();

    /// <summary>Writes are numbered; each says how far it goes.</summary>
    int written;

    public void Dispose() => site.Dispose();

    RecordedRocksDb OpenWriter(string? path = null)
    {
        RecordedRocksDb.Prepare();
        return RecordedRocksDb.Open(new DbOptions().SetCreateIfMissing().SetCreateMissingColumnFamilies()
            .SetWriteBufferSize(64 << 10).SetLevel0FileNumCompactionTrigger(2), path ?? site.Path,
            new ColumnFamilies { { "second", new ColumnFamilyOptions() } }, site.Recorded);
    }

    Task<FollowedRocksDb> FollowAsync(string name = "followed") =>
        RecordedRocksDb.FollowAsync(site.Url, site.At(name), soon);

    void Write(RecordedRocksDb kv, int count)
    {
        for (var i = 0; i < count; i++)
        {
            using var batch = new WriteBatch();
            batch.Put($"key{++written % 500:d4}", new string('x', 200) + written);
            batch.Put(Bytes($"key{written % 500:d4}"), Bytes($"{written}"), kv.Db.GetColumnFamily("second"));
            batch.Put("newest", written.ToString(CultureInfo.InvariantCulture));
            kv.Db.Write(batch);
        }
    }

    static byte[] Bytes(string text) => System.Text.Encoding.UTF8.GetBytes(text);

    /// <summary>The number of the newest write; all before it must be there.</summary>
    static int Newest(RocksDbSharp.RocksDb db)
    {
        var newest = int.Parse(db.Get("newest"), CultureInfo.InvariantCulture);
        for (var i = Math.Max(1, newest - 499); i <= newest; i++)
        {
            Assert.Equal(new string('x', 200) + i, db.Get($"key{i % 500:d4}"));
            Assert.Equal($"{i}", db.Get($"key{i % 500:d4}", db.GetColumnFamily("second")));
        }
        return newest;
    }

    [Fact]
    public async Task Each_state_that_is_read_is_whole_and_the_newest_is_what_was_synced()
    {
        using var kv = OpenWriter();
        Write(kv, 10);
        await kv.SyncAsync();
        using var follower = await FollowAsync();
        await follower.CaughtUpAsync();
        var (lsn, seen) = (0UL, 10);
        for (var round = 0; round < 12; round++)
        {
            Write(kv, 150);
            await kv.SyncAsync();
            using (var between = follower.Read())
            {
                Assert.True(between.Lsn >= lsn, "a later state is not an earlier one");
                var newest = Newest(between.Db);
                Assert.InRange(newest, seen, written);
                (lsn, seen) = (between.Lsn, newest);
            }
            await follower.CaughtUpAsync();
            using var state = follower.Read();
            Assert.Equal(written, Newest(state.Db));
        }
        Assert.Equal(0, follower.State.StartedOver);
    }

    [Fact]
    public async Task A_state_stays_readable_while_later_ones_come()
    {
        using var kv = OpenWriter();
        Write(kv, 1000);
        await kv.SyncAsync();
        using var follower = await FollowAsync();
        using var early = follower.Read();
        var seen = Newest(early.Db);
        for (var round = 0; round < 4; round++)
        {
            Write(kv, 1000);
            kv.Db.CompactRange((byte[]?)null, null);
            await kv.SyncAsync();
            await follower.CaughtUpAsync();
        }
        Assert.Equal(seen, Newest(early.Db));
        using var late = follower.Read();
        Assert.Equal(written, Newest(late.Db));
    }

    [Fact]
    public async Task A_stopped_follower_goes_on_where_it_stopped()
    {
        using var kv = OpenWriter();
        for (var round = 0; round < 4; round++)
        {
            Write(kv, 700);
            await kv.SyncAsync();
            using var follower = await FollowAsync();
            await follower.CaughtUpAsync();
            Assert.Equal(0, follower.State.StartedOver);
            using var state = follower.Read();
            Assert.Equal(written, Newest(state.Db));
        }
        // Stock RocksDB reads it, whether somebody follows or not.
        Assert.Equal(written, int.Parse(Site.Run("ldb", $"--db={site.At("followed")}", "get", "newest"),
            CultureInfo.InvariantCulture));
    }

    [Fact]
    public async Task A_promoted_follower_writes_and_the_old_writer_is_fenced()
    {
        using var old = OpenWriter();
        Write(old, 700);
        await old.SyncAsync();
        using var other = await FollowAsync("other");
        using (var follower = await FollowAsync())
        {
            await follower.CaughtUpAsync();
            using (follower.Read())
                Assert.Equal(RecoveryError.Busy, (await Assert.ThrowsAsync<RecoveryException>(
                    () => follower.PromoteAsync())).Error);
            var promotion = await follower.PromoteAsync();
            Assert.True(promotion.Epoch > 1);
        }
        using var kv = OpenWriter(site.At("followed"));
        Assert.Equal(written, Newest(kv.Db));
        Write(kv, 700);
        await kv.SyncAsync();
        // Who follows sees the new writer's, and the old one cannot ship, nor sync.
        await other.CaughtUpAsync();
        using (var state = other.Read()) Assert.Equal(written, Newest(state.Db));
        try
        {
            old.Db.Put("newest", "0");
        }
        catch (RocksDbException)
        {
            // It may know already.
        }
        var fenced = await Assert.ThrowsAsync<RecoveryException>(() => old.SyncAsync());
        Assert.Equal(RecoveryError.Fenced, fenced.Error);
        var synced = new WriteOptions().SetSync(true);
        Assert.Throws<RocksDbException>(() => old.Db.Put("newest", "0", writeOptions: synced));
        var (restored, _) = await site.RestoreAsync();
        Assert.Equal($"{written}", Site.Run("ldb", $"--db={restored}", "get", "newest").Trim());
    }

    /// <summary>A writer that was killed has shipped the log of a table, and not the table.</summary>
    [Fact]
    public async Task A_follower_of_a_log_that_lacks_a_table_has_the_state_before_it_and_can_be_promoted()
    {
        using (var kv = OpenWriter())
        {
            Write(kv, 100);
            await kv.SyncAsync();
            kv.Db.Flush(new FlushOptions());
        }
        var newest = Directory.GetFiles(site.At("remote/extents")).Where(f => !f.EndsWith(".blocks",
            StringComparison.Ordinal)).Max(StringComparer.Ordinal)!;
        // The hints that name it go, too: they would not have been published.
        Directory.Delete(site.At("remote/hints"), recursive: true);
        File.Delete(newest);
        using (var follower = await FollowAsync())
        {
            await follower.CaughtUpAsync();
            using (var state = follower.Read()) Assert.Equal(100, Newest(state.Db));
            var promotion = await follower.PromoteAsync();
            Assert.True(promotion.Lsn > 0);
        }
        using (var kv = OpenWriter(site.At("followed")))
        {
            Assert.Equal(100, Newest(kv.Db));
            Write(kv, 100);
            await kv.SyncAsync();
        }
        var (restored, _) = await site.RestoreAsync();
        Assert.Equal("200", Site.Run("ldb", $"--db={restored}", "get", "newest").Trim());
    }

    [Fact]
    public async Task A_follower_whose_place_was_collected_starts_over()
    {
        using var kv = OpenWriter();
        Write(kv, 100);
        await kv.SyncAsync();
        using (var follower = await RecordedRocksDb.FollowAsync(site.Url, site.At("followed"),
            soon with { PinExpiry = TimeSpan.Zero }))
            await follower.CaughtUpAsync();
        File.WriteAllText(site.At("followed/notes.txt"), "somebody's");
        Write(kv, 2000);
        await kv.SyncAsync();
        kv.Dispose();
        using (var again = OpenWriter()) await again.SyncAsync();
        Programs.Recovery("gc", site.Path, "--keep", "0s", "--grace", "0s", "--keep-hints", "1").MustEndWith(0);
        using var late = await FollowAsync();
        await late.CaughtUpAsync();
        Assert.Equal(1, late.State.StartedOver);
        using var state = late.Read();
        Assert.Equal(written, Newest(state.Db));
        Assert.Equal("somebody's", File.ReadAllText(site.At("followed/notes.txt")));
    }

    [Fact]
    public async Task A_directory_with_something_else_is_refused_and_left_as_it_is()
    {
        using var kv = OpenWriter();
        Write(kv, 10);
        await kv.SyncAsync();
        Directory.CreateDirectory(site.At("taken"));
        File.WriteAllText(site.At("taken/notes.txt"), "somebody's");
        var refused = await Assert.ThrowsAsync<RecoveryException>(() => FollowAsync("taken"));
        Assert.Contains("not empty", refused.Message, StringComparison.Ordinal);
        Assert.Equal("somebody's", File.ReadAllText(site.At("taken/notes.txt")));
        refused = await Assert.ThrowsAsync<RecoveryException>(() => RecordedRocksDb.FollowAsync(site.Url, site.Path));
        Assert.NotEqual(RecoveryError.Corrupt, refused.Error);
        Assert.Equal(10, Newest(kv.Db));
    }

    [Fact]
    public async Task Nobody_writes_to_a_follower_and_a_second_one_is_refused()
    {
        using (var kv = OpenWriter())
        {
            Write(kv, 10);
            await kv.SyncAsync();
        }
        using (var follower = await FollowAsync())
        {
            await follower.CaughtUpAsync();
            Assert.Equal(RecoveryError.Busy, (await Assert.ThrowsAsync<RecoveryException>(() => FollowAsync())).Error);
            var said = Programs.Recovery("status", site.At("followed")).MustEndWith(0);
            Assert.Contains("replica", said.Output, StringComparison.Ordinal);
            said = Programs.Recovery("promote", site.At("followed")).MustEndWith(2);
            Assert.Contains("--into", said.Errors, StringComparison.Ordinal);
        }
        var refused = Assert.Throws<RecoveryException>(() => OpenWriter(site.At("followed")));
        Assert.Equal(RecoveryError.ReadOnly, refused.Error);
        Assert.Contains("recovery-tail URL --into", refused.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task The_program_follows_and_promotes()
    {
        using (var kv = OpenWriter())
        {
            Write(kv, 300);
            await kv.SyncAsync();
        }
        var into = site.At("followed");
        var said = Programs.Tail(site.Url, "--into", into, "--once").MustEndWith(0);
        Assert.Contains($"in {into}", said.Output, StringComparison.Ordinal);
        Assert.Equal("300", Site.Run("ldb", $"--db={into}", "get", "newest").Trim());
        Programs.Tail(site.Url, "--into", into, "--once", "--lazy").MustEndWith(2);
        said = Programs.Tail(site.Url, "--into", into, "--promote").MustEndWith(0);
        Assert.Contains("is the writer now", said.Output, StringComparison.Ordinal);
        using (var kv = OpenWriter(into))
        {
            Assert.Equal(300, Newest(kv.Db));
            Write(kv, 10);
            await kv.SyncAsync();
        }
        await Assert.ThrowsAsync<RecoveryException>(async () =>
        {
            using var fenced = OpenWriter();
            await fenced.SyncAsync();
        });
    }
}
