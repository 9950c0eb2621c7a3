using RecoveryVfs.PageStore.Shipping;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Log;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.PageStore.Directories;

/// <summary>Opens the log of a RocksDB's directory, and finds out which files live at its end.</summary>
internal static class DirectoryOpening
{
    /// <returns>
    /// And whether who reads the log from here on has not seen the write-ahead logs' beginnings: another remote than
    /// before, or the first.
    /// </returns>
    public static (LocalLog Log, LiveFiles Live, bool LogsAnew) OpenLog(StoreOptions options)
    {
        var home = options.Home;
        var shipped = options.Remote is { MayCreateAgain: false } remote && home.RemoteUrls.Contains(remote.Url);
        var known = LocalHints.LoadNewest(options.Disk, options.Directory);
        var (hints, createAt, epoch) = StoreTakeOver.Begin(options, known);
        StoreTakeOver.RequireOwnLog(options, hints, createAt);
        var live = new LiveFiles();
        if (hints is not null) live.Load(hints);
        var logOptions = StoreTakeOver.LogOf(options, hints, createAt, epoch, live.Apply);
        var log = LocalLog.Open(options.Disk, options.Directory, logOptions, hints?.ReplayFrom ?? 1, live.Apply);
        home.NoteLogBegun();
        return (log, live, !shipped || createAt is not null);
    }
}
