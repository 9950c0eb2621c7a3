using RecoveryVfs.PageStore.Interop;

namespace RecoveryVfs.Testing;

/// <summary>Passes on what a RocksDB does, and knows how much of each file it has synced.</summary>
internal sealed class SyncWatch(IDirectoryRecorder recorder) : IDirectoryRecorder
{
    readonly Lock gate = new();
    readonly Dictionary<string, (long Written, long Synced)> files = new(StringComparer.Ordinal);
    readonly HashSet<string> whole = new(StringComparer.Ordinal);

    /// <summary>How much of a file a loss of power leaves at least; all of one that nobody writes any more.</summary>
    public long KeptOf(string name, long sizeBytes)
    {
        lock (gate)
            return whole.Contains(name) || !files.TryGetValue(name, out var file)
                ? sizeBytes
                : file.Synced;
    }

    public void Created(string name)
    {
        lock (gate)
        {
            files[name] = default;
            whole.Remove(name);
        }
        recorder.Created(name);
    }

    public void Appended(string name, ReadOnlySpan<byte> bytes, long sizeBytes, uint crc32c)
    {
        lock (gate) files[name] = files[name] with { Written = sizeBytes };
        recorder.Appended(name, bytes, sizeBytes, crc32c);
    }

    public void Sealed(string name, long sizeBytes, uint crc32c)
    {
        // RocksDB syncs a table before it closes it; a write-ahead log it may close unsynced.
        if (name.EndsWith(".sst", StringComparison.Ordinal))
            lock (gate) whole.Add(name);
        recorder.Sealed(name, sizeBytes, crc32c);
    }

    public void Synced(string name)
    {
        lock (gate) files[name] = (files[name].Written, files[name].Written);
        recorder.Synced(name);
    }

    public void Adopted(string name)
    {
        lock (gate) whole.Add(name);
        recorder.Adopted(name);
    }

    public void Truncated(string name, long sizeBytes) => recorder.Truncated(name, sizeBytes);

    public void Renamed(string name, string newName)
    {
        lock (gate)
        {
            files[newName] = files.GetValueOrDefault(name);
            files.Remove(name);
        }
        recorder.Renamed(name, newName);
    }

    public void Linked(string name, string otherName) => recorder.Linked(name, otherName);

    public void Deleted(string name)
    {
        lock (gate) files.Remove(name);
        recorder.Deleted(name);
    }
}
