using System.Diagnostics;
using System.Globalization;
using System.Text;
using RecoveryVfs.RocksDb;
using RocksDbSharp;
using Database = RocksDbSharp.RocksDb;

namespace RecoveryVfs.Bench;

/// <summary>
/// A RocksDB that is recorded and ships to a directory, against the same one that is not: writes, reads, what is
/// shipped, how it comes back, and how far a follower is behind.
/// </summary>
internal sealed class RocksDbCase : Case
{
    const int KeyBytes = 16, ValueBytes = 100, LagRounds = 50;

    public override IReadOnlyList<string> Names =>
    [
        "rocksdb-fillrandom-nowal", "rocksdb-fillrandom", "rocksdb-fillsync", "rocksdb-readrandom",
        "rocksdb-seekrandom", "rocksdb-shipped", "rocksdb-restore", "rocksdb-follow-lag",
    ];

    public override void Run(Place place, Report report)
    {
        RecordedRocksDb.Prepare();
        var count = place.Pick(1_000_000, 150_000);
        var rounds = place.Rounds(5, 3);
        Fill(place, report, "rocksdb-fillrandom-nowal", count, rounds, new WriteOptions().DisableWal(1), 0.95);
        Fill(place, report, "rocksdb-fillrandom", count, rounds, new WriteOptions(), 0.8);
        Fill(place, report, "rocksdb-fillsync", place.Pick(5000, 500), rounds, new WriteOptions().SetSync(true), 0.8);
        Read(place, report, count, rounds);
        Shipped(place, report, count);
        Restore(place, report, rounds);
        Lag(place, report);
    }

    /// <summary>One side's RocksDB, new or not.</summary>
    sealed class Opened : IDisposable
    {
        readonly RecordedRocksDb? recorded;

        public Opened(Side side, string name, DbOptions? options = null)
        {
            options ??= new DbOptions();
            options.SetCreateIfMissing();
            var path = side.PathOf(name);
            if (side.IsOurs)
            {
                recorded = RecordedRocksDb.Open(options, path,
                    new RecordedRocksDbOptions { Remote = UrlOf(side, name) });
                Db = recorded.Db;
            }
            else Db = Database.Open(options, path);
        }

        public Database Db { get; }

        public RecordedRocksDb Recorded => recorded ?? throw new InvalidOperationException("It is the stock one.");

        public void Dispose()
        {
            if (recorded is not null) recorded.Dispose();
            else Db.Dispose();
        }
    }

    static string UrlOf(Side side, string name) => "file://" + Path.GetFullPath(side.PathOf(name + "-remote"));

    static byte[] Key(long number) =>
        Encoding.ASCII.GetBytes(number.ToString(CultureInfo.InvariantCulture).PadLeft(KeyBytes, '0'));

    static void Fill(Database db, int count, WriteOptions options, int seed)
    {
        var random = new Random(seed);
        var value = new byte[ValueBytes];
        for (var i = 0; i < count; i++)
        {
            random.NextBytes(value);
            db.Put(Key(random.Next(count)), value, writeOptions: options);
        }
    }

    static void Fill(Place place, Report report, string name, int count, int rounds, WriteOptions options, double goal)
    {
        var (ours, stock) = Interleaved.Values(place, rounds, (side, round) =>
        {
            using var opened = new Opened(side, $"{name}-{round}");
            var started = Stopwatch.GetTimestamp();
            Fill(opened.Db, count, options, round);
            return count / Stopwatch.GetElapsedTime(started).TotalSeconds;
        });
        report.AddRate(name, "writes/s", ours, stock, goal);
    }

    static void Read(Place place, Report report, int count, int rounds)
    {
        foreach (var side in (Side[])[place.Ours, place.Stock])
        {
            using var opened = new Opened(side, "read");
            Fill(opened.Db, count, new WriteOptions(), 1);
            opened.Db.CompactRange((byte[]?)null, null);
        }
        var reads = count / 2;
        var (ours, stock) = Interleaved.Values(place, rounds, (side, round) => Rate(side, reads, (db, random) =>
            db.Get(Key(random.Next(count)))));
        report.AddRate("rocksdb-readrandom", "reads/s", ours, stock, 1.0);
        (ours, stock) = Interleaved.Values(place, rounds, (side, round) => Rate(side, reads / 5, (db, random) =>
        {
            using var iterator = db.NewIterator();
            iterator.Seek(Key(random.Next(count)));
            for (var i = 0; i < 10 && iterator.Valid(); i++) iterator.Next();
        }));
        report.AddRate("rocksdb-seekrandom", "seeks/s, of 10 pairs", ours, stock, 1.0);
    }

    static double Rate(Side side, int times, Action<Database, Random> read)
    {
        using var opened = new Opened(side, "read");
        var random = new Random(7);
        read(opened.Db, random);
        var started = Stopwatch.GetTimestamp();
        for (var i = 0; i < times; i++) read(opened.Db, random);
        return times / Stopwatch.GetElapsedTime(started).TotalSeconds;
    }

    /// <summary>Every key is overwritten again and again; what RocksDB writes in all is the bound.</summary>
    static void Shipped(Place place, Report report, int count)
    {
        var options = new DbOptions().EnableStatistics();
        options.SetWriteBufferSize(8 << 20).SetTargetFileSizeBase(8 << 20).SetMaxBytesForLevelBase(32 << 20);
        using (var opened = new Opened(place.Ours, "shipped", options))
        {
            for (var turn = 0; turn < 4; turn++) Fill(opened.Db, count, new WriteOptions(), turn);
            opened.Recorded.SyncAsync().GetAwaiter().GetResult();
        }
        var statistics = options.GetStatisticsString();
        var written = Counted(statistics, "rocksdb.flush.write.bytes") + Counted(statistics, "rocksdb.wal.bytes")
            + Counted(statistics, "rocksdb.compact.write.bytes");
        var user = 4.0 * count * (KeyBytes + ValueBytes);
        var shipped = Directory.EnumerateFiles(place.Ours.PathOf("shipped-remote"), "*", SearchOption.AllDirectories)
            .Sum(f => new FileInfo(f).Length);
        report.AddCost("rocksdb-shipped", "bytes shipped a byte of a pair (stock: written)", shipped / user,
            written / user, 1.0);
    }

    static double Counted(string statistics, string name)
    {
        var line = statistics.Split('\n').First(l => l.StartsWith(name + " ", StringComparison.Ordinal));
        return double.Parse(line.Split(':')[1], CultureInfo.InvariantCulture);
    }

    static void Restore(Place place, Report report, int rounds)
    {
        var count = place.Pick(20_000_000, 1_500_000);
        using (var opened = new Opened(place.Ours, "large"))
        {
            Fill(opened.Db, count, new WriteOptions().DisableWal(1), 3);
            opened.Db.CompactRange((byte[]?)null, null);
            opened.Recorded.SyncAsync().GetAwaiter().GetResult();
        }
        var recovery = Path.GetFullPath("dist/recovery");
        if (!File.Exists(recovery))
        {
            Console.Error.WriteLine($"rocksdb-restore: left out, {recovery} is missing.");
            return;
        }
        var (ours, stock) = Interleaved.Seconds(place, rounds, (side, round) =>
        {
            if (side.IsOurs) Do(recovery, "restore", UrlOf(place.Ours, "large"), side.PathOf($"restored-{round}"));
            else
            {
                Do("cp", "-r", place.Ours.PathOf("large"), side.PathOf($"copied-{round}"));
                // A restore is durable.
                Do("sync", "-f", side.Directory);
            }
        });
        report.AddCost("rocksdb-restore", "s (stock: cp -r, and sync)", ours, stock, 1 / 1.3);
    }

    static void Do(string program, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true })!;
        process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        if (process.ExitCode != 0)
            throw new InvalidOperationException($"{program} {arguments[0]} ended with {process.ExitCode}.");
    }

    /// <summary>From when a write is in the remote until it is read from a follower.</summary>
    static void Lag(Place place, Report report)
    {
        using var writer = new Opened(place.Ours, "lag");
        Fill(writer.Db, 10_000, new WriteOptions(), 1);
        writer.Recorded.SyncAsync().GetAwaiter().GetResult();
        using var follower = RecordedRocksDb.FollowAsync(UrlOf(place.Ours, "lag"), place.Ours.PathOf("followed"))
            .GetAwaiter().GetResult();
        follower.CaughtUpAsync().GetAwaiter().GetResult();
        var milliseconds = new double[LagRounds];
        for (var round = 0; round < LagRounds; round++)
        {
            writer.Db.Put("newest", $"{round}");
            writer.Recorded.SyncAsync().GetAwaiter().GetResult();
            var started = Stopwatch.GetTimestamp();
            for (var seen = ""; seen != $"{round}";)
            {
                follower.CaughtUpAsync().GetAwaiter().GetResult();
                using var state = follower.Read();
                seen = state.Db.Get("newest") ?? "";
            }
            milliseconds[round] = Stopwatch.GetElapsedTime(started).TotalMilliseconds;
        }
        report.AddLimited("rocksdb-follow-lag", "ms from the remote to a reader, median",
            Interleaved.Median(milliseconds), 1000);
    }
}
