using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Views;
using RecoveryVfs.PageStore.Writing;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.PageStore.Tests;

/// <summary>
/// A store whose page store is gone (not copied, moved, deleted) is refused. RocksDB would begin an empty one, and the
/// databases would be there without a row.
/// </summary>
public sealed class MissingPagesTests : IDisposable
{
    readonly TempDirectory temp = new();
    readonly SortedDictionary<string, byte[]> model = new(StringComparer.Ordinal);

    public void Dispose() => temp.Dispose();

    StoreOptions Options => new() { Directory = temp["store"] };

    [Theory]
    [InlineData("pages", false)]
    [InlineData("pages/CURRENT", false)]
    // Whoever would keep its pages in memory has nowhere else to take them from.
    [InlineData("pages", true)]
    public void It_is_refused_by_writers_and_readers_and_back_in_its_place_it_is_whole(string what, bool inMemory)
    {
        var options = Options with { PagesInMemory = inMemory };
        using (var store = Store.Open(Options))
            for (var i = 0; i < 20; i++) StoreTests.Transaction(new Random(i), store, model);
        var (path, aside) = (Path.Combine(temp["store"], what), temp["aside"]);
        Directory.Move(path, aside);
        var before = Files();
        foreach (var open in (Action[])[() => Store.Open(options).Dispose(), () => StoreView.Open(options).Dispose()])
        {
            var refused = Assert.Throws<RecoveryException>(open);
            Assert.Equal(RecoveryError.Corrupt, refused.Error);
            Assert.Contains("move pages/ back", refused.Message, StringComparison.Ordinal);
        }
        Assert.Equal(before, Files());
        Directory.Move(aside, path);
        using (var store = Store.Open(Options)) StoreTests.Compare(store, model);
    }

    string[] Files()
        => [.. Directory.EnumerateFileSystemEntries(temp["store"], "*", SearchOption.AllDirectories).Order()];
}
