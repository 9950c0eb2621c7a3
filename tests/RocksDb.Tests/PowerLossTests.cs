using System.Globalization;
using RecoveryVfs.PageStore.Directories;
using RecoveryVfs.PageStore.Interop;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RocksDb;
using RecoveryVfs.Simulation;
using RocksDbSharp;
using Database = RocksDbSharp.RocksDb;

namespace RecoveryVfs.Testing;

/// <summary>
/// Power is cut under a real RocksDB: its directory keeps what was synced and any part of the rest, the recovery log's
/// simulated disk what such a disk may keep. The next opening has every synced write, and so has the remote then.
/// </summary>
public sealed class PowerLossTests
{
    [Fact, Trait(Seeds.Kind, Seeds.Random)]
    public void What_was_synced_survives_a_loss_of_power_here_and_there() => Seeds.Run(4, random =>
    {
        using var site = new Site();
        // Who lost power does nothing more; it is closed when others have long taken over.
        var lives = new List<Life>();
        try
        {
            var (path, disk, synced) = (site.Path, new PowerLossDisk(), 0);
            for (var life = 0; life < 4; life++)
            {
                var living = new Life(site, path, disk);
                lives.Add(living);
                synced = Write(living, random, Check(living, synced));
                path = site.At($"life-{life}");
                disk = living.Lose(path, random);
            }
        }
        finally
        {
            foreach (var life in lives) life.Dispose();
        }
    });

    /// <summary>
    /// Every synced write is there, nothing is missing before the newest, and the remote has the same.
    /// </summary>
    static int Check(Life living, int synced)
    {
        var newest = int.Parse(living.Db.Get("newest") ?? "0", CultureInfo.InvariantCulture);
        Assert.True(newest >= synced, $"{synced} was synced, and {newest} is there");
        for (var i = 1; i <= newest; i++) Assert.NotNull(living.Db.Get($"key{i:d5}"));
        living.Ship();
        var (restored, _) = living.Site.RestoreAsync().GetAwaiter().GetResult();
        Assert.Equal(Site.Read(living.Db), Site.Read(restored));
        return newest;
    }

    static int Write(Life living, Random random, int newest)
    {
        var synced = newest;
        for (var step = random.Next(20, 120); step > 0; step--)
        {
            var sync = random.Next(6) == 0;
            living.Put(++newest, sync);
            if (sync) synced = newest;
            if (random.Next(25) == 0)
            {
                living.Db.Flush(new FlushOptions());
                synced = newest;
            }
            if (random.Next(40) == 0)
            {
                living.Ship();
                synced = newest;
            }
        }
        return synced;
    }

    /// <summary>A RocksDB from an opening to a loss of power.</summary>
    sealed class Life : IDisposable
    {
        readonly PowerLossDisk disk;
        readonly RecordedDirectory directory;
        readonly SyncWatch watch;
        readonly RecordedFiles files;

        public Life(Site site, string path, PowerLossDisk disk)
        {
            (Site, this.disk) = (site, disk);
            Directory.CreateDirectory(path);
            directory = RecordedDirectory.Open(path, new StoreOptions
            {
                Directory = "/log",
                Disk = disk,
                // What nobody waits for is not shipped: the disks are looked at while nothing goes on.
                Remote = new RemoteOptions { Url = site.Url, SyncInterval = TimeSpan.FromHours(1) },
            });
            RecordedRocksDb.Prepare();
            watch = new SyncWatch(directory.Recorder);
            files = new RecordedFiles(path, watch);
            var options = new DbOptions().SetCreateIfMissing().SetWriteBufferSize(64 << 10);
            AnyRocksDb.Record(files, options.Handle);
            Db = Database.Open(options, path);
        }

        public Site Site { get; }

        public Database Db { get; }

        public void Put(int number, bool sync)
        {
            using var batch = new WriteBatch();
            batch.Put(Bytes($"key{number:d5}"), new byte[number * 37 % 900]);
            batch.Put(Bytes("newest"), Bytes(number.ToString(CultureInfo.InvariantCulture)));
            Db.Write(batch, new WriteOptions().SetSync(sync));
        }

        public void Ship()
        {
            RocksDbSharp.Native.Instance.rocksdb_flush_wal(Db.Handle, 1);
            directory.SyncAsync(TimeSpan.FromMinutes(5), default).GetAwaiter().GetResult();
        }

        /// <summary>What a loss of power leaves: of the directory in another one, of the log as the result.</summary>
        public PowerLossDisk Lose(string next, Random random)
        {
            using var nothingGoes = files.Hold();
            RocksDbSharp.Native.Instance.rocksdb_cancel_all_background_work(Db.Handle, 1);
            var log = disk.AfterPowerLoss(random);
            Directory.CreateDirectory(next);
            foreach (var file in Directory.GetFiles(directory.Path))
            {
                var bytes = File.ReadAllBytes(file);
                var kept = watch.KeptOf(Path.GetFileName(file), bytes.Length);
                // A file of which nothing was synced may have no name, either.
                if (kept == 0 && bytes.Length > 0 && random.Next(3) == 0) continue;
                var left = kept + random.NextInt64(bytes.Length - kept + 1);
                File.WriteAllBytes(Path.Combine(next, Path.GetFileName(file)), bytes[..(int)left]);
            }
            return log;
        }

        static byte[] Bytes(string text) => System.Text.Encoding.UTF8.GetBytes(text);

        public void Dispose()
        {
            Db.Dispose();
            directory.DisposeAsync().AsTask().GetAwaiter().GetResult();
            files.Dispose();
        }
    }
}
