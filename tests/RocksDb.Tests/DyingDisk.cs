using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;

namespace RecoveryVfs.Testing;

/// <summary>The machine's disk for a process that is killed after so many changes of it.</summary>
internal sealed class DyingDisk(int changes) : ILogDisk
{
    int left = changes;

    /// <summary>Whether the process was killed.</summary>
    public bool IsDead => Volatile.Read(ref left) < 0;

    void Change(string path)
    {
        if (Interlocked.Decrement(ref left) < 0)
            throw new RecoveryException(RecoveryError.IoWrite, $"The process was killed before it changed {path}.");
    }

    public ILogFile Open(string path, LogFileMode mode)
    {
        if (mode == LogFileMode.Create) Change(path);
        return new DyingFile(this, LocalDisk.Instance.Open(path, mode));
    }

    public bool Exists(string path) => LocalDisk.Instance.Exists(path);

    public IReadOnlyList<string> List(string directory) => LocalDisk.Instance.List(directory);

    public void CreateDirectory(string path) => LocalDisk.Instance.CreateDirectory(path);

    public void Rename(string from, string to)
    {
        Change(to);
        LocalDisk.Instance.Rename(from, to);
    }

    public void Delete(string path)
    {
        Change(path);
        LocalDisk.Instance.Delete(path);
    }

    public void SyncDirectory(string path) => LocalDisk.Instance.SyncDirectory(path);

    sealed class DyingFile(DyingDisk disk, ILogFile file) : ILogFile
    {
        public string Path { get => file.Path; set => file.Path = value; }
        public long SizeBytes => file.SizeBytes;
        public int Read(long offset, Span<byte> destination) => file.Read(offset, destination);

        /// <summary>A kill may leave a part of what was written.</summary>
        public void Write(long offset, ReadOnlySpan<byte> source)
        {
            try
            {
                disk.Change(Path);
            }
            catch
            {
                if (disk.left == -1) file.Write(offset, source[..(source.Length / 2)]);
                throw;
            }
            file.Write(offset, source);
        }

        public void SyncData() => file.SyncData();

        public void Truncate(long sizeBytes)
        {
            disk.Change(Path);
            file.Truncate(sizeBytes);
        }

        public void Dispose() => file.Dispose();
    }
}
