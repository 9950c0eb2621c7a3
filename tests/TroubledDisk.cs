using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;

namespace RecoveryVfs.Testing;

/// <summary>Another disk (the machine's, if none is given) with the trouble that a test wants.</summary>
internal sealed class TroubledDisk(ILogDisk? under = null) : ILogDisk
{
    readonly ILogDisk disk = under ?? LocalDisk.Instance;

    /// <summary>While it is full, no file that <see cref="Fills"/> can be made or grow.</summary>
    public volatile bool IsFull;

    /// <summary>Which files have no room while it is full.</summary>
    public Func<string, bool> Fills = _ => true;

    /// <summary>Whether writing into what a file has already needs room too.</summary>
    public bool CopiesOnWrite { get; init; }

    /// <summary>Nothing can be deleted.</summary>
    public bool RefusesDeletes { get; set; }

    /// <summary>The next sync does this, and fails.</summary>
    public Action? DuringFailedSync;

    /// <summary>The next sync does this first.</summary>
    public Action? DuringSync;

    /// <summary>Each sync does this first, with the path of its file.</summary>
    public Action<string>? BeforeSync { get; set; }

    /// <summary>Told the path of each file that was synced.</summary>
    public Action<string>? Synced { get; init; }

    /// <summary>Told the path of each file that is opened.</summary>
    public Action<string>? Opened { get; init; }

    /// <summary>What it says of the room that is left.</summary>
    public Func<long>? Free { get; init; }

    public long FreeBytes(string directory) => Free?.Invoke() ?? disk.FreeBytes(directory);

    void ThrowIfFull(string path)
    {
        if (IsFull && Fills(path))
            throw new RecoveryException(RecoveryError.Full,
                $"No space is left for {path} (a test says so). Make room.");
    }

    public ILogFile Open(string path, LogFileMode mode)
    {
        if (mode == LogFileMode.Create) ThrowIfFull(path);
        Opened?.Invoke(path);
        return new TroubledFile(this, disk.Open(path, mode));
    }

    public bool Exists(string path) => disk.Exists(path);
    public IReadOnlyList<string> List(string directory) => disk.List(directory);
    public void CreateDirectory(string path) => disk.CreateDirectory(path);
    public void Rename(string from, string to) => disk.Rename(from, to);

    public void Delete(string path)
    {
        if (RefusesDeletes)
            throw new RecoveryException(RecoveryError.IoWrite, $"{path} cannot be deleted (a test says so).");
        disk.Delete(path);
    }

    public void SyncDirectory(string path) => disk.SyncDirectory(path);

    sealed class TroubledFile(TroubledDisk owner, ILogFile file) : ILogFile
    {
        public string Path { get => file.Path; set => file.Path = value; }
        public long SizeBytes => file.SizeBytes;
        public int Read(long offset, Span<byte> destination) => file.Read(offset, destination);
        public void Truncate(long sizeBytes) => file.Truncate(sizeBytes);
        public void Dispose() => file.Dispose();

        public void Write(long offset, ReadOnlySpan<byte> source)
        {
            if (owner.CopiesOnWrite || offset + source.Length > file.SizeBytes) owner.ThrowIfFull(Path);
            file.Write(offset, source);
        }

        public void SyncData()
        {
            owner.BeforeSync?.Invoke(Path);
            Interlocked.Exchange(ref owner.DuringSync, null)?.Invoke();
            if (Interlocked.Exchange(ref owner.DuringFailedSync, null) is not { } during)
            {
                file.SyncData();
                owner.Synced?.Invoke(Path);
                return;
            }
            during();
            throw new RecoveryException(RecoveryError.IoSync, "made to fail");
        }
    }
}
