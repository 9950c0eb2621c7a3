using System.Diagnostics;
using RecoveryVfs.Replicate;

namespace RecoveryVfs.Bench;

/// <summary>
/// What a replicator ships, and how soon: bytes and requests at a pace and at rest, the time until a commit can be
/// restored, and the first upload. Beside it litestream does the same.
/// </summary>
internal sealed class ReplicateRemoteCase : Case
{
    const int PerSecond = 500;

    public override IReadOnlyList<string> Names =>
        ["replicate-bytes", "replicate-requests", "replicate-requests-idle", "replicate-restorable-p99",
            "replicate-first-copy", "replicate-memory-large", "replicate-memory-500"];

    public override void Run(Place place, Report report)
    {
        if (RemoteServer.Server is not null) MeasureShipped(place, report);
        MeasureDelay(place, report);
        MeasureFirstCopy(place, report);
        MeasureMany(place, report);
    }

    /// <summary>What went to an S3 server for commits at a pace, and then while nothing was committed.</summary>
    readonly record struct Shipped(double Bytes, double Requests, double Idle);

    static void MeasureShipped(Place place, Report report)
    {
        var seconds = place.Pick(60, 10);
        var ours = ShippedBy(place, "shipped", seconds, (path, bucket, endpoint)
            => ReplicatorProcess.Start(path, $"s3://{bucket}/bench?endpoint={endpoint}"));
        var litestream = ShippedBy(place, "ls-shipped", seconds, (path, bucket, endpoint)
            => Litestream.Prepare(path + "-config", path, bucket, endpoint)?.Start());
        if (ours is not { } mine || litestream is not { } others) return;
        report.AddCost("replicate-bytes", $"bytes a commit at {PerSecond}/s (stock: litestream)", mine.Bytes,
            others.Bytes, 1 / 0.3);
        report.AddCost("replicate-requests", $"requests in {seconds} s at {PerSecond}/s (stock: litestream)",
            mine.Requests, others.Requests, null);
        // One more on both sides, so that none is a ratio.
        report.AddCost("replicate-requests-idle", $"requests in {seconds} s at rest, plus one (stock: litestream)",
            mine.Idle + 1, others.Idle + 1, 10);
    }

    static Shipped? ShippedBy(Place place, string name, int seconds, Func<string, string, Uri, Process?> start)
    {
        using var proxy = new CountingProxy(RemoteServer.Server!.Endpoint);
        var bucket = RemoteServer.Server.NewBucketAsync().GetAwaiter().GetResult();
        var path = place.Stock.PathOf(name + ".db");
        using var app = new Application(path);
        if (start(path, bucket, proxy.Endpoint) is not { } process) return null;
        // Its first snapshot is not what is asked for.
        app.Write(PerSecond, TimeSpan.FromSeconds(3));
        Thread.Sleep(TimeSpan.FromSeconds(3));
        var before = proxy.Sent;
        var count = app.Write(PerSecond, TimeSpan.FromSeconds(seconds));
        Thread.Sleep(TimeSpan.FromSeconds(3)); // The newest second is on its way.
        var after = proxy.Sent;
        Thread.Sleep(TimeSpan.FromSeconds(seconds)); // The time over which those at rest are counted.
        var rested = proxy.Sent;
        ReplicatorProcess.End(process);
        return new((after.Bytes - before.Bytes) / (double)count, after.Requests - before.Requests,
            rested.Requests - after.Requests);
    }

    /// <summary>From a commit to the moment at which the remote has it, at 100 commits/s.</summary>
    static void MeasureDelay(Place place, Report report)
    {
        var path = place.Stock.PathOf("delay.db");
        using var app = new Application(path);
        SQLitePCL.Batteries_V2.Init();
        var replicator = SqliteReplicator.StartAsync(path, RemoteServer.NewUrl()).GetAwaiter().GetResult();
        replicator.FlushAsync().GetAwaiter().GetResult();
        var known = replicator.Status.Databases[0].Transactions;
        var count = place.Pick(4_000, 1_000);
        var (committed, took) = (new long[count], new double[count]);
        var writing = Task.Run(() => app.Write(100, count, i => committed[i] = Stopwatch.GetTimestamp()));
        for (var seen = 0; seen < count;)
        {
            var status = replicator.Status;
            // Each transaction is one commit: those that were taken are the remote's when its LSN is the mirror's.
            var there = (int)Math.Min(count, status.Databases[0].Transactions - known
                - (long)(status.Databases[0].Lsn - Math.Min(status.Databases[0].Lsn, status.ShippedLsn)));
            for (; seen < there; seen++) took[seen] = Stopwatch.GetElapsedTime(committed[seen]).TotalMilliseconds;
            Thread.Sleep(1);
        }
        writing.GetAwaiter().GetResult();
        replicator.DisposeAsync().AsTask().GetAwaiter().GetResult();
        Array.Sort(took);
        report.AddLimited("replicate-restorable-p99", "ms from a commit until the remote has it, sync-interval=1000",
            took[count * 99 / 100], 1200);
    }

    static void MeasureFirstCopy(Place place, Report report)
    {
        var megabytes = place.Pick(1000, 100);
        List<double> ours = [], litestreams = [], memory = [];
        for (var round = 0; round < place.Rounds(3, 1); round++)
        {
            var path = place.Stock.PathOf($"large-{round}.db");
            using var app = new Application(path);
            app.Fill(megabytes);
            using var inUse = new CancellationTokenSource();
            var writing = Task.Run(() => { while (!inUse.IsCancellationRequested) app.Write(100, 10); });
            var started = Stopwatch.GetTimestamp();
            var process = ReplicatorProcess.Start(path, RemoteServer.NewDirectoryUrl());
            ReplicatorProcess.End(process); // It ships the rest, and ends.
            ours.Add(Stopwatch.GetElapsedTime(started).TotalSeconds);
            started = Stopwatch.GetTimestamp();
            if (Litestream.Prepare(place.Stock.PathOf($"ls-large-{round}"), path, bucket: "") is { } litestream)
            {
                litestream.Replicate(() => litestream.HasSnapshot(path));
                litestreams.Add(Stopwatch.GetElapsedTime(started).TotalSeconds);
            }
            inUse.Cancel();
            writing.GetAwaiter().GetResult();
            memory.Add(MemoryOf(path));
        }
        if (litestreams.Count > 0)
            report.AddCost("replicate-first-copy", $"s for {megabytes} MB, written meanwhile (stock: litestream)",
                Interleaved.Median([.. ours]), Interleaved.Median([.. litestreams]), 1.0);
        report.AddLimited("replicate-memory-large", $"MB, one database of {megabytes} MB, after its first copy",
            Interleaved.Median([.. memory]), 120);
    }

    /// <summary>The memory that a replicator has which goes on with a database that was copied before.</summary>
    static double MemoryOf(string path)
    {
        var process = ReplicatorProcess.Start(path, RemoteServer.NewDirectoryUrl());
        return RestingMemory(process);
    }

    static double RestingMemory(Process process)
    {
        Thread.Sleep(TimeSpan.FromSeconds(10)); // What it needs at rest is asked for.
        process.Refresh();
        var megabytes = process.WorkingSet64 / 1048576.0;
        ReplicatorProcess.End(process);
        return megabytes;
    }

    static void MeasureMany(Place place, Report report)
    {
        var (count, directory) = (place.Pick(500, 100), place.Stock.PathOf("many"));
        Directory.CreateDirectory(directory);
        for (var i = 0; i < count; i++)
            using (var app = new Application(Path.Combine(directory, $"{i}.db"))) app.Write(0, 10);
        var process = ReplicatorProcess.StartAll(directory, RemoteServer.NewDirectoryUrl());
        report.AddLimited("replicate-memory-500", $"MB, {count} idle databases", RestingMemory(process), 200);
    }

    /// <summary>An application: rows of a hundred bytes, one a commit, in WAL mode.</summary>
    sealed class Application : IDisposable
    {
        readonly Connection connection;
        readonly Statement insert;
        readonly Text text = new(1);

        public Application(string path)
        {
            connection = new($"file:{path}?vfs=unix");
            connection.Do("PRAGMA journal_mode=WAL");
            connection.Do("PRAGMA synchronous=NORMAL");
            connection.Do("PRAGMA busy_timeout=30000");
            connection.Do("CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY, v TEXT)");
            insert = connection.Prepare("INSERT INTO t(v) VALUES(?)");
        }

        public int Write(int perSecond, TimeSpan time) => Write(perSecond, (int)(perSecond * time.TotalSeconds));

        public int Write(int perSecond, int count, Action<int>? committed = null)
        {
            var started = Stopwatch.GetTimestamp();
            for (var i = 0; i < count; i++)
            {
                insert.Bind(1, text.Take(100)).First();
                committed?.Invoke(i);
                if (perSecond > 0 && TimeSpan.FromSeconds((i + 1.0) / perSecond) - Stopwatch.GetElapsedTime(started)
                    is var left && left > TimeSpan.Zero) Thread.Sleep(left);
            }
            return count;
        }

        public void Fill(int megabytes)
        {
            connection.Do("BEGIN");
            for (var i = 0L; i < megabytes * 9_000L; i++) insert.Bind(1, text.Take(100)).First();
            connection.Do("COMMIT");
            connection.Do("PRAGMA wal_checkpoint(TRUNCATE)");
        }

        public void Dispose()
        {
            insert.Dispose();
            connection.Dispose();
        }
    }
}
