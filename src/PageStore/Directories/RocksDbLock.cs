using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.PageStore.Directories;

/// <summary>RocksDB's own lock of a directory, the file LOCK: a process that does not record takes it, too.</summary>
internal sealed class RocksDbLock : IDisposable
{
    readonly FileStream file;

    RocksDbLock(FileStream file) => this.file = file;

    /// <summary>Takes it; throws Busy when a process has the RocksDB open.</summary>
    public static RocksDbLock Take(string directory)
    {
        var file = new FileStream(Path.Combine(directory, "LOCK"), FileMode.OpenOrCreate, FileAccess.ReadWrite,
            FileShare.ReadWrite);
        try
        {
            if (!OperatingSystem.IsMacOS()) file.Lock(0, 0);
            return new RocksDbLock(file);
        }
        catch (IOException e)
        {
            file.Dispose();
            throw new RecoveryException(RecoveryError.Busy, $"A process has the RocksDB {directory} open.",
                "Close it there first; one that is recorded ships by itself.", e)
            { Path = directory };
        }
    }

    /// <summary>The same, where the file is there: else nobody has the RocksDB open.</summary>
    public static RocksDbLock? TakeIfThere(string directory) =>
        File.Exists(Path.Combine(directory, "LOCK")) ? Take(directory) : null;

    public void Dispose() => file.Dispose();
}
