using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.RecoveryLog.Log;

/// <summary>Writes to plain files, on their way into the log.</summary>
internal static class FileWrites
{
    /// <summary>
    /// Appends a FileWritten record without allocating; <paramref name="writeOut"/> as in
    /// <see cref="LocalLog.Append"/>.
    /// </summary>
    public static ulong AppendWritten(this LocalLog log, ulong fnode, long offset, ReadOnlySpan<byte> bytes,
        bool writeOut = false)
    {
        Span<byte> start = stackalloc byte[FileRecords.WrittenStartBytes];
        FileRecords.StartWritten(start, fnode, offset);
        return log.Append(RecordKind.FileWritten, start, bytes, writeOut: writeOut);
    }
}
