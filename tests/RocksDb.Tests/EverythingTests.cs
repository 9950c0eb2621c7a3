using System.Globalization;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Remote.Read;
using RecoveryVfs.RocksDb;
using RocksDbSharp;

namespace RecoveryVfs.Testing;

/// <summary>All that a RocksDB does with files comes back, or is refused by name.</summary>
public sealed class EverythingTests
{
    [Fact]
    public async Task Column_families_come_and_go()
    {
        using var site = new Site();
        // With families named at the opening, the binding closes their handles.
        await using var kv = site.Open(families: new ColumnFamilies());
        using (var batch = new WriteBatch()) kv.Db.Write(batch.Put(B("a"), B("1")));
        var second = kv.Db.CreateColumnFamily(new ColumnFamilyOptions(), "second");
        kv.Db.CreateColumnFamily(new ColumnFamilyOptions(), "dropped");
        kv.Db.Put("b", "2", second);
        await kv.SyncAsync();
        kv.Db.DropColumnFamily("dropped");
        kv.Db.Put("c", "3", second);
        await kv.SyncAsync();
        var (path, _) = await site.RestoreAsync();
        using var restored = RocksDbSharp.RocksDb.OpenReadOnly(new DbOptions(), path,
            new ColumnFamilies { { "second", new ColumnFamilyOptions() } }, false);
        Assert.Equal(["a"], Site.Read(restored).Keys);
        Assert.Equal(["b", "c"], Site.Read(restored, restored.GetColumnFamily("second")).Keys);
        Assert.Equal(["default", "second"],
            RocksDbSharp.RocksDb.ListColumnFamilies(new DbOptions(), path).Order(StringComparer.Ordinal));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Ingested_tables_come_back(bool moved)
    {
        using var site = new Site();
        await using var kv = site.Open();
        kv.Db.Put("key050", "before");
        var table = site.At("table.sst");
        using (var writer = new SstFileWriter())
        {
            writer.Open(table);
            for (var i = 0; i < 100; i++) writer.Put(B($"key{i:d3}"), B($"value {i}"));
            writer.Finish();
        }
        kv.Db.IngestExternalFiles([table], new IngestExternalFileOptions().SetMoveFiles(moved));
        await kv.SyncAsync();
        var (path, _) = await site.RestoreAsync();
        var read = Site.Read(path);
        Assert.Equal(100, read.Count);
        Assert.Equal("value 50", read["key050"]);
        Site.Run("ldb", $"--db={path}", "checkconsistency");
    }

    [Fact]
    public async Task Recycled_logs_blob_files_direct_writes_and_new_manifests_come_back()
    {
        using var site = new Site();
        await using var kv = site.Open(options =>
        {
            options.SetRecycleLogFileNum(2).SetWriteBufferSize(64 << 10).SetMaxManifestFileSize(2 << 10)
                .SetUseDirectIoForFlushAndCompaction(true).SetLevel0FileNumCompactionTrigger(2);
            Native.Instance.rocksdb_options_set_enable_blob_files(options.Handle, 1);
            Native.Instance.rocksdb_options_set_min_blob_size(options.Handle, 512);
        });
        for (var round = 0; round < 8; round++)
        {
            for (var i = 0; i < 60; i++)
                kv.Db.Put($"key{i:d4}", new string((char)('a' + round), i % 2 == 0 ? 100 : 3000));
            kv.Db.Flush(new FlushOptions());
        }
        await kv.SyncAsync();
        Assert.NotEmpty(Directory.GetFiles(site.Path, "*.blob"));
        var (path, restored) = await site.RestoreAsync();
        Assert.Null(restored.Note);
        Assert.Equal(Site.Read(kv.Db), Site.Read(path));
        Site.Run("ldb", $"--db={path}", "checkconsistency");
    }

    [Fact]
    public async Task Writes_without_a_write_ahead_log_come_back_once_they_are_flushed()
    {
        using var site = new Site();
        await using var kv = site.Open();
        var off = new WriteOptions().DisableWal(1);
        kv.Db.Put("flushed", "1", writeOptions: off);
        kv.Db.Flush(new FlushOptions());
        kv.Db.Put("not flushed", "2", writeOptions: off);
        await kv.SyncAsync();
        var (path, _) = await site.RestoreAsync();
        Assert.Equal(["flushed"], Site.Read(path).Keys);
    }

    [Fact]
    public async Task Checkpoints_elsewhere_are_made_and_not_recorded()
    {
        using var site = new Site();
        await using var kv = site.Open();
        kv.Db.Put("a", "1");
        kv.Db.Flush(new FlushOptions());
        using (var checkpoint = kv.Db.Checkpoint())
        {
            checkpoint.Save(site.At("checkpoint"));
            checkpoint.Save(Path.Combine(site.Path, "inside"));
        }
        await kv.SyncAsync();
        Assert.Equal(["a"], Site.Read(site.At("checkpoint")).Keys);
        var (path, _) = await site.RestoreAsync();
        Assert.Equal(["a"], Site.Read(path).Keys);
        Assert.False(Directory.Exists(Path.Combine(path, "inside")));
    }

    [Fact]
    public void What_cannot_be_recorded_is_refused_by_name()
    {
        using var site = new Site();
        foreach (var (configure, name) in ((Action<DbOptions>, string)[])[
            (o => o.SetAllowMmapWrites(true), "allow_mmap_writes"),
            (o => PutTablesInto(o, site.At("elsewhere")), "db_paths"),
            (o => o.SetWalDir(site.At("wal")), "wal_dir")])
        {
            var error = Assert.Throws<RecoveryException>(() => site.Open(configure));
            Assert.Equal(RecoveryError.Unsupported, error.Error);
            Assert.Contains(name, error.Message, StringComparison.Ordinal);
        }
        // And nothing is in the way of the next opening.
        using var kv = site.Open();
        kv.Db.Put("a", "1");
    }

    static void PutTablesInto(DbOptions options, string path)
    {
        var place = Native.Instance.rocksdb_dbpath_create(path, 1 << 30);
        unsafe
        {
            Native.Instance.rocksdb_options_set_db_paths(options.Handle, (nint)(&place), 1);
        }
        Native.Instance.rocksdb_dbpath_destroy(place);
    }

    [Fact]
    public void A_write_ahead_log_that_is_too_long_for_one_opening_is_refused_by_name()
    {
        using var site = new Site();
        RecordedRocksDb.Prepare();
        using (var plain = RocksDbSharp.RocksDb.Open(new DbOptions().SetCreateIfMissing(), site.Path))
            plain.Put("a", "1");
        var log = Directory.EnumerateFiles(site.Path, "*.log").Single();
        var size = new FileInfo(log).Length;
        // All but its beginning is a hole, and needs no space.
        using (var file = File.OpenWrite(log)) file.SetLength(5L << 28);
        var error = Assert.Throws<RecoveryException>(() => site.Open());
        Assert.Equal(RecoveryError.Unsupported, error.Error);
        Assert.Contains(log, error.Message, StringComparison.Ordinal);
        using (var file = File.OpenWrite(log)) file.SetLength(size);
        using var kv = site.Open();
        Assert.Equal("1", kv.Db.Get("a"));
    }

    [Fact]
    public async Task A_RocksDB_that_was_there_before_is_recorded_from_now_on()
    {
        using var site = new Site();
        RecordedRocksDb.Prepare();
        using (var plain = RocksDbSharp.RocksDb.Open(new DbOptions().SetCreateIfMissing(), site.Path))
        {
            for (var i = 0; i < 100; i++) plain.Put($"key{i:d3}", "flushed");
            plain.Flush(new FlushOptions());
            plain.Put("key100", "in the write-ahead log");
        }
        await using (var kv = site.Open()) await kv.SyncAsync();
        // Written without us in between: the log is brought to it.
        using (var plain = RocksDbSharp.RocksDb.Open(new DbOptions(), site.Path)) plain.Put("key101", "beside");
        await using (var kv = site.Open()) await kv.SyncAsync();
        var (path, _) = await site.RestoreAsync();
        Assert.Equal(102, Site.Read(path).Count);
    }

    [Fact]
    public async Task Durability_remote_returns_when_the_remote_has_it()
    {
        using var site = new Site();
        // An interval that would never end: only those who wait are shipped.
        await using var kv = site.Open(recorded: site.Recorded with
        {
            Durability = RecordedDurability.Remote,
            SyncInterval = TimeSpan.FromHours(1),
        });
        var synced = new WriteOptions().SetSync(true);
        for (var i = 0; i < 5; i++)
        {
            kv.Db.Put("newest", i.ToString(CultureInfo.InvariantCulture), writeOptions: synced);
            var (path, _) = await site.RestoreAsync();
            Assert.Equal(i.ToString(CultureInfo.InvariantCulture), Site.Read(path)["newest"]);
        }
    }

    [Fact]
    public async Task Every_shipped_state_is_a_directory_that_opens()
    {
        using var site = new Site();
        var states = new List<(ulong Lsn, int Write)>();
        await using (var kv = site.Open(options => options.SetWriteBufferSize(64 << 10)))
            for (var i = 0; i < 6; i++)
            {
                for (var j = 0; j < 300; j++) kv.Db.Put($"key{j:d4}", new string('x', 200));
                kv.Db.Put("newest", i.ToString(CultureInfo.InvariantCulture));
                await kv.SyncAsync();
                states.Add((kv.ShippedLsn, i));
            }
        foreach (var (lsn, write) in states)
        {
            var (path, _) = await site.RestoreAsync(RestoreTarget.At(lsn));
            Assert.True(int.Parse(Site.Read(path)["newest"], CultureInfo.InvariantCulture) >= write);
        }
    }

    static byte[] B(string text) => System.Text.Encoding.UTF8.GetBytes(text);
}
