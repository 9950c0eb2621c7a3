using System.Text;
using RecoveryVfs.Interop;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs;

/// <summary>
/// Turns errors into SQLite's result codes; the message goes to the host's error log and is kept for xGetLastError, for
/// <c>PRAGMA recovery_last_error</c> and for <see cref="Recovery.LastError"/>, by thread.
/// </summary>
internal static class Failures
{
    [ThreadStatic] static string? last;

    /// <summary>What the last failure on this thread said; empty when there was none.</summary>
    public static string Last => last ?? "";

    /// <summary>
    /// The code of an error on an open file. The pager keeps its promises after SQLITE_FULL, SQLITE_IOERR* and, before a
    /// transaction has written, SQLITE_BUSY and SQLITE_READONLY; damage is SQLITE_IOERR_DATA so that the cache is dropped too.
    /// </summary>
    public static int CodeOf(Exception error, int otherwise) => error is not RecoveryException known
        ? error is OutOfMemoryException ? Sqlite.IoErrNoMem : otherwise
        : known.Error switch
        {
            RecoveryError.Full => Sqlite.Full,
            RecoveryError.Busy => Sqlite.Busy,
            RecoveryError.IoRead => Sqlite.IoErrRead,
            RecoveryError.IoWrite => Sqlite.IoErrWrite,
            RecoveryError.IoSync => Sqlite.IoErrFsync,
            RecoveryError.Corrupt => Sqlite.IoErrData,
            RecoveryError.ReadOnly or RecoveryError.Fenced => Sqlite.ReadOnly,
            RecoveryError.CannotOpen or RecoveryError.TooNew => Sqlite.CantOpen,
            RecoveryError.Invalid => Sqlite.Error,
            RecoveryError.NotFound or RecoveryError.Remote => otherwise,
            _ => otherwise,
        };

    /// <summary>The code of an error while opening: damage is SQLITE_CORRUPT, trouble with files SQLITE_CANTOPEN.</summary>
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

    /// <summary>
    /// The code of a failed publish. After FCNTL_COMMIT_PHASETWO the pager goes into its error state, which drops its cache, only for
    /// SQLITE_IOERR* and SQLITE_FULL; with any other code it would go on with pages that were never committed.
    /// </summary>
    public static int ReportCommit(Exception error)
    {
        var code = CodeOf(error, Sqlite.IoErrWrite);
        return Report(code == Sqlite.Full || (code & 0xff) == Sqlite.IoErr ? code : Sqlite.IoErrWrite, error.Message);
    }

    public static int ReportOpening(Exception error) => Report(CodeOfOpening(error), Text(error));

    public static int Report(Exception error, int otherwise) => Report(CodeOf(error, otherwise), Text(error));

    public static int Report(int code, string message)
    {
        last = message;
        VfsEntryPoints.Api?.Log(code, "RecoveryVfs: " + message);
        return code;
    }

    // An error that is not of our family is a bug: its place is worth more than brevity.
    static string Text(Exception error) => error is RecoveryException ? error.Message : error.ToString();

    /// <summary>Copies the last message, as much as fits, with a final zero.</summary>
    public static void CopyLast(Span<byte> destination)
    {
        var text = Encoding.UTF8.GetBytes(Last);
        var count = Math.Min(text.Length, destination.Length - 1);
        text.AsSpan(0, count).CopyTo(destination);
        destination[count] = 0;
    }
}
