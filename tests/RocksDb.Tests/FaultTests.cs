using System.Globalization;
using RecoveryVfs.PageStore.Interop;
using RecoveryVfs.RocksDb;
using RocksDbSharp;

namespace RecoveryVfs.Testing;

/// <summary>
/// The file system fails under a recorded RocksDB, at each kind of file and call: what was acknowledged as synced is
/// there after the next opening, and the remote has what the directory has.
/// </summary>
public sealed class FaultTests
{
    [Theory]
    [InlineData(".log", nameof(FaultOperations.Open), nameof(FaultError.Emfile))]
    [InlineData(".log", nameof(FaultOperations.Write), nameof(FaultError.Eio))]
    [InlineData(".log", nameof(FaultOperations.Write), nameof(FaultError.Enospc))]
    [InlineData(".log", nameof(FaultOperations.Sync), nameof(FaultError.Eio))]
    [InlineData(".sst", nameof(FaultOperations.Open), nameof(FaultError.Emfile))]
    [InlineData(".sst", nameof(FaultOperations.Write), nameof(FaultError.Eio))]
    [InlineData(".sst", nameof(FaultOperations.Write), nameof(FaultError.Enospc))]
    [InlineData(".sst", nameof(FaultOperations.Sync), nameof(FaultError.Eio))]
    [InlineData("MANIFEST", nameof(FaultOperations.Write), nameof(FaultError.Eio))]
    [InlineData("MANIFEST", nameof(FaultOperations.Write), nameof(FaultError.Enospc))]
    [InlineData("MANIFEST", nameof(FaultOperations.Sync), nameof(FaultError.Eio))]
    public async Task What_was_synced_survives_a_file_system_that_fails(string file, string operations,
        string error)
    {
        using var site = new Site();
        var (synced, failed) = (0, false);
        await using (var kv = Open(site))
        {
            for (var i = 1; i <= 30; i++) Put(kv, synced = i);
            kv.Files.Fail(Enum.Parse<FaultOperations>(operations), file, Enum.Parse<FaultError>(error), times: 1);
            try
            {
                for (var i = 31; i <= 300; i++)
                {
                    Put(kv, i);
                    synced = i;
                    if (i % 40 == 0) kv.Db.Flush(new FlushOptions());
                }
            }
            catch (RocksDbException)
            {
                failed = true;
            }
            kv.Files.Heal();
        }
        Assert.True(failed, "The fault met nothing.");
        await using (var kv = Open(site))
        {
            var newest = int.Parse(kv.Db.Get("newest"), CultureInfo.InvariantCulture);
            Assert.True(newest >= synced, $"{synced} was synced, and {newest} is there");
            for (var i = 1; i <= newest; i++) Assert.NotNull(kv.Db.Get($"key{i:d4}"));
            Put(kv, 1000);
            await kv.SyncAsync();
            var (path, _) = await site.RestoreAsync();
            Assert.Equal(Site.Read(kv.Db), Site.Read(path));
        }
    }

    static RecordedRocksDb Open(Site site) => site.Open(o => o.SetWriteBufferSize(64 << 10));

    static void Put(RecordedRocksDb kv, int number)
    {
        using var batch = new WriteBatch();
        batch.Put(Bytes($"key{number:d4}"), new byte[500]);
        batch.Put(Bytes("newest"), Bytes(number.ToString(CultureInfo.InvariantCulture)));
        kv.Db.Write(batch, new WriteOptions().SetSync(true));
    }

    static byte[] Bytes(string text) => System.Text.Encoding.UTF8.GetBytes(text);
}
