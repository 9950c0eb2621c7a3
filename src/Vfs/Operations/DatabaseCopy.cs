using RecoveryVfs.Interop;
using RecoveryVfs.Opening;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.Settings;

namespace RecoveryVfs.Operations;

/// <summary>
/// Databases in and out of stores, by SQLite's own backup. The VFS is registered before. Whoever watches is told the
/// pages done so far and all there are, and may throw to end it.
/// </summary>
internal static class DatabaseCopy
{
    /// <summary>Copies a plain file into a store.</summary>
    public static void Import(string from, string to, Action<int, int>? progressed)
    {
        var (source, target) = (DatabasePath.UriOf(from), DatabasePath.UriOf(to));
        try
        {
            if (PageImport.TryRun(source, to, progressed)) return;
        }
        catch (RecoveryException e) when (e.Error == RecoveryError.Full)
        {
            var room = e.Message.Contains("max-local-log") ? "" : DiskRoom.Tell(to, new FileInfo(from).Length);
            throw new RecoveryException(RecoveryError.Full, $"{from} was not imported to {to}: {e.Message}{room}", e)
            {
                Path = to
            };
        }
        var backup = VfsEntryPoints.Api.Backup;
        if (backup.Copy(source, VfsEntryPoints.PlainName, target, "recovery", progressed) is { } message)
            throw NotCopied($"{from} was not imported to {to}: {message}. {Failures.Last}", to, from);
    }

    /// <summary>Writes a database of a store, which the caller knows to be the right one, as a plain file.</summary>
    public static void Export(string databasePath, string store, string plainFile, Action<int, int>? progressed = null)
    {
        var (from, to) = (Path.GetFullPath(databasePath), Path.GetFullPath(plainFile));
        if (File.Exists(to)) throw new RecoveryException(RecoveryError.Invalid,
            $"{to} exists already.",
            "Delete it first, or choose another name.")
        { Path = to };
        // Reading changes nothing in the store, so a mount that is read-only and the rights to read are enough.
        // A name that nobody can have put there: SQLite opens what is there, and follows links.
        var partial = $"{to}.{Path.GetRandomFileName()}.partial";
        try
        {
            using var ours = StoreSettings.TakeOwnUris();
            var source = $"{DatabasePath.UriOf(from)}?store={Uri.EscapeDataString(store)}&mode=ro";
            var (target, system) = (DatabasePath.UriOf(partial), VfsEntryPoints.SystemName);
            if (VfsEntryPoints.Api.Backup.Copy(source, "recovery", target, system, progressed) is { } message)
                throw NotCopied(
                    $"The database {Path.GetFileName(from)} of the store {store} was not exported: {message}. "
                    + Failures.Last, partial, null);
            File.Move(partial, to);
        }
        finally
        {
            File.Delete(partial);
        }
    }

    /// <summary>
    /// Why a copy failed. SQLite says "database or disk is full" and no more: how much is needed, and how much there
    /// is, is added.
    /// </summary>
    static RecoveryException NotCopied(string message, string to, string? source)
        => message.Contains("full", StringComparison.Ordinal)
        ? new RecoveryException(RecoveryError.Full,
        message.TrimEnd() + DiskRoom.Tell(to, source is null ? null : new FileInfo(source).Length))
        : new RecoveryException(RecoveryError.IoWrite, message);
}
