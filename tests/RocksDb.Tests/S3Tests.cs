using RecoveryVfs.TestServers;
using RocksDbSharp;

namespace RecoveryVfs.Testing;

/// <summary>The same on a real S3 server.</summary>
[Collection(S3Collection.Name)]
public sealed class S3Tests(S3Server server)
{
    [Fact]
    public async Task What_was_synced_to_S3_comes_back_and_the_next_writer_fences_the_one_before()
    {
        foreach (var (name, value) in server.Environment) Environment.SetEnvironmentVariable(name, value);
        using var site = new Site($"s3://{await server.NewBucketAsync()}/kv");
        await using var kv = site.Open();
        for (var i = 0; i < 200; i++) kv.Db.Put($"key{i:d4}", $"value {i}");
        await kv.SyncAsync();
        kv.Db.Flush(new FlushOptions());
        kv.Db.Put("after", "1");
        await kv.SyncAsync();
        var (path, _) = await site.RestoreAsync();
        Assert.Equal(Site.Read(kv.Db), Site.Read(path));
        await using (var follower = await RocksDb.RecordedRocksDb.FollowAsync(site.Url, site.At("followed")))
        {
            kv.Db.Put("followed", "1");
            kv.Db.Flush(new FlushOptions());
            await kv.SyncAsync();
            await follower.CaughtUpAsync();
            using var state = follower.Read();
            Assert.Equal(Site.Read(kv.Db), Site.Read(state.Db));
        }
        (path, _) = await site.RestoreAsync();
        using (var next = RocksDb.RecordedRocksDb.Open(new DbOptions(), path, site.Recorded))
        {
            next.Db.Put("next", "2");
            await next.SyncAsync();
        }
        kv.Db.Put("late", "3");
        var error = await Assert.ThrowsAsync<RecoveryLog.RecoveryException>(() => kv.SyncAsync());
        Assert.Equal(RecoveryLog.RecoveryError.Fenced, error.Error);
        var (again, _) = await site.RestoreAsync();
        Assert.Equal("2", Site.Read(again)["next"]);
        Assert.DoesNotContain("late", Site.Read(again).Keys);
    }
}
