using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Log;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.Write;

namespace RecoveryVfs.PageStore.Shipping;

/// <summary>What shipping needs of the store that is shipped.</summary>
internal interface IShippedStore
{
    /// <summary>What is shipped.</summary>
    LocalLog Log { get; }

    /// <summary>What its remote is told that it holds: see <see cref="ShipperOptions.Holds"/>.</summary>
    string? Holds { get; }

    /// <summary>The newest record that changed a database, its journal or its WAL.</summary>
    ulong LastChangeLsn { get; }

    /// <summary>Hands everything appended so far to the operating system.</summary>
    void WriteOut();

    /// <summary>Brings all pages into files, in the background, and drops the log that nothing holds.</summary>
    void CheckpointSoon();

    /// <summary>While it lasts, the page store deletes no file.</summary>
    IDisposable? HoldFiles();

    /// <summary>
    /// Brings all pages into files and says what lives: hints with the plain files' bytes as they are at their LSN, and
    /// the time. Writers of plain files wait while these are copied.
    /// </summary>
    (Hints Hints, long UnixTimeMs) SnapshotForRemote();

    /// <summary>Opens a sealed file of the page store's; one that is not all here is fetched first.</summary>
    FileStream OpenSealed(LiveFile file);

    /// <summary>
    /// Sealed files here that came from a remote, or still come, and may not be in its newest hints.
    /// </summary>
    IReadOnlyList<KnownExtent> CameFrom(string url);

    /// <summary>
    /// Restores the remote aside and compares it with what is here; returns the LSN that was proved. Throws Corrupt or
    /// NotFound, naming what does not verify; anything else means that it could not be found out.
    /// </summary>
    Task<ulong> ProveAsync(RemoteContext context, Shipper shipper, CancellationToken cancellation);
}
