using System.Runtime.InteropServices;
using RecoveryVfs.PageStore.Interop;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;

namespace RecoveryVfs.PageStore.Rocks;

/// <summary>Turns RocksDB's errors into ours: what happened, to which directory and file, and what to do.</summary>
internal static class RocksErrors
{
    /// <summary>Takes the native message and frees it.</summary>
    internal static string Take(nint message)
    {
        if (message == 0)
            return "no message";
        var text = Marshal.PtrToStringUTF8(message)!;
        Native.rv_free(message);
        return text;
    }

    /// <param name="code">What the native call returned.</param>
    /// <param name="message">RocksDB's words; they mostly name the file.</param>
    /// <param name="action">What was tried, as in "Reading a page".</param>
    /// <param name="directory">The page store's directory.</param>
    /// <param name="writing">Whether it was a write.</param>
    /// <param name="refusal">What the recorder threw, if it refused something.</param>
    internal static RecoveryException Translate(
        Native.Code code, string message, string action, string directory, bool writing, Exception? refusal)
    {
        if (refusal is not null && message.Contains("The recorder refused", StringComparison.Ordinal))
        {
            var kind = (refusal as RecoveryException)?.Error ?? RecoveryError.IoWrite;
            return new RecoveryException(kind,
                $"{action} in {directory} failed because a change of a file could not be recorded: {refusal.Message}",
                refusal)
            { Path = directory };
        }
        if (RecordedFiles.TakeReadFailure() is { } missing && message.Contains("could not be fetched",
            StringComparison.Ordinal))
            return missing is RecoveryException known
                ? known.Within($"{action} in {directory} failed: {known.Message}")
                : new RecoveryException(RecoveryError.IoRead, $"{action} in {directory} failed: {missing.Message}",
                    missing)
                { Path = directory };
        var (error, advice) = Classify(code, message, writing);
        return new RecoveryException(error,
            $"{action} in {directory} failed: {message.TrimEnd('.')}.",
                advice + (error == RecoveryError.Full ? DiskRoom.Tell(directory) : ""))
        { Path = directory };
    }

    static (RecoveryError Error, string Advice) Classify(Native.Code code, string message, bool writing) => code switch
    {
        Native.Code.Corrupt
            => (RecoveryError.Corrupt, "Nothing damaged was returned. Restore the store from its remote."),
        Native.Code.MissingFile
            => (RecoveryError.Corrupt,
                "A file that belongs to the store is missing: restore the store from its remote."),
        Native.Code.NoSpace => (RecoveryError.Full, "Free some space on this disk; the store then goes on by itself."),
        Native.Code.Busy
            => (RecoveryError.Busy,
                "Another process, or another store in this one, has the directory open: close that one first."),
        Native.Code.OpenFiles
            => (RecoveryError.CannotOpen,
                "Raise the limit on open files (ulimit -n), or correct the rights of the file."),
        Native.Code.ReadOnly => (RecoveryError.ReadOnly, "Open the store for writing, on a disk that can be written."),
        Native.Code.Invalid => (RecoveryError.Invalid, "See the message."),
        _ when message.Contains("sync", StringComparison.Ordinal) =>
            (RecoveryError.IoSync,
                "It is not known what reached the disk. Check the disk and reopen the store: the recovery log has "
                    + "what is missing."),
        _ when writing
            => (RecoveryError.IoWrite, "Check the disk and reopen the store: the recovery log has what is missing."),
        _ => (RecoveryError.IoRead, "Check the disk."),
    };
}
