using System.Text;
using System.Text.Json;
using RecoveryVfs.PageStore.Batches;
using RecoveryVfs.PageStore.Tails;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.RocksDb;
using RocksDbSharp;
using LoggedBatch = RecoveryVfs.PageStore.Batches.WriteBatch;
using Record = RecoveryVfs.RecoveryLog.Records.Record;
using WriteBatch = RocksDbSharp.WriteBatch;

namespace RecoveryVfs.Testing;

/// <summary><c>recovery-tail --keys</c>: one line a write batch of a RocksDB.</summary>
public sealed class KeysTests : IDisposable
{
    readonly Site site = new();

    public void Dispose() => site.Dispose();

    RecordedRocksDb Open(string second = "second") => site.Open(families: new ColumnFamilies
    {
        { second, new ColumnFamilyOptions() },
    });

    List<JsonElement> Batches(params string[] options) =>
        [.. Programs.Tail([site.Url, "--once", "--json", "--from", "start", .. options]).MustEndWith(0).Output
            .Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(l => JsonDocument.Parse(l).RootElement)];

    [Fact]
    public async Task Each_batch_is_a_line_with_families_by_name_and_keys_and_values_as_asked()
    {
        using (var kv = Open())
        {
            var second = kv.Db.GetColumnFamily("second");
            using var batch = new WriteBatch();
            batch.Put("a", "1").Put([0xff, 0], [1], second).Delete("gone"u8.ToArray());
            batch.DeleteRange("x"u8.ToArray(), 1, "y"u8.ToArray(), 1, second);
            kv.Db.Write(batch);
            // Over several blocks of the write-ahead log.
            kv.Db.Put("large", new string('v', 200_000));
            kv.Db.Put("unseen", "1", writeOptions: new WriteOptions().DisableWal(1));
            kv.Db.Remove("a");
            await kv.SyncAsync();
        }
        var batches = Batches("--keys");
        Assert.Equal(3, batches.Count);
        Assert.Equal(
            """
            [{"op":"put","family":"default","key":"a"},{"op":"put","family":"second","key":{"blob":"/wA="}},
            {"op":"delete","family":"default","key":"gone"},{"op":"delete-range","family":"second","key":"x","to":"y"}]
            """.ReplaceLineEndings(""), batches[0].GetProperty("operations").GetRawText());
        Assert.Equal(batches[0].GetProperty("sequence").GetUInt64() + 4,
            batches[1].GetProperty("sequence").GetUInt64());
        var values = Batches("--values");
        Assert.Equal(new string('v', 200_000),
            values[1].GetProperty("operations")[0].GetProperty("value").GetString());
        var lines = Programs.Tail(site.Url, "--once", "--from", "start", "--values").MustEndWith(0).Output;
        Assert.Contains("put default \"a\" = \"1\", put second hex:ff00 = \"\\u{1}\", delete default \"gone\"", lines,
            StringComparison.Ordinal);
        Assert.DoesNotContain("unseen", lines, StringComparison.Ordinal);
    }

    /// <summary>Whoever does what the lines say has the pairs that the RocksDB has.</summary>
    [Fact]
    public async Task All_lines_from_the_beginning_lead_to_the_pairs_that_there_are()
    {
        var expected = new SortedDictionary<string, string>(StringComparer.Ordinal);
        var random = new Random(17);
        for (var life = 0; life < 2; life++)
        {
            using var kv = site.Open(o => o.SetWriteBufferSize(64 << 10));
            for (var i = 0; i < 400; i++)
            {
                var key = $"key{random.Next(100):d3}";
                if (random.Next(4) == 0) kv.Db.Remove(key);
                else kv.Db.Put(key, new string('x', random.Next(2000)));
            }
            await kv.SyncAsync();
            expected = Site.Read(kv.Db);
        }
        var pairs = new SortedDictionary<string, string>(StringComparer.Ordinal);
        foreach (var operation in Batches("--values").SelectMany(b => b.GetProperty("operations").EnumerateArray()))
        {
            var key = operation.GetProperty("key").GetString()!;
            if (operation.GetProperty("op").GetString() == "delete") pairs.Remove(key);
            else pairs[key] = operation.GetProperty("value").GetString()!;
        }
        Assert.Equal(expected, pairs);
    }

    [Fact]
    public async Task Who_begins_in_the_middle_sees_the_batches_from_there_on_with_the_names_of_families()
    {
        ulong middle;
        using (var kv = Open("later"))
        {
            kv.Db.Put("before", "1");
            await kv.SyncAsync();
            middle = kv.ShippedLsn + 1;
            kv.Db.Put("after", "1", kv.Db.GetColumnFamily("later"));
            await kv.SyncAsync();
        }
        var from = middle.ToString(System.Globalization.CultureInfo.InvariantCulture);
        var seen = Programs.Tail(site.Url, "--once", "--keys", "--from", from).MustEndWith(0).Output;
        Assert.Contains("put later \"after\"", seen, StringComparison.Ordinal);
        Assert.DoesNotContain("before", seen, StringComparison.Ordinal);
    }

    [Fact]
    public void A_remote_of_databases_has_no_keys() =>
        Assert.Contains("--keys", Programs.Tail(site.Url, "--keys", "--into", site.At("x")).MustEndWith(2).Errors,
            StringComparison.Ordinal);

    /// <summary>Each would have a block of its own, and each new one would look through all that are there.</summary>
    [Fact]
    public void Any_number_of_write_ahead_logs_is_read_in_little_memory()
    {
        const uint count = 20_000;
        var (tail, found, lsn) = (new BatchTail(new LiveFiles()), new List<TailedBatch>(), 0ul);
        void Take(RecordKind kind, byte[] body) => tail.Take(new Record(++lsn, kind, 0, 0, 1, body), 1, found);
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 1u; i <= count; i++)
        {
            Take(RecordKind.FileCreated, FileRecords.Created(i, FileClass.RocksLog, $"{i:d6}.log"));
            Take(RecordKind.FileWritten, [.. FileRecords.Written(i, 0), 1]);
        }
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 5_000L * count);
        Assert.Empty(found);
        // Whoever writes one log to its end and then the next is read whole.
        byte[] whole = [.. BitConverter.GetBytes(7ul), .. BitConverter.GetBytes(1u), 1, 1, (byte)'k', 1, (byte)'v'];
        Take(RecordKind.FileCreated, FileRecords.Created(count + 1, FileClass.RocksLog, "999999.log"));
        Take(RecordKind.FileWritten, [.. FileRecords.Written(count + 1, 0), .. Logged(whole)]);
        Assert.Equal(7ul, Assert.Single(found).Batch.Sequence);
    }

    /// <summary>It would be read for ever, by whoever names a family that nobody has added.</summary>
    [Fact]
    public void A_manifest_that_lacks_a_family_is_not_read_for_each_batch()
    {
        var live = new LiveFiles();
        var (tail, found, lsn) = (new BatchTail(live), new List<TailedBatch>(), 0ul);
        void Take(RecordKind kind, byte[] body) => tail.Take(new Record(++lsn, kind, 0, 0, 1, body), 1, found);
        Take(RecordKind.FileCreated, FileRecords.Created(1, FileClass.RocksSmall, "CURRENT"));
        Take(RecordKind.FileWritten, [.. FileRecords.Written(1, 0), .. "MANIFEST-000001\n"u8]);
        Take(RecordKind.FileCreated, FileRecords.Created(2, FileClass.RocksSmall, "MANIFEST-000001"));
        // Blocks of nothing, which are passed over, and a byte more each time.
        var size = 8L << 20;
        Take(RecordKind.FileWritten, [.. FileRecords.Written(2, 0), .. new byte[size]]);
        Take(RecordKind.FileCreated, FileRecords.Created(3, FileClass.RocksLog, "000003.log"));
        byte[] batch = [.. BitConverter.GetBytes(7ul), .. BitConverter.GetBytes(1u), 5, 9, 1, (byte)'k', 1, (byte)'v'];
        var logged = Logged(batch);
        for (var i = 0; i < 1000; i++)
        {
            Take(RecordKind.FileWritten, [.. FileRecords.Written(2, size++), 0]);
            Take(RecordKind.FileTruncated, FileRecords.Truncated(3, 0));
            Take(RecordKind.FileWritten, [.. FileRecords.Written(3, 0), .. logged]);
        }
        Assert.Equal(1000, found.Count);
        Assert.InRange(tail.ManifestBytes, size - 1000, 1L << 30);
    }

    /// <summary>A record of a write-ahead log, whole in its first block.</summary>
    static byte[] Logged(byte[] batch)
    {
        byte[] rest = [1, .. batch];
        var crc = Crc32C.Compute(rest);
        var masked = ((crc >> 15) | (crc << 17)) + 0xa282ead8;
        return [.. BitConverter.GetBytes(masked), .. BitConverter.GetBytes((ushort)batch.Length), .. rest];
    }

    /// <summary>
    /// A file that RocksDB wrote, changed at random: every record is what it was, or there is an error that names the
    /// file. Nothing else happens, whatever the bytes are.
    /// </summary>
    [Fact, Trait(Seeds.Kind, Seeds.Random)]
    public async Task Hostile_logs_and_batches_are_errors()
    {
        using (var kv = Open())
        {
            for (var i = 0; i < 50; i++) kv.Db.Put($"key{i}", new string('x', 1500), kv.Db.GetColumnFamily("second"));
            await kv.SyncAsync();
        }
        var files = Directory.EnumerateFiles(site.Path).Where(f => f.EndsWith(".log", StringComparison.Ordinal)
            || Path.GetFileName(f).StartsWith("MANIFEST", StringComparison.Ordinal)).Select(File.ReadAllBytes)
            .Where(b => b.Length > 0).ToList();
        Seeds.Run(1, random =>
        {
            for (var i = 0; i < 300; i++)
            {
                var bytes = files[random.Next(files.Count)].ToArray();
                for (var n = random.Next(1, 4); n > 0; n--) bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
                Read(bytes, random.Next(2) == 0 ? 0 : random.Next(100_000), random);
                // Without the checksum before it.
                var start = random.Next(bytes.Length);
                Tried(() => LoggedBatch.Read(bytes.AsSpan(start), "000004.log"));
                Tried(() => FamilyNames.Read(bytes, "MANIFEST-000001"));
            }
        });
    }

    static void Read(byte[] bytes, long offset, Random random) => Tried(() =>
    {
        var reader = new RocksLogReader("000004.log", offset);
        for (var at = 0; at < bytes.Length;)
        {
            var count = Math.Min(random.Next(1, 5000), bytes.Length - at);
            reader.Feed(bytes.AsSpan(at, count), record => LoggedBatch.Read(record, "000004.log"));
            at += count;
        }
    });

    static void Tried(Action action)
    {
        try
        {
            action();
        }
        catch (RecoveryException e)
        {
            Assert.True(e.Error is RecoveryError.Corrupt or RecoveryError.Unsupported, e.Message);
            Assert.NotNull(e.Path);
        }
    }
}
