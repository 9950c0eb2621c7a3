namespace RecoveryVfs.Replicate.Interop;

/// <summary>SQLite's result codes and names as far as they matter here.</summary>
internal static class SqliteResult
{
    public const int Ok = 0, Error = 1, Busy = 5, Locked = 6, ReadOnly = 8, IoError = 10, Corrupt = 11, CannotOpen = 14,
        NotADatabase = 26, Row = 100;

    /// <summary>A read that found the end of the file; the rest of the buffer is zeros.</summary>
    public const int ShortRead = IoError | (2 << 8);

    public const int FilePointer = 7, HasMoved = 20;

    public const int NoCheckpointOnClose = 1006, Lookaside = 1001;

    public const int CheckpointPassive = 0, CheckpointTruncate = 3;

    /// <summary>The code without what makes it more precise.</summary>
    public static int Primary(int code) => code & 0xff;
}
