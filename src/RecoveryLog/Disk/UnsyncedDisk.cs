namespace RecoveryVfs.RecoveryLog.Disk;

/// <summary>
/// This machine's disk without its syncs: for who makes a whole directory, and syncs all of it afterwards, before it
/// counts for good.
/// </summary>
internal sealed class UnsyncedDisk : ILogDisk
{
    static readonly LocalDisk disk = LocalDisk.Instance;

    UnsyncedDisk() { }

    /// <summary>The one instance; it holds no state.</summary>
    public static UnsyncedDisk Instance { get; } = new();

    /// <inheritdoc/>
    public ILogFile Open(string path, LogFileMode mode) => new UnsyncedFile(disk.Open(path, mode));

    /// <inheritdoc/>
    public bool Exists(string path) => disk.Exists(path);

    /// <inheritdoc/>
    public IReadOnlyList<string> List(string directory) => disk.List(directory);

    /// <inheritdoc/>
    public void CreateDirectory(string path) => disk.CreateDirectoryUnsynced(path);

    /// <inheritdoc/>
    public void Rename(string from, string to) => disk.Rename(from, to);

    /// <inheritdoc/>
    public void Delete(string path) => disk.Delete(path);

    /// <summary>Does nothing.</summary>
    public void SyncDirectory(string path) { }

    /// <inheritdoc/>
    public long FreeBytes(string directory) => disk.FreeBytes(directory);

    sealed class UnsyncedFile(ILogFile file) : ILogFile
    {
        public string Path { get => file.Path; set => file.Path = value; }

        public long SizeBytes => file.SizeBytes;

        public int Read(long offset, Span<byte> destination) => file.Read(offset, destination);

        public void Write(long offset, ReadOnlySpan<byte> source) => file.Write(offset, source);

        public void SyncData() { }

        public void Truncate(long sizeBytes) => file.Truncate(sizeBytes);

        public void Allocate(long from, long to) => file.Allocate(from, to);

        public void Dispose() => file.Dispose();
    }
}
