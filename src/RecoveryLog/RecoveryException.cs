namespace RecoveryVfs.RecoveryLog;

/// <summary>What kind of trouble a <see cref="RecoveryException"/> reports; the VFS turns each into one SQLite result code.</summary>
public enum RecoveryError
{
    /// <summary>The request makes no sense as given: a bad option, a bad name. Nothing was changed.</summary>
    Invalid,
    /// <summary>A named file, database, object or LSN does not exist.</summary>
    NotFound,
    /// <summary>Somebody else holds what is needed; trying again later can succeed.</summary>
    Busy,
    /// <summary>No space, or a configured bound was reached. The operation had no effect; the store goes on.</summary>
    Full,
    /// <summary>The medium failed to give back what was written.</summary>
    IoRead,
    /// <summary>The medium refused a write. The operation had no effect.</summary>
    IoWrite,
    /// <summary>A sync failed: nobody knows what is durable. The store is read-only until it is reopened.</summary>
    IoSync,
    /// <summary>Bytes that were once verified no longer are. They are not returned as data.</summary>
    Corrupt,
    /// <summary>Written by a newer version of this software, in a format that this one does not know.</summary>
    TooNew,
    /// <summary>The store takes no writes: opened so, poisoned by an earlier error, or the disk is read-only.</summary>
    ReadOnly,
    /// <summary>A writer with a higher epoch has taken over the log.</summary>
    Fenced,
    /// <summary>A file or directory could not be opened (missing rights, too many open files).</summary>
    CannotOpen,
    /// <summary>The remote cannot be reached or does not keep a promise that is needed.</summary>
    Remote,
}

/// <summary>
/// The one exception family of RecoveryVfs. The message says what happened, to which file, object or LSN, and what to do next.
/// </summary>
public sealed class RecoveryException : Exception
{
    /// <summary>Creates an error with its full message: what happened, to what, and what to do.</summary>
    public RecoveryException(RecoveryError error, string message, Exception? cause = null) : base(message, cause) => Error = error;

    /// <summary>The kind of trouble.</summary>
    public RecoveryError Error { get; }
}
