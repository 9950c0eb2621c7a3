namespace RecoveryVfs.RecoveryLog.Disk;

/// <summary>How <see cref="ILogDisk.Open"/> opens a file.</summary>
internal enum LogFileMode
{
    /// <summary>An existing file, for reading.</summary>
    Read,
    /// <summary>An existing file, for reading and writing.</summary>
    Write,
    /// <summary>A new, empty file, for reading and writing; an old one of that name is emptied.</summary>
    Create,
}

/// <summary>
/// The local disk as the log sees it: files addressed by offset, and a power cord. What was written survives the death
/// of the process; only what was synced survives loss of power, and a directory's entries are synced apart from the
/// files'.
/// </summary>
/// <remarks>
/// Paths are whole. All methods may be called from any thread. Failures are <see cref="RecoveryException"/>s that name
/// the file and the way out: no space or quota is Full, a failed sync IoSync, missing rights or too many open files
/// CannotOpen, a read-only disk ReadOnly, a missing file NotFound, anything else IoRead or IoWrite.
/// </remarks>
internal interface ILogDisk
{
    /// <summary>
    /// Opens a file. Its entry in the directory survives power loss only after <see cref="SyncDirectory"/>.
    /// </summary>
    ILogFile Open(string path, LogFileMode mode);

    /// <summary>Whether a file of that name exists.</summary>
    bool Exists(string path);

    /// <summary>
    /// Names (not paths) of the files in a directory, in no order; none when there is no such directory.
    /// </summary>
    IReadOnlyList<string> List(string directory);

    /// <summary>Creates a directory and its missing parents, durably. Does nothing when it exists.</summary>
    void CreateDirectory(string path);

    /// <summary>Gives a file another name in one step, replacing what had it.</summary>
    void Rename(string from, string to);

    /// <summary>Removes a file's name; does nothing when there is none. Open files stay usable.</summary>
    void Delete(string path);

    /// <summary>Makes creations, renames and deletions in a directory durable.</summary>
    void SyncDirectory(string path);

    /// <summary>
    /// Bytes that this user may still write where a directory is, or will be. A disk that cannot tell has room.
    /// </summary>
    long FreeBytes(string directory) => long.MaxValue;
}

/// <summary>One open file of an <see cref="ILogDisk"/>. Reads and writes may run on several threads at once.</summary>
internal interface ILogFile : IDisposable
{
    /// <summary>The path that errors name; whoever renames an open file sets it.</summary>
    string Path { get; set; }

    /// <summary>The size now.</summary>
    long SizeBytes { get; }

    /// <summary>Reads at an offset until the span is full or the file ends; returns how many bytes it read.</summary>
    int Read(long offset, Span<byte> destination);

    /// <summary>Writes all of the bytes at an offset. When it throws, any part of them may have been written.</summary>
    void Write(long offset, ReadOnlySpan<byte> source);

    /// <summary>
    /// Makes everything written so far durable (fdatasync). Never called again on this file once it failed.
    /// </summary>
    void SyncData();

    /// <summary>Sets the size; what is added reads as zeros.</summary>
    void Truncate(long sizeBytes);

    /// <summary>
    /// Takes disk space for bytes beyond the end, which read as zeros. May cost less than writing them, and the first
    /// sync of what is written there later more.
    /// </summary>
    void Allocate(long from, long to) => this.WriteZeros(from, to);
}

/// <summary>What every file can do.</summary>
internal static class LogFiles
{
    static readonly byte[] zeros = new byte[64 << 10];

    public static ReadOnlySpan<byte> Zeros(int count) => zeros.AsSpan(0, count);

    public static void WriteZeros(this ILogFile file, long from, long to)
    {
        for (; from < to; from += zeros.Length)
            file.Write(from, zeros.AsSpan(0, (int)Math.Min(zeros.Length, to - from)));
    }
}
