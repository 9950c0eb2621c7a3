namespace RecoveryVfs.Replicate.Interop;

/// <summary>
/// The lock under which SQLite lets one connection at a time checkpoint. While a replicator has it, an application that
/// commits is told at once that somebody else is at it, and goes on; without it, a long WAL has the application bring
/// into the main file, at nearly every commit, what the replicator has let go of, and wait for the disk each time.
/// </summary>
/// <remarks>
/// It is taken through SQLite's own VFS, as SQLite takes it: a descriptor of ours would, when it is closed, end every
/// lock that this process has on the file. Nobody can mend a WAL-index (after a process that died at a commit) while it
/// is held, so its holder lets go of it when it finds one that is not whole.
/// </remarks>
internal sealed unsafe class CheckpointLock
{
    // Where they are in sqlite3_io_methods, whose first field is its version.
    const int ShmMap = 13, ShmLock = 14;
    const int Byte = 1, Unlock = 1, Lock = 2, Exclusive = 8;
    const int RegionBytes = 32 << 10;

    readonly SqliteHandle holder;

    CheckpointLock(SqliteHandle holder) => this.holder = holder;

    /// <summary>
    /// Takes it for a connection that has a read transaction in WAL mode; null when somebody is checkpointing.
    /// </summary>
    public static CheckpointLock? TryTake(SqliteHandle holder)
        => Do(holder, Lock | Exclusive) == SqliteResult.Ok ? new(holder) : null;

    /// <summary>
    /// Whether the WAL-index is one that SQLite reads as it is: both copies of its header are the same. It is asked
    /// without a lock, so a commit of just now may make it say no.
    /// </summary>
    public bool IsIndexWhole
    {
        get
        {
            var file = holder.File;
            var map = (delegate* unmanaged[Cdecl]<void*, int, int, int, void**, int>)(*(nint**)file)[ShmMap];
            void* region;
            if (map(file, 0, RegionBytes, 0, &region) != SqliteResult.Ok || region is null) return false;
            var copies = new ReadOnlySpan<byte>(region, 2 * WalIndex.SizeBytes);
            return copies[..WalIndex.SizeBytes].SequenceEqual(copies[WalIndex.SizeBytes..]);
        }
    }

    /// <summary>Lets go of it; its connection must be open yet.</summary>
    public void Release() => _ = Do(holder, Unlock | Exclusive);

    static int Do(SqliteHandle holder, int what)
    {
        var file = holder.File;
        var methods = *(nint**)file;
        if (*(int*)methods < 2) return SqliteResult.Error; // One that knows no WAL.
        return ((delegate* unmanaged[Cdecl]<void*, int, int, int, int>)methods[ShmLock])(file, Byte, 1, what);
    }
}
