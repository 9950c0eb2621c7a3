using RecoveryVfs.PageStore.Lazy;
using RecoveryVfs.PageStore.Shipping;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Remote.Write;

namespace RecoveryVfs.PageStore.Writing;

// A store that was opened before all of its remote was here. What it writes is here from the beginning, and durable in
// its log; files that came from the remote are read through LazyFiles until they are whole.
internal sealed partial class Store
{
    LazyFiles? Lazy => core.Absent as LazyFiles;

    /// <summary>How much is here of what the store began with; null when all is.</summary>
    public FetchedFigures? Fetched => home.IsLazy ? Lazy?.Fetched : null;

    /// <summary>The same, as <c>PRAGMA recovery_fetched</c> says it.</summary>
    public string FetchedText => FetchedFigures.Text(Fetched);

    /// <summary>The rest comes in behind whoever works with the store.</summary>
    void BeginToFetch()
    {
        if (Lazy is not { } lazy) return;
        lazy.KeepPinnedInBackground();
        if (options.FetchesRest) lazy.FillInBackground();
    }

    IReadOnlyList<KnownExtent> IShippedStore.CameFrom(string url)
    {
        if (Lazy?.FilesOf(url) is not { } files) return [];
        var sealedFiles = core.Live.Files.Where(f => f.IsSealed).ToDictionary(f => f.Fnode);
        return [.. files
            .Where(e => sealedFiles.TryGetValue(e.Extent.Fnode, out var file) && file.SizeBytes == e.Extent.SizeBytes)
            .Select(e => new KnownExtent(e.Extent, sealedFiles[e.Extent.Fnode].Crc32C))];
    }
}
