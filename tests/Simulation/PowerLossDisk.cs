using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;

namespace RecoveryVfs.Simulation;

/// <summary>An operation that <see cref="PowerLossDisk"/> counts and can be told to fail.</summary>
public enum DiskCall { Open, Read, Write, SyncData, Truncate, Rename, Delete, SyncDirectory }

/// <summary>
/// A disk in memory, for simulations and tests, that remembers what was never synced.
/// <see cref="AfterPowerLoss(Random)"/> gives the disks that a loss of power could leave: any version that each
/// 512-byte sector had since the last sync, in any combination, and the directories as they were after some prefix of
/// their unsynced changes. Thread-safe.
/// </summary>
internal sealed class PowerLossDisk : ILogDisk
{
    internal const int SectorBytes = 512;

    readonly Lock gate = new();
    readonly Dictionary<string, MemoryFile> names = [], durableNames = [];
    readonly List<DirectoryChange> pending = [];
    readonly HashSet<string> directories = [];
    readonly Dictionary<DiskCall, int> counts = [];
    readonly List<(DiskCall Call, int Nth, RecoveryError Error, string? PathContains)> faults = [];
    long clock;

    /// <summary>One change of a directory: the name now means this file, or none.</summary>
    readonly record struct DirectoryChange(long Time, string Directory, (string Path, MemoryFile? File)[] Entries);

    /// <summary>
    /// Called before each operation takes effect, with its path, under the disk's lock: the place to take images in the
    /// middle of something.
    /// </summary>
    public Action<DiskCall, string>? Before { get; set; }

    /// <summary>How often each operation was called.</summary>
    public int Count(DiskCall call)
    {
        lock (gate)
            return counts.GetValueOrDefault(call);
    }

    /// <summary>
    /// Lets the <paramref name="nth"/> call from now on (1: the next) of an operation fail with an error, once; a
    /// failing write writes a part first. Only calls on paths that contain <paramref name="pathContains"/> count, when
    /// it is given.
    /// </summary>
    public void Fail(DiskCall call, int nth, RecoveryError error, string? pathContains = null)
    {
        lock (gate)
            faults.Add((call, nth, error, pathContains));
    }

    /// <summary>Forgets the faults that have not struck yet.</summary>
    public void ClearFaults()
    {
        lock (gate)
            faults.Clear();
    }

    /// <summary>
    /// Moments at which something was written or a directory changed: <see cref="AfterPowerLoss(long)"/> takes any up
    /// to this.
    /// </summary>
    public long Now
    {
        get
        {
            lock (gate)
                return clock;
        }
    }

    /// <summary>The oldest moment whose changes are not all durable, or <see cref="Now"/>.</summary>
    public long OldestPending
    {
        get
        {
            lock (gate)
            {
                var oldest = clock;
                foreach (var change in pending)
                    oldest = Math.Min(oldest, change.Time - 1);
                foreach (var file in names.Values)
                    oldest = Math.Min(oldest, file.OldestPending(clock));
                return oldest;
            }
        }
    }

    /// <summary>
    /// A copy of this disk, with all that is unsynced: what another process finds after this one died.
    /// </summary>
    public PowerLossDisk AfterProcessDeath()
    {
        lock (gate)
        {
            var copy = new PowerLossDisk { clock = clock };
            copy.directories.UnionWith(directories);
            var files = new Dictionary<MemoryFile, MemoryFile>();
            MemoryFile Copied(MemoryFile file) => files.TryGetValue(file, out var made)
                ? made
                : files[file] = file.Clone();
            foreach (var (path, file) in names)
                copy.names[path] = Copied(file);
            foreach (var (path, file) in durableNames)
                copy.durableNames[path] = Copied(file);
            foreach (var change in pending)
                copy.pending.Add(
                    change with
                    {
                        Entries =
                            [.. change.Entries.Select(e => (e.Path, e.File is null ? null : Copied(e.File)))]
                    });
            return copy;
        }
    }

    /// <summary>
    /// The disk after a loss of power that let exactly the changes up to a moment through, besides what was synced.
    /// </summary>
    public PowerLossDisk AfterPowerLoss(long moment)
    {
        lock (gate)
            return Image(NamesAt(moment),
                file => file.Image((_, times) => Array.FindLastIndex(times, t => t <= moment), moment));
    }

    /// <summary>
    /// The disk after a loss of power that let through, of the changes since the last syncs, whatever the random
    /// numbers say: each sector any of its versions, the directories any prefix of their changes.
    /// </summary>
    public PowerLossDisk AfterPowerLoss(Random random)
    {
        lock (gate)
        {
            var moment = random.NextInt64(clock + 1);
            var luck = random.Next(3); // few, half, or most of the sectors get through
            return Image(NamesAt(moment), file => file.Image(
                (_, times) => random.Next(4) <= luck
                    ? random.Next(times.Length + 1) - 1 : luck == 0 ? -1 : times.Length - 1,
                random.Next(2) == 0 ? long.MaxValue : 0));
        }
    }

    Dictionary<string, MemoryFile> NamesAt(long moment)
    {
        var result = new Dictionary<string, MemoryFile>(durableNames);
        foreach (var change in pending)
            if (change.Time <= moment)
                Apply(change, result);
        return result;
    }

    PowerLossDisk Image(Dictionary<string, MemoryFile> which, Func<MemoryFile, byte[]> content)
    {
        var image = new PowerLossDisk();
        foreach (var directory in directories)
            image.directories.Add(directory);
        foreach (var (path, file) in which)
            image.names[path] = image.durableNames[path] = new MemoryFile(content(file));
        return image;
    }

    static void Apply(DirectoryChange change, Dictionary<string, MemoryFile> to)
    {
        foreach (var (path, file) in change.Entries)
        {
            if (file is null)
                to.Remove(path);
            else
                to[path] = file;
        }
    }

    void Change(params (string Path, MemoryFile? File)[] entries)
    {
        var change = new DirectoryChange(++clock, Path.GetDirectoryName(entries[0].Path)!, entries);
        pending.Add(change);
        Apply(change, names);
    }

    /// <summary>Flips one bit of a file, as a bad disk does.</summary>
    public void FlipBit(string path, long offset, int bit)
    {
        lock (gate)
            names[path].Flip(offset, bit);
    }

    /// <summary>A file's bytes.</summary>
    public byte[] Contents(string path)
    {
        lock (gate)
            return names[path].Live();
    }

    /// <summary>Puts a file with such bytes on the disk, durably.</summary>
    public void Put(string path, byte[] bytes)
    {
        lock (gate)
        {
            directories.Add(Path.GetDirectoryName(path)!);
            names[path] = durableNames[path] = new MemoryFile(bytes);
        }
    }

    /// <summary>The paths of all files, sorted.</summary>
    public IReadOnlyList<string> Files
    {
        get
        {
            lock (gate)
                return [.. names.Keys.Order(StringComparer.Ordinal)];
        }
    }

    /// <inheritdoc/>
    public ILogFile Open(string path, LogFileMode mode)
    {
        lock (gate)
        {
            Strike(DiskCall.Open, path);
            if (mode == LogFileMode.Create)
                Change((path, new MemoryFile([])));
            if (!names.TryGetValue(path, out var file))
                throw DiskErrors.From(DiskOperation.Open, path, DiskErrors.ENOENT);
            return new Handle(this, file, path, mode != LogFileMode.Read);
        }
    }

    /// <inheritdoc/>
    public bool Exists(string path)
    {
        lock (gate)
            return names.ContainsKey(path);
    }

    /// <inheritdoc/>
    public IReadOnlyList<string> List(string directory)
    {
        lock (gate)
            return [.. names.Keys.Where(p => Path.GetDirectoryName(p) == directory).Select(p => Path.GetFileName(p))];
    }

    /// <inheritdoc/>
    public void CreateDirectory(string path)
    {
        lock (gate)
            directories.Add(path);
    }

    /// <inheritdoc/>
    public void Rename(string from, string to)
    {
        lock (gate)
        {
            Strike(DiskCall.Rename, from);
            if (!names.TryGetValue(from, out var file))
                throw DiskErrors.From(DiskOperation.Rename, from, DiskErrors.ENOENT);
            Change((to, file), (from, null));
        }
    }

    /// <inheritdoc/>
    public void Delete(string path)
    {
        lock (gate)
        {
            Strike(DiskCall.Delete, path);
            if (names.ContainsKey(path))
                Change((path, null));
        }
    }

    /// <inheritdoc/>
    public void SyncDirectory(string path)
    {
        lock (gate)
        {
            Strike(DiskCall.SyncDirectory, path);
            foreach (var change in pending.Where(c => c.Directory == path))
                Apply(change, durableNames);
            pending.RemoveAll(c => c.Directory == path);
        }
    }

    /// <summary>Counts the call, and throws when a fault is due.</summary>
    void Strike(DiskCall call, string path)
    {
        Before?.Invoke(call, path);
        counts[call] = counts.GetValueOrDefault(call) + 1;
        for (var i = 0; i < faults.Count; i++)
        {
            var (what, nth, error, contains) = faults[i];
            if (what != call || (contains is not null && !path.Contains(contains, StringComparison.Ordinal)))
                continue;
            if (nth > 1)
            {
                faults[i] = (what, nth - 1, error, contains);
                continue;
            }
            faults.RemoveAt(i);
            throw new RecoveryException(error, $"Injected: {call} of {path} fails with {error}.");
        }
    }

    sealed class Handle(PowerLossDisk disk, MemoryFile file, string path, bool writable) : ILogFile
    {
        public string Path { get; set; } = path;

        public long SizeBytes
        {
            get
            {
                lock (disk.gate)
                    return file.SizeBytes;
            }
        }

        public int Read(long offset, Span<byte> destination)
        {
            lock (disk.gate)
            {
                disk.Strike(DiskCall.Read, Path);
                return file.Read(offset, destination);
            }
        }

        public void Write(long offset, ReadOnlySpan<byte> source)
        {
            lock (disk.gate)
            {
                if (!writable)
                    throw new InvalidOperationException($"{Path} was opened for reading.");
                try
                {
                    disk.Strike(DiskCall.Write, Path);
                }
                catch (RecoveryException)
                {
                    file.Write(offset, source[..(source.Length / 2)], ++disk.clock);
                    throw;
                }
                file.Write(offset, source, ++disk.clock);
            }
        }

        public void SyncData()
        {
            lock (disk.gate)
            {
                try
                {
                    disk.Strike(DiskCall.SyncData, Path);
                }
                catch (RecoveryException)
                {
                    // As Linux does: the pages count as clean, what of them reached the disk nobody knows.
                    file.ForgetPending();
                    throw;
                }
                file.Sync();
            }
        }

        public void Truncate(long sizeBytes)
        {
            lock (disk.gate)
            {
                disk.Strike(DiskCall.Truncate, Path);
                file.Truncate(sizeBytes, ++disk.clock);
            }
        }

        public void Dispose() { }
    }
}
