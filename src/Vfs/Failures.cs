using System.Text;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs;

/// <summary>
/// Turns errors into SQLite's result codes; the message goes to the host's error log and is kept for xGetLastError, for
/// <c>PRAGMA recovery_last_error</c> and for <see cref="Recovery.LastError"/>, by thread.
/// </summary>
internal static class Failures
{
    [ThreadStatic] static ReportedFailure? last;
    [ThreadStatic] static int lastErrno;

    static volatile ReportedFailure? latest;

    /// <summary>The last failure on this thread; null when there was none.</summary>
    public static ReportedFailure? LastOnThread => last;

    /// <summary>What the last failure on this thread said; empty when there was none.</summary>
    public static string Last => last?.Message ?? "";

    /// <summary>
    /// The last failure on this thread, else in this process, with its time: for who asks later, perhaps by another
    /// thread, perhaps after an error that was SQLite's alone. Empty when there was none.
    /// </summary>
    public static string Latest => (last ?? latest)?.ToString() ?? "";

    /// <summary>
    /// What sqlite3_system_errno() says of it: the nearest of Linux's numbers, 0 when there was no failure.
    /// </summary>
    public static int LastErrno => lastErrno;

    /// <summary>
    /// The code of an error on a file: SQLITE_FULL or one of SQLITE_IOERR_*, nothing else. Only those put the pager
    /// into its error state, in which it drops its cache; after any other code from a write, a sync or the journal's
    /// deletion it goes on with pages that are neither committed nor rolled back, and the next COMMIT returns without
    /// writing them. Damage is SQLITE_IOERR_DATA.
    /// </summary>
    static int CodeOf(Exception error, int otherwise) => error is not RecoveryException known
        ? error is OutOfMemoryException ? Sqlite.IoErrNoMem : otherwise
        : known.Error switch
        {
            RecoveryError.Full => Sqlite.Full,
            RecoveryError.IoRead => Sqlite.IoErrRead,
            RecoveryError.IoWrite => Sqlite.IoErrWrite,
            RecoveryError.IoSync => Sqlite.IoErrFsync,
            RecoveryError.Corrupt => Sqlite.IoErrData,
            _ => otherwise,
        };

    /// <summary>
    /// The code of an error while opening: damage is SQLITE_CORRUPT, trouble with files SQLITE_CANTOPEN.
    /// </summary>
    static int CodeOfOpening(Exception error) => error is not RecoveryException known
        ? error is OutOfMemoryException ? Sqlite.NoMem : Sqlite.CantOpen
        : known.Error switch
        {
            RecoveryError.Busy => Sqlite.Busy,
            RecoveryError.Full => Sqlite.Full,
            RecoveryError.Corrupt => Sqlite.Corrupt,
            RecoveryError.IoRead => Sqlite.IoErrRead,
            RecoveryError.IoWrite => Sqlite.IoErrWrite,
            RecoveryError.IoSync => Sqlite.IoErrFsync,
            RecoveryError.ReadOnly or RecoveryError.Fenced => Sqlite.ReadOnly,
            _ => Sqlite.CantOpen,
        };

    public static int ReportOpening(Exception error) => Report(CodeOfOpening(error), Text(error));

    public static int Report(Exception error, int otherwise) => Report(CodeOf(error, otherwise), Text(error));

    /// <summary>Keeps what explains an error that SQLite will give by itself, without asking us again.</summary>
    public static void Foretell(string message) => last = latest = new ReportedFailure(message, DateTimeOffset.UtcNow);

    public static int Report(int code, string message)
    {
        Foretell(message);
        lastErrno = (code & 0xff) switch
        {
            Sqlite.CantOpen => 2, // ENOENT
            Sqlite.Busy => 11, // EAGAIN
            Sqlite.Full => 28, // ENOSPC
            Sqlite.ReadOnly => 30, // EROFS
            _ => 5, // EIO
        };
        HostSqlite.Log(code, "RecoveryVfs: " + message);
        EventLog.Write(code == Sqlite.Warning ? EventLevel.Warning : EventLevel.Error, Name(code), message);
        return code;
    }

    static string Name(int code) => (code & 0xff) switch
    {
        Sqlite.Busy => "BUSY",
        Sqlite.ReadOnly => "READONLY",
        Sqlite.IoErr => "IOERR",
        Sqlite.Corrupt => "CORRUPT",
        Sqlite.Full => "FULL",
        Sqlite.CantOpen => "CANTOPEN",
        Sqlite.Warning => "WARNING",
        _ => "ERROR",
    };

    // An error that is not of our family is a bug: its place is worth more than brevity.
    static string Text(Exception error) => error is RecoveryException ? error.Message : error.ToString();

    /// <summary>Copies the last message, as much as fits, with a final zero.</summary>
    public static void CopyLast(Span<byte> destination)
    {
        var text = Encoding.UTF8.GetBytes(Latest);
        var count = Math.Min(text.Length, destination.Length - 1);
        text.AsSpan(0, count).CopyTo(destination);
        destination[count] = 0;
    }
}
