using System.Globalization;
using RecoveryVfs.RocksDb;
using RocksDbSharp;

namespace RecoveryVfs.Testing;

/// <summary>
/// Tests run this program as a process that can be killed: it writes numbered pairs, says which are synced and which
/// are
/// in the remote, and goes on until it is killed.
/// </summary>
internal static class Program
{
    public static async Task<int> Main(string[] arguments)
    {
        var (path, url, seed) = (arguments[0], arguments[1], int.Parse(arguments[2], CultureInfo.InvariantCulture));
        var random = new Random(seed);
        RecordedRocksDb.Prepare();
        // Small memtables: tables, compactions and new write-ahead logs come often.
        var options = new DbOptions().SetCreateIfMissing().SetWriteBufferSize(64 << 10)
            .SetLevel0FileNumCompactionTrigger(2).SetMaxBytesForLevelBase(256 << 10).SetTargetFileSizeBase(64 << 10)
            .SetRecycleLogFileNum((ulong)random.Next(3));
        await using var kv = RecordedRocksDb.Open(options, path, new RecordedRocksDbOptions
        {
            Remote = url,
            SyncInterval = TimeSpan.FromMilliseconds(20),
            HintsBytes = 1 << 20,
        });
        var synced = new WriteOptions().SetSync(true);
        var value = new byte[400];
        var next = (await ReadNextAsync(kv)) + 1;
        Console.WriteLine($"open {next - 1}");
        for (var i = next; ; i++)
        {
            random.NextBytes(value);
            var isSynced = random.Next(20) == 0;
            // A key that is overwritten again and again says how far the writes went.
            using var batch = new WriteBatch();
            batch.Put(Bytes($"key{i % 5000:d6}"), value);
            batch.Put(Bytes("newest"), Bytes(i.ToString(CultureInfo.InvariantCulture)));
            kv.Db.Write(batch, isSynced ? synced : null);
            if (isSynced) Console.WriteLine($"synced {i}");
            if (random.Next(400) != 0) continue;
            await kv.SyncAsync();
            Console.WriteLine($"shipped {i}");
        }
    }

    static Task<int> ReadNextAsync(RecordedRocksDb kv) =>
        Task.FromResult(kv.Db.Get("newest") is { } text ? int.Parse(text, CultureInfo.InvariantCulture) : 0);

    static byte[] Bytes(string text) => System.Text.Encoding.UTF8.GetBytes(text);
}
