using System.Diagnostics;
using RecoveryVfs.PageStore.Replicas;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Writing;
using RecoveryVfs.RecoveryLog.Log;
using RecoveryVfs.RecoveryLog.Objects;

namespace RecoveryVfs.PageStore.Tests;

/// <summary>
/// Power loss on a real file system: a loop image, of which a copy is made the moment that a restore, a promotion or a
/// take-over has returned. What was not synced is not in it. Needs root, loop devices and mkfs; without them it says so
/// and passes.
/// </summary>
public sealed class LoopImageTests(Xunit.Abstractions.ITestOutputHelper output) : IDisposable
{
    readonly TempDirectory temp = new();
    readonly List<string> mounts = [];
    readonly SortedDictionary<string, byte[]> model = new(StringComparer.Ordinal);

    public void Dispose()
    {
        foreach (var mount in mounts) TryRun("umount", "-l", mount);
        temp.Dispose();
    }

    static bool TryRun(string program, params string[] arguments)
    {
        try
        {
            using var process =
                Process.Start(
                new ProcessStartInfo(program, arguments)
                {
                    RedirectStandardError = true,
                    RedirectStandardOutput = true
                })
                !;
            process.StandardOutput.ReadToEnd();
            process.WaitForExit();
            return process.ExitCode == 0;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return false;
        }
    }

    bool TryMount(string image, string at, string options)
    {
        Directory.CreateDirectory(at);
        if (!TryRun("mount", "-o", "loop" + options, image, at)) return false;
        mounts.Add(at);
        return true;
    }

    /// <summary>The image as it is now, without what the file system keeps in memory, mounted elsewhere.</summary>
    string AfterPowerLoss(string image, string what, string options)
    {
        File.Copy(image, image + "-" + what);
        Assert.True(TryMount(image + "-" + what, temp["after-" + what], options));
        return temp["after-" + what];
    }

    StoreOptions Options(string directory, bool remote = true) => new()
    {
        Directory = directory,
        PageCacheBytes = 1 << 20,
        PendingBytes = 1 << 20,
        Remote = remote
            ? new RemoteOptions
            {
                Url = new Uri(temp["remote"]).AbsoluteUri,
                SyncInterval = TimeSpan.FromMilliseconds(5)
            }
            : null,
    };

    [Theory]
    [InlineData("ext4", "-q -F", ",noauto_da_alloc", 96)]
    [InlineData("xfs", "-q -f", ",nouuid", 320)]
    public async Task What_has_returned_survives_power_loss(string type, string make, string options, int megabytes)
    {
        var image = temp["image"];
        using (var file = new FileStream(image, FileMode.Create)) file.SetLength((long)megabytes << 20);
        if (!TryRun("mkfs." + type, [.. make.Split(' '), image]) || !TryMount(image, temp["mounted"], options))
        {
            output.WriteLine($"Not run: this machine lets nobody make and mount an image of {type}.");
            return;
        }
        // So that what is made below has no journal commit of its own coming soon.
        TryRun("sync", "-f", temp["mounted"]);
        var random = new Random(11);
        using (var writer = Store.Open(Options(temp["writer"])))
        using (writer.Log.Hold("test", 1))
        {
            for (var i = 0; i < 30; i++) StoreTests.Transaction(random, writer, model);
            writer.SyncRemote();
            var replica = Replica.Open(Options(Path.Combine(temp["mounted"], "promoted"), remote: false));
            replica.SetSource(writer.Log.LogId, 1);
            using (var cursor = writer.Log.ReadFrom(replica.NextLsn, LogReach.Written))
                while (cursor.TryRead(out var record)) replica.Apply(record);
            replica.CloseAsStore();
        }
        var promoted = AfterPowerLoss(image, "promotion", options);

        var place = new RemotePlace(new Uri(temp["remote"]).AbsoluteUri,
            readOnly => RemoteUrl.Parse(new Uri(temp["remote"]).AbsoluteUri, _ => null).Open(readOnly));
        await place.RestoreAsync(Options(Path.Combine(temp["mounted"], "restored"), remote: false));
        var restored = AfterPowerLoss(image, "restore", options);

        Store.Open(Options(Path.Combine(temp["mounted"], "restored"))).Dispose();
        var takenOver = AfterPowerLoss(image, "take-over", options);

        foreach (var directory in (string[])[Path.Combine(promoted, "promoted"), Path.Combine(restored, "restored"),
            Path.Combine(takenOver, "restored")])
        {
            using var store = Store.Open(Options(directory, remote: false));
            StoreTests.Compare(store, model);
        }
    }
}
