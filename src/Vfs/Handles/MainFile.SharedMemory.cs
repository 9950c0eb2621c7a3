using RecoveryVfs.Memory;
using RecoveryVfs.PageStore.Wals;

namespace RecoveryVfs.Handles;

/// <summary>The wal-index: shared among this process's handles on the database.</summary>
internal sealed partial class MainFile
{
    SharedMemory? mapped;
    uint sharedSlots, exclusiveSlots;

    public override int MapSharedMemory(int region, int sizeBytes, bool extend, out nint address)
    {
        address = 0;
        if (mapped is null && AttachSharedMemory() is var code && code != Sqlite.Ok) return code;
        return mapped!.Map(region, sizeBytes, extend, out address);
    }

    int AttachSharedMemory()
    {
        lock (open.Gate)
        {
            // One connection has the WAL to itself and keeps its index in its own memory (locking_mode=EXCLUSIVE). A
            // handle whose snapshot is from before must not open that WAL too.
            if (open.Writer is { Level: >= LockLevel.Pending } writer && writer != held && pin is not null
                && !ReferenceEquals(pin, database.Current))
                return Sqlite.Busy;
            mapped = open.SharedMemory ??= new SharedMemory();
            mapped.References++;
            if (transaction is null) Repin();
            return Sqlite.Ok;
        }
    }

    public override int LockSharedMemory(int offset, int count, int flags)
    {
        // What sleeps after this waits for a WAL.
        refused = null;
        // SQLite opens a WAL before it reads it. When it then does not (journal_mode=TRUNCATE while others use the
        // database), a checkpoint is the first that it does there: it can be done once the WAL was read.
        if (mapped is null && (flags & Sqlite.ShmLock) != 0) return Sqlite.Busy;
        return mapped?.Lock(offset, count, flags, ref sharedSlots, ref exclusiveSlots) ?? Sqlite.IoErrShmLock;
    }

    /// <remarks>The only moment between a commit's last write to the WAL and its being seen (walIndexWriteHdr). Readers
    /// come by as well.</remarks>
    public override void BeforeOthersSee()
    {
        if (open.Wal is not { HasUnloggedCommit: true } wal) return;
        try
        {
            wal.LogCommit();
        }
        catch (Exception)
        {
            // Nothing can be answered here: COMMIT_PHASETWO tries again.
        }
    }

    /// <remarks>Whether SQLite wants the memory deleted does not matter: it goes with its last user.</remarks>
    public override int UnmapSharedMemory()
    {
        if (mapped is not { } memory) return Sqlite.Ok;
        memory.Release(ref sharedSlots, ref exclusiveSlots);
        lock (open.Gate)
        {
            mapped = null;
            if (--memory.References > 0) return Sqlite.Ok;
            open.SharedMemory = null;
        }
        memory.Free();
        return Sqlite.Ok;
    }
}
