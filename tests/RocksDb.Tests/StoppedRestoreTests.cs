using RecoveryVfs.PageStore.Directories;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.Read;

namespace RecoveryVfs.Testing;

/// <summary>Restores that were killed or failed: the next one takes away what they left, and nothing else.</summary>
public sealed class StoppedRestoreTests(ShippedRocksDb shipped) : IClassFixture<ShippedRocksDb>
{
    [Fact]
    public async Task After_a_kill_only_what_the_restore_left_goes()
    {
        var into = shipped.At("killed");
        var home = new StoreHome(StoreHome.Within(into));
        home.BeginOver();
        Directory.CreateDirectory(home.Fetching);
        File.WriteAllText(Path.Combine(home.Fetching, "000000000000000c.extent"), "a part");
        File.WriteAllText(Path.Combine(into, "000012.sst"), "a part");
        var notes = Path.Combine(into, "notes.txt");
        File.WriteAllText(notes, "somebody's");
        Directory.CreateDirectory(Path.Combine(into, "photos"));

        var refused = await Assert.ThrowsAsync<RecoveryException>(() => RestoreAsync(into));
        Assert.Contains("notes.txt", refused.Message, StringComparison.Ordinal);
        Assert.Equal("somebody's", File.ReadAllText(notes));
        Assert.True(Directory.Exists(Path.Combine(into, "photos")));

        File.Delete(notes);
        Directory.Delete(Path.Combine(into, "photos"));
        await RestoreAsync(into);
        Assert.Equal(ShippedRocksDb.Pairs, Site.Read(into).Count);
    }

    [Fact]
    public async Task A_restore_that_fails_takes_its_own_back()
    {
        var into = shipped.At("failed");
        var put = 0;
        await Assert.ThrowsAsync<RecoveryException>(() => RestoreAsync(into, _ =>
        {
            if (Interlocked.Exchange(ref put, 1) == 0)
                File.WriteAllText(Path.Combine(into, "notes.txt"), "somebody's");
            throw new RecoveryException(RecoveryError.Full, "No space is left (a test says so).");
        }));
        Assert.Equal(["notes.txt"], Directory.EnumerateFileSystemEntries(into).Select(e => Path.GetFileName(e)));
    }

    async Task RestoreAsync(string into, Action<long>? progressed = null)
    {
        await using var objects = RemoteUrl.Parse(shipped.Url).Open(readOnly: true, TimeProvider.System);
        var plan = await RestorePlanner.PlanAsync(new RemoteContext { Store = objects }, RestoreTarget.Newest);
        await DirectoryRestore.RestoreAsync(plan, into, progressed: progressed);
    }
}
