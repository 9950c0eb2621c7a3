using System.Globalization;
using System.Text;
using System.Text.Json;
using RecoveryVfs.PageStore.Interop;
using RecoveryVfs.RocksDb;
using RocksDbSharp;

namespace RecoveryVfs.Testing;

/// <summary><c>recovery export</c> and <c>recovery import</c> of a RocksDB's pairs.</summary>
public sealed class ExportTests(ShippedRocksDb shipped) : IClassFixture<ShippedRocksDb>
{
    static readonly byte[][] awkward =
        [[], [0], [0xff, 0xfe], [.. Encoding.UTF8.GetBytes("\"quoted\\\n\u00e4\u20ac\U0001f600\u2028")],
        [.. Encoding.UTF8.GetBytes("{\"end\":true")], [0xed, 0xa0, 0x80]];

    [Fact]
    public void All_pairs_of_a_RocksDB_in_use_come_back_in_a_new_one_byte_for_byte()
    {
        using var site = new Site();
        RecordedRocksDb.Prepare();
        using var kv = site.Open(families: new ColumnFamilies { { "second", WithBlobs(new ColumnFamilyOptions()) } });
        var second = kv.Db.GetColumnFamily("second");
        foreach (var key in awkward)
            foreach (var (value, i) in awkward.Select((v, i) => (v, (byte)i)))
            {
                kv.Db.Put((byte[])[.. key, i], value);
                kv.Db.Put((byte[])[.. key, i], (byte[])[.. value, .. new byte[200]], second);
            }
        kv.Db.Flush(new FlushOptions());
        kv.Db.Put("in the log"u8.ToArray(), Array.Empty<byte>());
        var (file, into) = (site.At("pairs.jsonl"), site.At("imported"));
        var report = Programs.Recovery("export", site.Path, "--format", "jsonl", "-o", file, "--json").MustEndWith(0);
        Assert.Equal(awkward.Length * awkward.Length * 2 + 1, report.Json.GetProperty("rows").GetInt64());
        Programs.Recovery("verify", file).MustEndWith(0);
        Programs.Recovery("import", file, into).MustEndWith(0);
        using var read = RocksPairs.OpenForReading(into);
        Assert.Equal(["default", "second"], read.Families);
        Assert.Equal(PairsOf(site.Path), PairsOf(into));
        Assert.DoesNotContain(Directory.EnumerateFileSystemEntries(Path.GetDirectoryName(into)!),
            p => p.EndsWith(".restoring", StringComparison.Ordinal));
    }

    [Fact]
    public void Hash_slots_divide_the_pairs_and_a_family_and_a_range_choose_some()
    {
        var all = Lines("export", shipped.Path);
        Assert.Equal(ShippedRocksDb.Pairs + ShippedRocksDb.SecondPairs, all.Count);
        var parts = new[] { "0-5460/16384", "5461-10922", "10923-16383/16384" }
            .Select(s => Lines("export", shipped.Path, "--slots", s)).ToList();
        Assert.All(parts, p => Assert.NotEmpty(p));
        Assert.Equal(all.Order(StringComparer.Ordinal), parts.SelectMany(p => p).Order(StringComparer.Ordinal));
        Assert.All(parts[0], line => Assert.InRange(
            KeySlots.Of(Encoding.UTF8.GetBytes(JsonDocument.Parse(line).RootElement.GetProperty("key").GetString()!)),
            0, 5460));
        Assert.Equal(ShippedRocksDb.SecondPairs, Lines("export", shipped.Path, "--family", "second").Count);
        Assert.Equal(20, Lines("export", shipped.Url, "--family", "default", "--from", "key0100", "--to", "hex:"
            + Convert.ToHexString("key0120"u8)).Count);
    }

    [Fact]
    public void A_remote_is_exported_as_of_any_state_that_can_be_restored()
    {
        var hints = Programs.Recovery("hints", shipped.Url, "--json").MustEndWith(0).Json;
        var lsn = hints.EnumerateArray().Last().GetProperty("lsn").GetUInt64();
        var at = lsn.ToString(CultureInfo.InvariantCulture);
        var into = shipped.At("restored-at");
        Programs.Recovery("restore", shipped.Url, into, "--lsn", at).MustEndWith(0);
        var exported = Programs.Recovery("export", shipped.Url, "--at", at).MustEndWith(0).Output;
        var header = JsonDocument.Parse(exported.Split('\n')[0]).RootElement;
        Assert.Equal(lsn, header.GetProperty("lsn").GetUInt64());
        Assert.Equal("full", header.GetProperty("kind").GetString());
        var file = shipped.At("at.jsonl");
        File.WriteAllText(file, exported);
        var imported = shipped.At("imported-at");
        Programs.Recovery("import", file, imported).MustEndWith(0);
        Assert.Equal(PairsOf(into), PairsOf(imported));
    }

    [Fact]
    public void Nothing_of_a_damaged_file_is_imported()
    {
        var file = shipped.At("damaged.jsonl");
        Programs.Recovery("export", shipped.Path, "-o", file).MustEndWith(0);
        var whole = File.ReadAllText(file);
        var into = shipped.At("never");
        foreach (var damaged in (string[])[whole.Replace("value 7\"", "value 8\"", StringComparison.Ordinal),
            whole[..^20], whole + "{}\n", whole.Replace("\"pairs\":", "\"pairs\":1", StringComparison.Ordinal)])
        {
            File.WriteAllText(file, damaged);
            Assert.Contains(file, Programs.Recovery("import", file, into).MustEndWith(4).Errors,
                StringComparison.Ordinal);
            Assert.False(Path.Exists(into));
        }
    }

    [Fact]
    public void A_RocksDB_that_is_there_is_changed_only_when_asked_and_a_recorded_one_ships_what_came()
    {
        using var site = new Site();
        using (var kv = site.Open())
        {
            kv.Db.Put("key0000", "mine");
            kv.Db.Put("other", "mine");
            var file = site.At("pairs.jsonl");
            Programs.Recovery("export", shipped.Path, "--to", "key0003", "--family", "default", "-o", file)
                .MustEndWith(0);
            Assert.Contains("--into-existing merge",
                Programs.Recovery("import", file, site.Path).MustEndWith(2).Errors, StringComparison.Ordinal);
            // It is open here.
            Assert.NotEqual(0,
                Programs.Recovery("import", file, site.Path, "--into-existing", "merge").ExitCode);
        }
        Programs.Recovery("import", site.At("pairs.jsonl"), site.Path, "--into-existing", "merge").MustEndWith(0);
        Programs.Recovery("sync", "--wait", site.Path).MustEndWith(0);
        var into = site.At("restored");
        Programs.Recovery("restore", site.Url, into).MustEndWith(0);
        Assert.Equal(["value 0", "value 1", "value 2", "mine"], Site.Read(into).Values);
    }

    /// <summary>
    /// A writer overwrites one number in two families again and again, each time in one write, and memtables, tables,
    /// blob files and write-ahead logs come and go as fast as they can: every look must find two equal numbers, and
    /// none that is older than what was acknowledged before it.
    /// </summary>
    [Fact]
    public async Task What_is_read_while_another_writes_is_of_one_moment()
    {
        RecordedRocksDb.Prepare();
        using var site = new Site();
        using var kv = site.Open(o => o.SetWriteBufferSize(64 << 10).SetLevel0FileNumCompactionTrigger(2),
            new ColumnFamilies { { "second", WithBlobs(new ColumnFamilyOptions()).SetWriteBufferSize(64 << 10) } });
        var second = kv.Db.GetColumnFamily("second");
        var (written, stop) = (0, false);
        var writer = Task.Run(() =>
        {
            var filler = new byte[500];
            for (var i = 1; !Volatile.Read(ref stop); i++)
            {
                using var batch = new WriteBatch();
                var number = Encoding.UTF8.GetBytes(i.ToString(CultureInfo.InvariantCulture));
                batch.Put("n"u8.ToArray(), number);
                batch.Put("n"u8.ToArray(), number, second);
                batch.Put((byte[])[(byte)i, (byte)(i >> 8)], filler);
                kv.Db.Write(batch);
                Volatile.Write(ref written, i);
            }
        });
        try
        {
            for (var look = 0; look < 10; look++)
            {
                while (Volatile.Read(ref written) < look * 20) await Task.Yield();
                var before = Volatile.Read(ref written);
                using var pairs = RocksPairs.OpenForReading(site.Path);
                var seen = Enumerable.Range(0, 2).Select(f => NumberIn(pairs, f)).ToList();
                Assert.Equal(seen[0], seen[1]);
                Assert.True(seen[0] >= before, $"saw {seen[0]}, and {before} was written before");
            }
        }
        finally
        {
            Volatile.Write(ref stop, true);
            await writer;
        }
    }

    static ColumnFamilyOptions WithBlobs(ColumnFamilyOptions options)
    {
        RocksDbSharp.Native.Instance.rocksdb_options_set_enable_blob_files(options.Handle, 1);
        return options;
    }

    static int NumberIn(RocksPairs pairs, int family)
    {
        var found = 0;
        pairs.Scan(family, "n"u8.ToArray(), "n\0"u8.ToArray(), (_, value) =>
        {
            found = int.Parse(value, CultureInfo.InvariantCulture);
            return true;
        });
        return found;
    }

    static List<string> PairsOf(string directory)
    {
        using var pairs = RocksPairs.OpenForReading(directory);
        var found = new List<string>();
        for (var family = 0; family < pairs.Families.Count; family++)
            pairs.Scan(family, null, null, (key, value) =>
            {
                found.Add($"{pairs.Families[family]} {Convert.ToHexString(key)} {Convert.ToHexString(value)}");
                return true;
            });
        return found;
    }

    /// <summary>The lines of pairs that a command writes to standard output.</summary>
    static List<string> Lines(params string[] arguments) =>
        [.. Programs.Recovery(arguments).MustEndWith(0).Output
            .Split('\n', StringSplitOptions.RemoveEmptyEntries)[1..^1]];
}
