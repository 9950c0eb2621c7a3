using RecoveryVfs.PageStore.Replicas;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Writing;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.Read;

namespace RecoveryVfs.PageStore.Tests;

/// <summary>A machine's clock that was wrong for a second.</summary>
public sealed class ClockTests : IDisposable
{
    sealed class SetClock : TimeProvider
    {
        public DateTimeOffset Now { get; set; } = new(2026, 1, 2, 12, 0, 0, TimeSpan.Zero);

        public override DateTimeOffset GetUtcNow() => Now;
    }

    readonly TempDirectory temp = new();

    public void Dispose() => temp.Dispose();

    [Fact]
    public async Task A_restore_by_time_says_when_the_clock_went_back_and_later_openings_go_on_from_there()
    {
        var clock = new SetClock();
        var start = clock.Now;
        var remote = new RemoteOptions
        {
            Url = new Uri(temp["remote"]).AbsoluteUri,
            SyncInterval = TimeSpan.FromMilliseconds(5)
        };
        var options =
            new StoreOptions
            {
                Directory = temp["store"],
                PageCacheBytes = 1 << 20,
                PendingBytes = 1 << 20,
                Time = clock,
                Remote = remote
            };
        using (var store = Store.Open(options))
        {
            store.Create("before.db");
            await store.Remote!.PublishHintsAsync();
            store.Create("early.db");
            clock.Now = start.AddHours(1);
            store.Create("ahead.db");
            clock.Now = start.AddSeconds(2);
            store.Create("behind.db");
            store.Create("more.db");
            // Hints of now, by a clock that is behind the newest record: they are not of before it.
            await store.Remote.PublishHintsAsync();
            store.SyncRemote();
        }
        await using (var objects = remote.OpenStore(TimeProvider.System))
        {
            var plan = await RestorePlanner.PlanAsync(new RemoteContext { Store = objects },
                RestoreTarget.At(start.AddMinutes(1)));
            var restored = await StoreRestore.RestoreAsync(plan, new StoreOptions { Directory = temp["restored"] });
            Assert.Equal(["before.db", "early.db"], restored.Databases);
            Assert.Contains("clock went back from 2026-01-02 13:00:00.000Z to 2026-01-02 12:00:02.000Z",
                plan.ClockNote);
            var later = await RestorePlanner.PlanAsync(new RemoteContext { Store = objects },
                RestoreTarget.At(start.AddHours(2)));
            Assert.Contains("more.db",
                (await StoreRestore.RestoreAsync(later, new StoreOptions { Directory = temp["later"] })).Databases);
            Assert.Null(later.ClockNote);
        }
        // The log is in hints, and dropped; its times are not forgotten.
        using (var store = Store.Open(options))
        {
            store.Checkpoint();
            Assert.True(store.Log.LastTimeMs >= start.AddHours(1).ToUnixTimeMilliseconds());
        }
        var newest = await new RemotePlace(remote.Url,
            readOnly => RecoveryLog.Objects.RemoteUrl.Parse(remote.Url, _ => null).Open(readOnly))
            .RestoreAsync(new StoreOptions { Directory = temp["elsewhere"] });
        Assert.True(newest.UnixTimeMs >= start.AddHours(1).ToUnixTimeMilliseconds());
        using var other = Store.Open(new StoreOptions { Directory = temp["elsewhere"], Time = clock });
        other.Create("last.db");
        Assert.True(other.Log.LastTimeMs >= start.AddHours(1).ToUnixTimeMilliseconds());
    }
}
