using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.PageStore.Tests;

/// <summary>The real disk, which can run out of space for whatever would make its files larger or more.</summary>
sealed class FillableDisk : ILogDisk
{
    readonly LocalDisk disk = LocalDisk.Instance;

    public volatile bool IsFull;

    void ThrowIfFull(string path)
    {
        if (IsFull) throw new RecoveryException(RecoveryError.Full, $"No space is left for {path} (a test says so). Make room.");
    }

    public ILogFile Open(string path, LogFileMode mode)
    {
        if (mode == LogFileMode.Create) ThrowIfFull(path);
        return new FillableFile(this, disk.Open(path, mode));
    }

    public bool Exists(string path) => disk.Exists(path);
    public IReadOnlyList<string> List(string directory) => disk.List(directory);
    public void CreateDirectory(string path) => disk.CreateDirectory(path);
    public void Rename(string from, string to) => disk.Rename(from, to);
    public void Delete(string path) => disk.Delete(path);
    public void SyncDirectory(string path) => disk.SyncDirectory(path);

    sealed class FillableFile(FillableDisk disk, ILogFile file) : ILogFile
    {
        public string Path { get => file.Path; set => file.Path = value; }
        public long SizeBytes => file.SizeBytes;
        public int Read(long offset, Span<byte> destination) => file.Read(offset, destination);

        public void Write(long offset, ReadOnlySpan<byte> source)
        {
            if (offset + source.Length > file.SizeBytes) disk.ThrowIfFull(Path);
            file.Write(offset, source);
        }

        public void SyncData() => file.SyncData();
        public void Truncate(long sizeBytes) => file.Truncate(sizeBytes);
        public void Dispose() => file.Dispose();
    }
}
