using RecoveryVfs.PageStore.Follow;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.Replicate.Tests;

/// <summary>
/// A mirror's remote is followed on another machine, and the follower takes over when the first machine is lost: the
/// same as with any store.
/// </summary>
public sealed class FollowedMirrorTests : IDisposable
{
    const string Insert = "INSERT INTO t(b) VALUES (randomblob(500))";

    readonly Scratch scratch = new();

    public void Dispose() => scratch.Dispose();

    string Url => "file://" + scratch.At("remote");

    Task<SqliteReplicator> StartAsync(string database, string? store = null, bool restores = false)
        => SqliteReplicator.StartAsync(scratch.At(database), Url, new()
        {
            Store = store is null ? null : scratch.At(store),
            RestoreIfMissing = restores,
            Recovery = new() { SyncInterval = TimeSpan.FromMilliseconds(20) },
        });

    [Theory]
    [InlineData("wal")]
    [InlineData("delete")]
    public async Task A_follower_of_a_mirror_has_its_commits_takes_over_and_is_replicated_to_in_its_place(string mode)
    {
        using var app = scratch.Open("app.db", $"PRAGMA journal_mode={mode}",
            "CREATE TABLE t(a INTEGER PRIMARY KEY, b)", Insert);
        await using var first = await StartAsync("app.db");
        await first.FlushAsync();
        await using var follower = await Follower.StartAsync(new FollowerOptions
        {
            Url = Url,
            Store = new StoreOptions { Directory = scratch.At("replica") },
            Interval = TimeSpan.FromMilliseconds(20),
        });
        for (var i = 0; i < 5; i++)
        {
            app.Run(Insert);
            await first.FlushAsync();
            await follower.WaitForAsync(first.Status.Lsn);
        }
        await follower.PromoteAsync();

        // The first machine was not lost, and goes on: it is told, and nothing of it comes into the log.
        app.Run("DELETE FROM t");
        var fenced = await Assert.ThrowsAsync<RecoveryException>(() => first.FlushAsync());
        Assert.Equal(RecoveryError.Fenced, fenced.Error);
        Assert.NotNull(first.Status.Failed);

        // On the second machine the application's file comes from the promoted replica, its mirror from now on.
        Directory.CreateDirectory(scratch.At("other"));
        await using (var second = await StartAsync("other/app.db", "replica", restores: true))
        {
            using var taken = scratch.Open("other/app.db");
            Assert.Equal("6", taken.Text("SELECT count(*) FROM t"));
            taken.Run(Insert);
            await second.FlushAsync();
        }
        await Recovery.RestoreFileAsync(Url, scratch.At("restored.db"), new() { Database = "app.db" });
        using var restored = scratch.Open("restored.db");
        Assert.Equal(("7", "ok"), (restored.Text("SELECT count(*) FROM t"), restored.Text("PRAGMA integrity_check")));
    }
}
