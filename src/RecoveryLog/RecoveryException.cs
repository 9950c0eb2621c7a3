namespace RecoveryVfs.RecoveryLog;

/// <summary>
/// What kind of trouble a <see cref="RecoveryException"/> reports; the VFS turns each into one SQLite result code.
/// </summary>
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
    /// <summary>
    /// A file or directory belongs to somebody else, who could have put anything there. It was not read.
    /// </summary>
    Untrusted,
    /// <summary>What is asked for cannot be done here: by this disk, object store, SQLite or platform.</summary>
    Unsupported,
}

/// <summary>
/// The one exception of RecoveryVfs. The message says what happened, to which file, object or LSN, and what to do next.
/// The properties say the same to programs.
/// </summary>
public sealed class RecoveryException : Exception
{
    /// <summary>Creates an error with its full message: what happened, to what, and what to do.</summary>
    public RecoveryException(RecoveryError error, string message, Exception? cause = null) : base(message, cause)
        => Error = error;

    /// <summary>Creates an error whose message is both: what happened to what, and what to do.</summary>
    public RecoveryException(RecoveryError error, string what, string hint, Exception? cause = null)
        : this(error, $"{what} {hint}", cause) => Hint = hint;

    /// <summary>The kind of trouble.</summary>
    public RecoveryError Error { get; }

    /// <summary>The file, directory, object or remote that it happened to; null where the message names none.</summary>
    public string? Path { get; init; }

    /// <summary>
    /// The LSN that the message speaks of: of a damaged record, of a state that is not there. Null where there is none.
    /// </summary>
    public ulong? Lsn { get; init; }

    /// <summary>What to do, as at the end of the message; null where nothing helps.</summary>
    public string? Hint { get; init; }

    /// <summary>Whether trying again later can succeed though nobody mends anything.</summary>
    public bool IsTransient { get => field || Error == RecoveryError.Busy; init; }

    /// <summary>The same error for another caller; each thrown exception is an object of its own.</summary>
    internal RecoveryException Again() => Within(Message);

    /// <summary>The same error with another message around it.</summary>
    internal RecoveryException Within(string message) =>
        new(Error, message, this) { Path = Path, Lsn = Lsn, Hint = Hint, IsTransient = IsTransient };
}
