using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.Replicate.Tests;

/// <summary>What a watch says of its database, and when.</summary>
public sealed class DatabaseWatchTests
{
    sealed class Clock : TimeProvider
    {
        public DateTimeOffset Now { get; set; } = DateTimeOffset.UnixEpoch;

        public override DateTimeOffset GetUtcNow() => Now;
    }

    [Fact]
    public async Task A_lock_of_a_moment_does_not_make_it_behind_and_one_that_lasts_does()
    {
        var (clock, places) = (new Clock(), new SemaphoreSlim(1));
        var options = new ReplicatorOptions { Time = clock, LockPatience = TimeSpan.FromMilliseconds(10) };
        using var site = new MirrorSite(options);
        using var app = site.Open("CREATE TABLE t(a)");
        List<ReplicationEventKind> told = [];
        await using var watch = new DatabaseWatch(site.Watched, options, places, e => told.Add(e.Kind));
        Task<RecoveryException?> LookAsync(bool isAsked) => watch.LookAsync(compare: false, default, isAsked);
        Assert.Null(await LookAsync(isAsked: false));
        app.Run("PRAGMA locking_mode=EXCLUSIVE");
        app.Run("INSERT INTO t VALUES (1)");
        Assert.Equal(RecoveryError.Busy, (await LookAsync(isAsked: false))!.Error);
        Assert.Equal(ReplicationPhase.InStep, watch.Status.Phase);
        // Whoever flushes is told, and so is everybody then.
        Assert.NotNull(await LookAsync(isAsked: true));
        Assert.Equal(ReplicationPhase.Behind, watch.Status.Phase);
        app.Run("PRAGMA locking_mode=NORMAL");
        app.Text("SELECT count(*) FROM t");
        Assert.Null(await LookAsync(isAsked: false));
        app.Run("PRAGMA locking_mode=EXCLUSIVE");
        app.Run("INSERT INTO t VALUES (2)");
        clock.Now += TimeSpan.FromSeconds(2);
        Assert.NotNull(await LookAsync(isAsked: false));
        Assert.Equal(ReplicationPhase.Behind, watch.Status.Phase);
        app.Run("PRAGMA locking_mode=NORMAL");
        app.Text("SELECT count(*) FROM t");
        Assert.Null(await LookAsync(isAsked: false));
        Assert.Equal([ReplicationEventKind.InStep, ReplicationEventKind.Behind, ReplicationEventKind.InStep,
            ReplicationEventKind.Behind, ReplicationEventKind.InStep], told);
    }
}
