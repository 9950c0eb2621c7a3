using System.Collections.Concurrent;
using RecoveryVfs.Opening;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.Simulation;

namespace RecoveryVfs.Tests;

/// <summary>
/// Puts a test's store on a simulated disk: it can fail, and lose power at every write, sync or rename. The stubs stay
/// real.
/// </summary>
internal sealed class SimulatedDisk : ILogDisk, IDisposable
{
    static readonly ConcurrentDictionary<string, ILogDisk> disks = new();

    static SimulatedDisk() => StoreRegistry.Simulated = static (directory, options)
        => disks.TryGetValue(directory, out var disk)
        ? options.ToStoreOptions("/store") with { Disk = disk, PagesInMemory = true }
        : null;

    readonly string directory;
    readonly Lock gate = new();

    public SimulatedDisk(TestStore store, PowerLossDisk? image = null)
    {
        Disk = image ?? new PowerLossDisk();
        directory = store.PathOf(".recovery");
        Directory.CreateDirectory(directory);
        disks[directory] = this;
    }

    public PowerLossDisk Disk { get; }

    /// <summary>
    /// Called before everything that changes the disk, by any thread of the store; no other change comes in between.
    /// </summary>
    public Action? BeforeChange
    {
        get;
        set
        {
            lock (gate) field = value;
        }
    }

    public void Dispose()
    {
        Recovery.CloseIdleStores();
        disks.TryRemove(directory, out _);
    }

    T Changing<T>(Func<T> change)
    {
        lock (gate)
        {
            BeforeChange?.Invoke();
            return change();
        }
    }

    void Changing(Action change)
    {
        lock (gate)
        {
            BeforeChange?.Invoke();
            change();
        }
    }

    public ILogFile Open(string path, LogFileMode mode)
        => new WatchedFile(this, mode == LogFileMode.Create
            ? Changing(() => Disk.Open(path, mode))
            : Disk.Open(path, mode));

    public bool Exists(string path) => Disk.Exists(path);

    public IReadOnlyList<string> List(string path) => Disk.List(path);

    public void CreateDirectory(string path) => Disk.CreateDirectory(path);

    public void Rename(string from, string to) => Changing(() => Disk.Rename(from, to));

    public void Delete(string path) => Changing(() => Disk.Delete(path));

    public void SyncDirectory(string path) => Changing(() => Disk.SyncDirectory(path));

    sealed class WatchedFile(SimulatedDisk disk, ILogFile file) : ILogFile
    {
        public string Path { get => file.Path; set => file.Path = value; }

        public long SizeBytes => file.SizeBytes;

        public int Read(long offset, Span<byte> destination) => file.Read(offset, destination);

        public void Write(long offset, ReadOnlySpan<byte> source)
        {
            lock (disk.gate)
            {
                disk.BeforeChange?.Invoke();
                file.Write(offset, source);
            }
        }

        public void SyncData() => disk.Changing(file.SyncData);

        public void Truncate(long sizeBytes) => disk.Changing(() => file.Truncate(sizeBytes));

        public void Dispose() => file.Dispose();
    }
}
