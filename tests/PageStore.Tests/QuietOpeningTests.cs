using System.Security.Cryptography;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Writing;

namespace RecoveryVfs.PageStore.Tests;

/// <summary>An opening writes nothing of its own; what it did not write comes with the first change.</summary>
public sealed class QuietOpeningTests : IDisposable
{
    readonly TempDirectory temp = new();
    readonly SortedDictionary<string, byte[]> model = new(StringComparer.Ordinal);
    readonly Random random = new(11);

    public void Dispose() => temp.Dispose();

    StoreOptions Options() => new()
    {
        Directory = temp["store"],
        PageCacheBytes = 1 << 20,
        PendingBytes = 1 << 20,
    };

    void Transactions(Store store, int count)
    {
        for (; count > 0; count--) StoreTests.Transaction(random, store, model);
        store.Sync();
    }

    /// <summary>Every file, and a hash of it. LOCK names the process; spares are made in the background.</summary>
    SortedDictionary<string, string> Files() => new(
        Directory.EnumerateFiles(temp["store"], "*", SearchOption.AllDirectories)
            .Where(p => Path.GetFileName(p) is var name && name != "LOCK"
                && !name.StartsWith("spare-", StringComparison.Ordinal))
            .ToDictionary(p => p, p => Convert.ToHexString(SHA256.HashData(File.ReadAllBytes(p)))),
        StringComparer.Ordinal);

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void An_opening_that_changes_nothing_leaves_every_file_as_it_was(bool flushed)
    {
        using (var store = Store.Open(Options()))
        {
            Transactions(store, 20);
            if (flushed) store.Checkpoint();
        }
        // RocksDB may delete what the flush replaced just after the last hints. The log says so, and the next close
        // makes hints of it.
        Store.Open(Options()).Dispose();
        var before = Files();
        for (var i = 0; i < 3; i++)
        {
            using var store = Store.Open(Options());
            StoreTests.Compare(store, model);
        }
        Assert.Equal(before, Files());
        Assert.DoesNotContain(before.Keys, p => Path.GetFileName(p).StartsWith("OPTIONS", StringComparison.Ordinal)
            || Path.GetDirectoryName(p)!.EndsWith("pages", StringComparison.Ordinal)
            && p.EndsWith(".log", StringComparison.Ordinal));
    }

    [Fact]
    public void What_an_opening_left_out_is_written_before_the_first_change_counts()
    {
        using (var store = Store.Open(Options()))
        {
            Transactions(store, 20);
            store.Checkpoint();
        }
        string Current() => File.ReadAllText(Path.Combine(temp["store"], "pages", "CURRENT"));
        var old = Current();
        using (var store = Store.Open(Options()))
        {
            Assert.Equal(old, Current());
            Transactions(store, 20);
            Assert.Equal(old, Current());
            store.Checkpoint();
            Assert.NotEqual(old, Current());
            Assert.Equal([Current().TrimEnd()],
                Directory.EnumerateFiles(Path.Combine(temp["store"], "pages"), "MANIFEST-*").Select(Path.GetFileName));
            Transactions(store, 20);
        }
        using var again = Store.Open(Options());
        StoreTests.Compare(again, model);
    }
}
