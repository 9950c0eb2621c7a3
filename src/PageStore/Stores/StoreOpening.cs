using RecoveryVfs.PageStore.Commits;
using RecoveryVfs.PageStore.Interop;
using RecoveryVfs.PageStore.Pages;
using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.PageStore.Rocks;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Log;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.PageStore.Stores;

/// <summary>
/// How a store's directory is opened, by writers and replicas alike: its page store, with what reads and gathers
/// commits above.
/// </summary>
internal static class StoreOpening
{
    /// <summary>
    /// Opens the page store in a directory, for whoever has its lock, and what reads and gathers commits above it.
    /// </summary>
    public static (StoreCore Core, FileRecorder? Recorder) OpenCore(StoreOptions options)
    {
        var home = options.Home;
        if (Directory.Exists(home.Spill)) Directory.Delete(home.Spill, recursive: true);
        // Before it is asked whether there are files: those that were there once are needed, whoever opens it.
        home.RequirePages();
        if (options.PagesInMemory && !HasFiles(options))
            return (new StoreCore(options, new MemoryPageStore(), home.Spill), null);
        var absent = OpenAbsent(options);
        try
        {
            var recorder = new FileRecorder(home.Pages);
            StoreCore? core = null;
            var files = RocksPageStore.Open(new RocksPageStoreOptions
            {
                Directory = home.Pages,
                Recorder = recorder,
                Absent = absent,
                LivePages = () => core?.CountPages() ?? 0,
            });
            core = new StoreCore(options, options.PagesInMemory ? new MirroredPages(files) : files, home.Spill, absent);
            return (core, recorder);
        }
        catch
        {
            absent?.Dispose();
            throw;
        }
    }

    /// <summary>
    /// Whether a store that keeps its pages in memory has them in files, too: as soon as it ships to a remote, which
    /// takes files, and from then on.
    /// </summary>
    static bool HasFiles(StoreOptions options) =>
        options.Remote is not null || File.Exists(Path.Combine(options.Home.Pages, "CURRENT"));

    /// <summary>
    /// The files that come when they are read; null when all are here. Refuses who cannot have them come.
    /// </summary>
    public static IAbsentFiles? OpenAbsent(StoreOptions options)
    {
        if (options.OpenAbsent is null) options.Home.ThrowIfLazy();
        return options.Home.IsLazy ? options.OpenAbsent!(options.Home) : null;
    }
}
