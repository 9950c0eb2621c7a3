using RecoveryVfs.RecoveryLog.Remote.Read;
using RocksDbSharp;

namespace RecoveryVfs.Testing;

/// <summary>What was synced and shipped comes back, to a directory that stock RocksDB opens.</summary>
public sealed class RecordedTests
{
    [Fact]
    public async Task What_was_synced_can_be_restored_and_opened_by_stock_RocksDB()
    {
        using var site = new Site();
        await using var kv = site.Open();
        for (var i = 0; i < 1000; i++) kv.Db.Put($"key{i:d4}", $"value {i}");
        await kv.SyncAsync();
        var (path, _) = await site.RestoreAsync();
        Assert.Equal(Site.Read(kv.Db), Site.Read(path));
        var lines = Site.Run("ldb", $"--db={path}", "scan").Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(1000, lines.Length);
        Assert.Equal("value 7", Site.Run("ldb", $"--db={path}", "get", "key0007").Trim());
    }

    [Fact]
    public async Task Tables_that_were_sealed_after_the_hints_come_back_with_the_log()
    {
        using var site = new Site();
        await using var kv = site.Open();
        kv.Db.Put("before", "1");
        await kv.SyncAsync();
        for (var round = 0; round < 6; round++)
        {
            for (var i = 0; i < 200; i++) kv.Db.Put($"key{i:d4}", $"value {i} of {round}");
            kv.Db.Flush(new FlushOptions());
        }
        kv.Db.CompactRange((byte[]?)null, null);
        kv.Db.Put("after", "2");
        await kv.SyncAsync();
        var (path, restored) = await site.RestoreAsync();
        Assert.Null(restored.Note);
        Assert.Equal(Site.Read(kv.Db), Site.Read(path));
    }

    [Fact]
    public async Task A_restored_directory_goes_on_as_the_writer_and_fences_the_one_before()
    {
        using var site = new Site();
        await using var kv = site.Open();
        kv.Db.Put("a", "1");
        await kv.SyncAsync();
        var (path, _) = await site.RestoreAsync();
        using (var next = RocksDb.RecordedRocksDb.Open(new DbOptions(), path, site.Recorded))
        {
            next.Db.Put("b", "2");
            await next.SyncAsync();
        }
        kv.Db.Put("c", "3");
        var error = await Assert.ThrowsAsync<RecoveryLog.RecoveryException>(() => kv.SyncAsync());
        Assert.Equal(RecoveryLog.RecoveryError.Fenced, error.Error);
        var (again, _) = await site.RestoreAsync();
        Assert.Equal(["a", "b"], Site.Read(again).Keys);
    }

    [Fact]
    public async Task Closing_and_opening_goes_on_in_the_same_remote()
    {
        using var site = new Site();
        for (var round = 0; round < 3; round++)
        {
            await using var kv = site.Open();
            kv.Db.Put($"round {round}", new string('x', 100_000));
            await kv.SyncAsync();
        }
        var (path, _) = await site.RestoreAsync();
        Assert.Equal(["round 0", "round 1", "round 2"], Site.Read(path).Keys);
    }
}
