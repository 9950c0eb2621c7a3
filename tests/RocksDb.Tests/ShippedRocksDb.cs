using RecoveryVfs.RocksDb;
using RocksDbSharp;

namespace RecoveryVfs.Testing;

/// <summary>
/// A RocksDB with two column families that was recorded, shipped and closed: with tables from before and after its
/// newest hints, and a write-ahead log. Tests only read it, or copies.
/// </summary>
public sealed class ShippedRocksDb : IDisposable
{
    /// <summary>Pairs of the default family, and of the family <c>second</c>.</summary>
    public const int Pairs = 600, SecondPairs = 100;

    readonly Site site = new();

    public ShippedRocksDb()
    {
        using var kv = site.Open(families: new ColumnFamilies { { "second", new ColumnFamilyOptions() } });
        Write(kv, 0, Pairs / 2);
        kv.Db.Flush(new FlushOptions());
        kv.SyncAsync().GetAwaiter().GetResult();
        Write(kv, Pairs / 2, Pairs - 50);
        kv.Db.Flush(new FlushOptions());
        Write(kv, Pairs - 50, Pairs);
        for (var i = 0; i < SecondPairs; i++) kv.Db.Put($"s{i:d3}", $"second {i}", kv.Db.GetColumnFamily("second"));
        kv.SyncAsync().GetAwaiter().GetResult();
    }

    public string Path => site.Path;

    public string Url => site.Url;

    public string At(string name) => site.At(name);

    /// <summary>A copy of the remote, to be damaged.</summary>
    public string CopyOfRemote()
    {
        var to = site.At("remote-" + Guid.NewGuid().ToString("N")[..8]);
        foreach (var file in Directory.EnumerateFiles(site.RemotePath, "*", SearchOption.AllDirectories))
        {
            var copy = System.IO.Path.Combine(to, System.IO.Path.GetRelativePath(site.RemotePath, file));
            Directory.CreateDirectory(System.IO.Path.GetDirectoryName(copy)!);
            File.Copy(file, copy);
        }
        return to;
    }

    static void Write(RecordedRocksDb kv, int from, int to)
    {
        for (var i = from; i < to; i++) kv.Db.Put($"key{i:d4}", $"value {i}");
    }

    public void Dispose() => site.Dispose();
}
