using RecoveryVfs.PageStore.Replicas;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Writing;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Log;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.Read;
using RecoveryVfs.Simulation;

namespace RecoveryVfs.PageStore.Tests;

/// <summary>
/// A restore, a take-over, a follower's copy of the log and a promotion, killed and without power at every call that
/// they make to the disk. What had returned holds; what had not is refused with the way out, or begins again, and is
/// never taken for something that it is not. RocksDB's files are real, and as they were at that call.
/// </summary>
public sealed class StoreHomePowerLossTests : IDisposable
{
    readonly TempDirectory temp = new();
    readonly List<Image> images = [];
    SortedDictionary<string, byte[]> model = new(StringComparer.Ordinal);
    string stage = "";
    bool isPromised;

    sealed record Image(string What, PowerLossDisk Disk, string Files, bool IsPromised, SortedDictionary<string,
        byte[]> Model);

    public void Dispose() => temp.Dispose();

    string Place => temp["store"];

    string Remote => temp["remote"];

    RemoteOptions RemoteOptions
        => new() { Url = new Uri(Remote).AbsoluteUri, SyncInterval = TimeSpan.FromMilliseconds(5) };

    StoreOptions Options(PowerLossDisk disk, bool remote) => new()
    {
        Directory = Place,
        Disk = disk,
        PageCacheBytes = 1 << 20,
        PendingBytes = 1 << 20,
        SegmentBytes = 16 << 10,
        Remote = remote ? RemoteOptions : null,
    };

    void Promise(string what) => (isPromised, stage) = (true, what);

    /// <summary>Takes images at each call that changes something.</summary>
    PowerLossDisk Watched(Random random)
    {
        var disk = new PowerLossDisk();
        var lastWrite = "";
        disk.Before = (call, path) =>
        {
            if (call == DiskCall.Read || (call == DiskCall.Write && path == lastWrite)) return;
            lastWrite = call == DiskCall.Write ? path : "";
            var (files, what) = (temp[$"image{images.Count}"], $"{stage}: before {call} of {Path.GetFileName(path)}");
            CopyTree(Path.Combine(Place, "pages"), Path.Combine(files, "pages"));
            if (Directory.Exists(Remote)) CopyTree(Remote, Path.Combine(files, "remote"));
            images.Add(new($"{what}, killed", disk.AfterProcessDeath(), files, isPromised,
                new(model, StringComparer.Ordinal)));
            images.Add(new($"{what}, nothing more on the disk", disk.AfterPowerLoss(0), files, isPromised,
                new(model, StringComparer.Ordinal)));
            images.Add(new($"{what}, without power", disk.AfterPowerLoss(random), files, isPromised,
                new(model, StringComparer.Ordinal)));
        };
        return disk;
    }

    /// <summary>First what names the rest, so that what is named is there.</summary>
    static void CopyTree(string from, string to)
    {
        if (!Directory.Exists(from)) return;
        foreach (var names in (bool[])[true, false])
        {
            foreach (var file in Directory.EnumerateFiles(from, "*", SearchOption.AllDirectories).ToArray())
            {
                var name = Path.GetFileName(file);
                if (name == "LOCK" || file.Contains("/.tmp/", StringComparison.Ordinal)
                    || (name == "CURRENT" || name.StartsWith("MANIFEST", StringComparison.Ordinal)) != names)
                    continue;
                var target = Path.Combine(to, Path.GetRelativePath(from, file));
                Directory.CreateDirectory(Path.GetDirectoryName(target)!);
                try
                {
                    using var input =
                        new FileStream(file, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
                    using var output = new FileStream(target, FileMode.Create);
                    input.CopyTo(output);
                }
                catch (IOException)
                {
                    // RocksDB has just removed it, or the remote is about to write it.
                }
            }
        }
    }

    void CheckImages(Action<Image> check)
    {
        Assert.NotEmpty(images);
        foreach (var image in images)
        {
            foreach (var directory in (string[])[Place, Remote])
                if (Directory.Exists(directory)) Directory.Delete(directory, recursive: true);
            Directory.CreateDirectory(Place);
            CopyTree(Path.Combine(image.Files, "pages"), Path.Combine(Place, "pages"));
            CopyTree(Path.Combine(image.Files, "remote"), Remote);
            try
            {
                check(image);
            }
            catch (Exception e)
            {
                throw new InvalidOperationException($"{image.What}: {e.Message}", e);
            }
        }
    }

    async Task RestoreAsync(PowerLossDisk disk)
    {
        await using var objects = RemoteOptions.OpenStore(TimeProvider.System);
        var plan = await RestorePlanner.PlanAsync(new RemoteContext { Store = objects }, RestoreTarget.Newest);
        await StoreRestore.RestoreAsync(plan, Options(disk, remote: false));
    }

    void Transactions(Random random, Store store, int count)
    {
        for (; count > 0; count--) StoreTests.Transaction(random, store, model);
        store.Sync();
    }

    /// <summary>What is there is at least what was promised: it may be the transaction that was under way.</summary>
    static SortedDictionary<string, byte[]> Holds(Store store, Image image, SortedDictionary<string, byte[]> final)
    {
        // A database is created before its first commit.
        foreach (var created in store.Databases.Where(d => d.Current.SizeBytes == 0))
            image.Model.TryAdd(created.Name, []);
        try
        {
            StoreTests.Compare(store, image.Model);
            return image.Model;
        }
        catch (Xunit.Sdk.XunitException)
        {
            StoreTests.Compare(store, final);
            return new(final, StringComparer.Ordinal);
        }
    }

    [Fact, Trait(Seeds.Kind, Seeds.Random)]
    public Task A_restore_and_the_take_over_after_it() => Seeds.OnceAsync(async random =>
    {
        using (var writer =
            Store.Open(new StoreOptions
            {
                Directory = temp["writer"],
                PageCacheBytes = 1 << 20,
                PendingBytes = 1 << 20,
                Remote = RemoteOptions
            }))
        {
            Transactions(random, writer, 12);
            await writer.Remote!.PublishHintsAsync();
            Transactions(random, writer, 3);
        }
        var disk = Watched(random);
        stage = "restoring";
        await RestoreAsync(disk);
        Promise("opening");
        using (var store = Store.Open(Options(disk, remote: true)))
        {
            stage = "writing";
            StoreTests.Compare(store, model);
            var before = new SortedDictionary<string, byte[]>(model, StringComparer.Ordinal);
            StoreTests.Transaction(random, store, before);
            store.Sync();
            model = before;
            stage = "closing";
        }
        disk.Before = null;
        CheckImages(image =>
        {
            if (!image.IsPromised) FinishRestore(image);
            using var store = Store.Open(Options(image.Disk, remote: true));
            var found = Holds(store, image, model);
            StoreTests.Transaction(new Random(1), store, found);
            StoreTests.Compare(store, found);
        });
    });

    void FinishRestore(Image image)
    {
        var home = Options(image.Disk, remote: false).Home;
        if (home.IsStartingOver)
        {
            var refused = Assert.Throws<RecoveryException>(() => Store.Open(Options(image.Disk, remote: true)));
            Assert.Contains("recovery restore", refused.Message);
        }
        else if (home.FirstLsnAfterRestore(RecoveryLog.Live.LocalHints.LoadNewest(image.Disk, Place)) is not null)
            return;
        else Directory.Delete(Place, recursive: true);
        RestoreAsync(image.Disk).GetAwaiter().GetResult();
    }

    [Fact, Trait(Seeds.Kind, Seeds.Random)]
    public void A_replica_with_its_relay_and_its_promotion() => Seeds.Once(random =>
    {
        using var writer =
            Store.Open(new StoreOptions
            {
                Directory = temp["writer"],
                PageCacheBytes = 1 << 20,
                PendingBytes = 1 << 20
            });
        using var keep = writer.Log.Hold("test", 1);
        Transactions(random, writer, 6);
        var disk = Watched(random);
        stage = "beginning";
        var replica = Replica.Open(Options(disk, remote: false));
        stage = "following";
        var relayed = new RelayedReplica(replica, writer.Log.LogId);
        Follow(writer, relayed);
        relayed.Settle();
        Transactions(random, writer, 4);
        Follow(writer, relayed);
        stage = "promoting";
        relayed.CloseAsStore();
        Promise("opening");
        using (var store = Store.Open(Options(disk, remote: false))) StoreTests.Compare(store, model);
        disk.Before = null;
        CheckImages(image =>
        {
            if (!image.IsPromised) FinishPromotion(writer, image.Disk);
            using var store = Store.Open(Options(image.Disk, remote: false));
            StoreTests.Compare(store, model);
            StoreTests.Transaction(new Random(1), store, new(model, StringComparer.Ordinal));
        });
    });

    void FinishPromotion(Store writer, PowerLossDisk disk)
    {
        if (Options(disk, remote: false).Home is { IsReplica: false }
            && disk.Files.Any(f => f.EndsWith("/restored", StringComparison.Ordinal)))
            return;
        using var replica = Replica.Open(Options(disk, remote: false));
        using var relayed = new RelayedReplica(replica, writer.Log.LogId);
        Follow(writer, relayed);
        replica.DeclareWhole();
        relayed.CloseAsStore();
    }

    static void Follow(Store writer, RelayedReplica replica)
    {
        writer.WriteOut();
        StoreTests.Relay(writer, replica);
    }
}
