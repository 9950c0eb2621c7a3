using System.Globalization;
using RecoveryVfs.PageStore.Interop;
using RecoveryVfs.RocksDb;
using RocksDbSharp;

namespace RecoveryVfs.Testing;

/// <summary>
/// One step after the other of a RocksDB with a write-ahead log fails, whatever file it is about, once or from then on:
/// what was synced is there at the next opening, and the remote has the same.
/// </summary>
public sealed class FaultStepTests
{
    [Fact, Trait(Seeds.Kind, Seeds.Random)]
    public void What_was_synced_survives_whatever_step_fails() => Seeds.Run(10, random =>
    {
        var operations = (FaultOperations[])[FaultOperations.Open, FaultOperations.Write, FaultOperations.Sync];
        Try(operations[random.Next(3)], random.Next(2) == 0 ? FaultError.Eio : FaultError.Enospc, random.Next(40),
            forever: random.Next(2) == 0).GetAwaiter().GetResult();
    });

    static async Task Try(FaultOperations operation, FaultError error, int skip, bool forever)
    {
        var what = $"{operation} {error} {(forever ? "forever" : "once")} after {skip}";
        using var site = new Site();
        var synced = 0;
        await using (var kv = Open(site))
        {
            kv.Files.Fail(operation, "", error, skip, forever ? -1 : 1);
            for (var i = 1; i <= 60; i++)
                try
                {
                    Put(kv, i);
                    synced = i;
                    if (i % 15 == 0) kv.Db.Flush(new FlushOptions());
                }
                catch (RocksDbException)
                {
                    break; // Nothing is promised of what follows a failure.
                }
            kv.Files.Heal();
        }
        await using (var kv = Open(site))
        {
            var newest = int.Parse(kv.Db.Get("newest") ?? "0", CultureInfo.InvariantCulture);
            Assert.True(newest >= synced, $"{what}: {synced} was synced, and {newest} is there");
            for (var i = 1; i <= newest; i++) Assert.NotNull(kv.Db.Get($"key{i:d4}"));
            Put(kv, 1000);
            await kv.SyncAsync();
            var (path, _) = await site.RestoreAsync();
            Assert.Equal(Site.Read(kv.Db), Site.Read(path));
        }
    }

    static RecordedRocksDb Open(Site site) =>
        site.Open(o => o.SetWriteBufferSize(64 << 10).SetLevel0FileNumCompactionTrigger(2));

    static void Put(RecordedRocksDb kv, int number)
    {
        using var batch = new WriteBatch();
        batch.Put(Bytes($"key{number:d4}"), new byte[1500]);
        batch.Put(Bytes("newest"), Bytes(number.ToString(CultureInfo.InvariantCulture)));
        kv.Db.Write(batch, new WriteOptions().SetSync(true));
    }

    static byte[] Bytes(string text) => System.Text.Encoding.UTF8.GetBytes(text);
}
