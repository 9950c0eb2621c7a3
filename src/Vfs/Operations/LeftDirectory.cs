using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.Write;

namespace RecoveryVfs.Operations;

/// <summary>Records that were only on the disk of a machine that is gone.</summary>
/// <param name="Directory">Where they are.</param>
/// <param name="FirstLsn">The first that the remote lacked; 0 when it lacked none.</param>
/// <param name="LastLsn">The last of them.</param>
internal sealed record LeftRecords(string Directory, ulong FirstLsn, ulong LastLsn);

/// <summary>
/// A store's directory whose machine is gone: its log and the remote are joined, in the remote, before a restore. The
/// directory is only read.
/// </summary>
internal static class LeftDirectory
{
    /// <summary>Looks for what the remote lacks, and with <paramref name="ship"/> sends it there.</summary>
    public static async Task<LeftRecords> JoinAsync(string directory, RemoteAccess remote, bool ship, StepBegun begin,
        Action<string> note, CancellationToken cancellation)
    {
        var store = StoreDirectory.Find(directory);
        var author = AuthorOf(store);
        using var left = LeftLog.Open(LocalDisk.Instance, store.Path, author);
        if (left.Damage is { } damage)
            note($"What is left ends at LSN {left.LastLsn}: {damage.Message}");
        var held = await remote.StoreAsync(cancellation);
        await using var writable = ship ? await RemoteAccess.OpenForWritingAsync(remote.Url, cancellation) : null;
        var context = (writable ?? remote).Context;
        RemoteLog? place;
        try
        {
            place = await left.FindPlaceAsync(context, held, cancellation);
        }
        catch (RecoveryException e) when (e.Error == RecoveryError.Fenced)
        {
            if (await Divergence.SharedLsnAsync(remote, left.Epoch, author, cancellation) is not { } shared
                || shared < left.LastLsn)
                throw Parted(store, e);
            place = null;
        }
        if (place is null) return new LeftRecords(store.Path, 0, left.LastLsn);
        var found = new LeftRecords(store.Path, place.End.NextLsn, left.LastLsn);
        if (ship)
            using (var progress = begin("sending what is left", 0))
                await left.ShipAsync(context, place, progress.Add, cancellation);
        return found;
    }

    static ulong AuthorOf(StoreDirectory store)
    {
        store.ThrowUnlessDatabases();
        if (store.IsReplica)
            throw new RecoveryException(RecoveryError.Invalid,
                $"{store.Path} is a follower's: all that it has came from the remote.",
                "Restore without it.")
            { Path = store.Path };
        if (store.Holder() is { } holder)
            throw new RecoveryException(RecoveryError.Busy,
                $"{store.Path} is in use ({holder}).",
                $"`recovery sync --wait {store.Databases}` brings what it has to the remote.")
            { Path = store.Path };
        return store.Author ?? throw new RecoveryException(RecoveryError.Invalid,
            $"{store.Path} has never shipped to a remote.",
            "If it opens, use it as it is: nothing of it is anywhere else.")
        { Path = store.Path };
    }

    static RecoveryException Parted(StoreDirectory store, RecoveryException e) => new(RecoveryError.Fenced,
        $"What is left in {store.Path} does not continue the remote: {e.Message}",
        $"Restore without it, and see `recovery salvage {store.Databases}` for what only it has.", e)
    { Path = store.Path };
}
