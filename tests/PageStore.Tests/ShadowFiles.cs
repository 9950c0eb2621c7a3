using System.Numerics;
using RecoveryVfs.PageStore.Interop;
using RecoveryVfs.PageStore.Rocks;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.PageStore.Tests;

/// <summary>
/// Keeps the table of files that recorded events describe, and checks at each event that it claims no more than the
/// directory has.
/// </summary>
public sealed class ShadowFiles(string directory) : IFileRecorder
{
    public sealed record Entry(byte[] Bytes, long Size, uint Crc, bool Sealed);

    readonly Lock gate = new();
    readonly Dictionary<string, Entry> files = [];

    public int Events { get; private set; }

    /// <summary>Called within each event, with the table as it is then.</summary>
    public Action<IReadOnlyDictionary<string, Entry>>? OnEvent { get; set; }

    public Dictionary<string, Entry> Snapshot()
    {
        lock (gate)
            return new(files);
    }

    static bool IsLarge(string name) => name.EndsWith(".sst", StringComparison.Ordinal)
        || name.EndsWith(".blob", StringComparison.Ordinal);

    /// <summary>Files that are not recorded.</summary>
    public static bool IsIgnored(string name) => name.StartsWith("LO", StringComparison.Ordinal)
        || name.EndsWith(".log", StringComparison.Ordinal);

    public void Created(string name) => Change(() => files[name] = new([], 0, 0, false));

    public void Appended(string name, ReadOnlySpan<byte> bytes, long sizeBytes, uint crc32c)
    {
        var copy = bytes.ToArray();
        Change(() =>
        {
            var old = files[name];
            Assert.False(old.Sealed);
            Assert.True(sizeBytes > old.Size);
            Assert.Equal(IsLarge(name) ? 0 : sizeBytes - old.Size, copy.Length);
            files[name] = new([.. old.Bytes, .. copy], sizeBytes, crc32c, false);
            if (!IsLarge(name))
                Assert.Equal(Crc32C(files[name].Bytes), crc32c);
        });
    }

    public void Sealed(string name, long sizeBytes, uint crc32c) => Change(() =>
    {
        var old = files[name];
        Assert.Equal((old.Size, old.Crc, false), (sizeBytes, crc32c, old.Sealed));
        files[name] = old with { Sealed = true };
        var disk = File.ReadAllBytes(Path.Combine(directory, name));
        Assert.Equal((sizeBytes, crc32c), (disk.Length, Crc32C(disk)));
    });

    public void Truncated(string name, long sizeBytes)
        => Assert.Fail($"{name} was truncated, which RocksDB does not do");

    public void Renamed(string name, string newName) => Change(() =>
    {
        files[newName] = files[name];
        Assert.True(files.Remove(name));
    });

    public void Linked(string name, string otherName) => Change(() => files[otherName] = files[name]);

    public void Deleted(string name) => Change(() => Assert.True(files.Remove(name), name));

    void Change(Action change)
    {
        lock (gate)
        {
            Events++;
            change();
            foreach (var (name, entry) in files)
            {
                var info = new FileInfo(Path.Combine(directory, name));
                // A renaming is told of when it is done.
                if (!info.Exists && name.EndsWith(".dbtmp", StringComparison.Ordinal)) continue;
                Assert.True(info.Exists, $"{name} is in the table, but not in the directory");
                Assert.True(info.Length >= entry.Size,
                    $"{name} has {info.Length} bytes, and {entry.Size} in the table");
            }
            OnEvent?.Invoke(files);
        }
    }

    public static uint Crc32C(ReadOnlySpan<byte> bytes)
    {
        var crc = uint.MaxValue;
        foreach (var b in bytes)
            crc = BitOperations.Crc32C(crc, b);
        return ~crc;
    }
}
