using System.Diagnostics;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Writing;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Remote.Read;

namespace RecoveryVfs.PageStore.Tests;

/// <summary>
/// What people do to a store's directory with cp, mv and rm, and a restore that lives on: the one that ships is never
/// fenced by a copy, and nobody writes for nothing.
/// </summary>
public sealed class CopiedStoreTests : IDisposable
{
    readonly TempDirectory temp = new();
    readonly SortedDictionary<string, byte[]> model = new(StringComparer.Ordinal);
    readonly Random random = new(7);

    public void Dispose() => temp.Dispose();

    StoreOptions Options(string name, string? remote = "remote") => new()
    {
        Directory = temp[name],
        PageCacheBytes = 1 << 20,
        PendingBytes = 1 << 20,
        Remote = remote is null
            ? null
            : new RemoteOptions
            {
                Url = new Uri(temp[remote]).AbsoluteUri,
                SyncInterval = TimeSpan.FromMilliseconds(5)
            },
    };

    void Transactions(Store store, int count)
    {
        for (; count > 0; count--) StoreTests.Transaction(random, store, model);
        if (store.Remote is null) store.Sync();
        else store.SyncRemote();
    }

    void Run(string program, params string[] arguments)
    {
        using var process =
            Process.Start(new ProcessStartInfo(program, arguments.Select(a => a.StartsWith('-') ? a : temp[a])))
            !;
        process.WaitForExit();
        Assert.Equal(0, process.ExitCode);
    }

    /// <summary>Hints are published and files collected meanwhile: cp says so when one goes under its hands.</summary>
    void CopyWhileOpen()
    {
        for (var tries = 1; ; tries++)
        {
            using var process = Process.Start("cp", ["-a", temp["store"], temp["copy"]]);
            process.WaitForExit();
            if (process.ExitCode == 0 || tries == 20) break;
            Directory.Delete(temp["copy"], recursive: true);
        }
    }

    /// <summary>A store looks for its directory once a tick, so what comes within one may be taken yet.</summary>
    static void NextTick()
    {
        var last = Environment.TickCount64;
        SpinWait.SpinUntil(() => Environment.TickCount64 != last);
    }

    RecoveryException Refused(Store store) => Assert.Throws<RecoveryException>(() =>
    {
        // Who has to hear it from the remote may commit until then.
        var meanwhile = new SortedDictionary<string, byte[]>(model, StringComparer.Ordinal);
        for (var i = 0; i < 1000; i++) StoreTests.Transaction(new Random(i), store, meanwhile);
    });

    [Fact]
    public void A_copy_can_be_read_takes_no_writes_and_leaves_the_remote_alone()
    {
        using var store = Store.Open(Options("store"));
        Transactions(store, 8);
        store.Checkpoint();
        CopyWhileOpen();
        using (var copy = Store.Open(Options("copy")))
        {
            StoreTests.Compare(copy, model);
            var refused = Refused(copy);
            Assert.Equal(RecoveryError.ReadOnly, refused.Error);
            Assert.Contains("recovery adopt", refused.Message);
            Assert.Contains(temp["store"], refused.Message);
            Assert.Throws<RecoveryException>(() => copy.Delete(copy.Databases[0], durable: true));
            Assert.Throws<RecoveryException>(() => copy.SyncRemote());
            Assert.StartsWith("copy: ", copy.Status().Single(r => r.Key == "state").Value);
        }
        Transactions(store, 8);
        StoreTests.Compare(store, model);
    }

    [Fact]
    public void A_copy_writes_without_a_remote_or_with_a_new_one()
    {
        using (var store = Store.Open(Options("store"))) Transactions(store, 8);
        Run("cp", "-r", "store", "copy");
        using (var alone = Store.Open(Options("copy", remote: null)))
        {
            Transactions(alone, 3);
            StoreTests.Compare(alone, model);
        }
        using (var elsewhere = Store.Open(Options("copy", remote: "another")))
        {
            Transactions(elsewhere, 3);
            StoreTests.Compare(elsewhere, model);
        }
        // What it is was said once.
        using (var elsewhere = Store.Open(Options("copy", remote: "another"))) Transactions(elsewhere, 3);
        using var again = Store.Open(Options("copy"));
        Assert.Equal(RecoveryError.ReadOnly, Refused(again).Error);
    }

    [Fact]
    public void An_adopted_copy_goes_on_and_fences_the_one_it_was_copied_from()
    {
        using (var store = Store.Open(Options("store"))) Transactions(store, 8);
        Run("cp", "-r", "store", "copy");
        new StoreHome(temp["copy"]).Adopt();
        using (var copy = Store.Open(Options("copy")))
        {
            Transactions(copy, 5);
            StoreTests.Compare(copy, model);
        }
        using var old = Store.Open(Options("store"));
        Assert.Equal(RecoveryError.Fenced, Assert.Throws<RecoveryException>(() => old.SyncRemote()).Error);
    }

    [Fact]
    public void A_renamed_directory_goes_on()
    {
        using (var store = Store.Open(Options("store"))) Transactions(store, 8);
        Run("mv", "store", "moved");
        using var moved = Store.Open(Options("moved"));
        StoreTests.Compare(moved, model);
        Transactions(moved, 5);
    }

    [Fact]
    public void A_directory_that_came_to_another_machine_waits_for_adopt()
    {
        using (var store = Store.Open(Options("store"))) Transactions(store, 8);
        var mark = Path.Combine(temp["store"], "place");
        var lines = File.ReadAllLines(mark);
        // Overwritten in place, as it looks from another machine.
        using (var file = new FileStream(mark, FileMode.Open))
        {
            file.SetLength(0);
            file.Write(System.Text.Encoding.UTF8.GetBytes("machine 0123456789abcdef0123456789abcdef\n" + lines[1] + "\n"
                + lines[2] + "\n"));
        }
        var isKnown = File.Exists("/etc/machine-id") && File.ReadAllText("/etc/machine-id").Trim().Length > 0;
        using (var store = Store.Open(Options("store")))
        {
            if (isKnown) Assert.Contains("another machine", Refused(store).Message);
            StoreTests.Compare(store, model);
        }
        new StoreHome(temp["store"]).Adopt();
        using (var store = Store.Open(Options("store"))) Transactions(store, 5);
    }

    [Theory]
    [InlineData("remote")]
    [InlineData(null)]
    public void A_directory_that_is_deleted_or_moved_away_while_open_takes_no_more_writes(string? remote)
    {
        using (var store = Store.Open(Options("store", remote)))
        {
            Transactions(store, 4);
            Run("mv", "store", "away");
            NextTick();
            Assert.Contains("deleted, moved or replaced", Refused(store).Message);
            Assert.StartsWith("poisoned: ", store.Status().Single(r => r.Key == "state").Value);
        }
        Run("mv", "away", "store");
        using (var store = Store.Open(Options("store", remote)))
        {
            StoreTests.Compare(store, model);
            // What it notes in its directory when it reaches its remote would hinder rm.
            if (remote is not null) store.SyncRemote();
            Run("rm", "-r", "store");
            NextTick();
            Assert.Contains("deleted, moved or replaced", Refused(store).Message);
        }
    }

    [Fact]
    public async Task A_restore_to_an_earlier_state_that_was_written_is_refused_with_its_remote_at_opening()
    {
        ulong early;
        using (var store = Store.Open(Options("store")))
        {
            Transactions(store, 5);
            await store.Remote!.PublishHintsAsync();
            Transactions(store, 5);
            early = store.Lsn.Last;
            Transactions(store, 5);
        }
        var place = new RemotePlace(new Uri(temp["remote"]).AbsoluteUri,
            readOnly => RecoveryLog.Objects.RemoteUrl.Parse(new Uri(temp["remote"]).AbsoluteUri, _ => null)
            .Open(readOnly));
        var restored = await place.RestoreAsync(Options("restored", remote: null), RestoreTarget.At(early));
        Assert.True(restored.Lsn <= early);
        // Not yet written: it lacks what the remote has.
        var lacking = Assert.Throws<RecoveryException>(() => Store.Open(Options("restored")));
        Assert.Equal(RecoveryError.Fenced, lacking.Error);
        using (var store = Store.Open(Options("restored", remote: null)))
        {
            store.Create("another.db");
            store.Sync();
        }
        var refused = Assert.Throws<RecoveryException>(() => Store.Open(Options("restored")));
        Assert.Equal(RecoveryError.Fenced, refused.Error);
        Assert.Contains($"restored to LSN {restored.Lsn}", refused.Message);
        Assert.Contains("remote of its own", refused.Message);
        using (var store = Store.Open(Options("restored", remote: "another"))) store.SyncRemote();
        using (var store = Store.Open(Options("restored", remote: "another"))) store.SyncRemote();
        using var first = Store.Open(Options("store"));
        Transactions(first, 3);
    }
}
