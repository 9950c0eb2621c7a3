namespace RecoveryVfs;

/// <summary>Numbers of SQLite's C interface (sqlite3.h): result codes, flags, lock levels.</summary>
internal static class Sqlite
{
    public const int Ok = 0, Error = 1, Perm = 3, Busy = 5, NoMem = 7, ReadOnly = 8, IoErr = 10, Corrupt = 11,
        Interrupt = 9, NotFound = 12, Full = 13, CantOpen = 14, TooBig = 18, Misuse = 21, Notice = 27, Warning = 28;
    public const int BusySnapshot = Busy | 2 << 8;
    public const int IoErrRead = IoErr | 1 << 8, IoErrShortRead = IoErr | 2 << 8, IoErrWrite = IoErr | 3 << 8,
        IoErrFsync = IoErr | 4 << 8;
    public const int IoErrTruncate = IoErr | 6 << 8, IoErrFstat = IoErr | 7 << 8, IoErrUnlock = IoErr | 8 << 8,
        IoErrDelete = IoErr | 10 << 8;
    public const int IoErrNoMem = IoErr | 12 << 8, IoErrAccess = IoErr | 13 << 8, IoErrLock = IoErr | 15 << 8,
        IoErrClose = IoErr | 16 << 8;
    public const int IoErrShmSize = IoErr | 19 << 8, IoErrShmLock = IoErr | 20 << 8, IoErrShmMap = IoErr | 21 << 8;
    public const int IoErrDeleteNoEntry = IoErr | 23 << 8, IoErrData = IoErr | 32 << 8;

    public const int OpenReadOnly = 0x1, OpenReadWrite = 0x2, OpenCreate = 0x4, OpenExclusive = 0x10;
    public const int OpenMainDb = 0x100, OpenMainJournal = 0x800, OpenSuperJournal = 0x4000, OpenWal = 0x80000;

    public const int CapPowersafeOverwrite = 0x1000;

    public const int ShmUnlock = 1, ShmLock = 2, ShmShared = 4, ShmExclusive = 8, ShmSlots = 8;
}

/// <summary>How much of a database file a handle has locked, in SQLite's order.</summary>
internal enum LockLevel
{
    None = 0,
    Shared = 1,
    Reserved = 2,
    Pending = 3,
    Exclusive = 4,
}
