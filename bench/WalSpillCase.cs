using System.Diagnostics;

namespace RecoveryVfs.Bench;

/// <summary>
/// A transaction of 256 MB in WAL mode with default settings, which spills many times and writes its first pages again
/// and again: the longest that a reader in another process waits for one read meanwhile, beside the writer and on a
/// follower.
/// </summary>
internal sealed class WalSpillCase : Case
{
    const int RowBytes = 3000;

    // A reader takes what came since its last read: at worst the whole transaction, at the rate of a copy.
    const double ReadMsMax = 5000;

    public override IReadOnlyList<string> Names => ["wal-spill-reader", "wal-spill-follower", "follow"];

    public override void Run(Place place, Report report)
    {
        using var site = new FollowSite(place, FollowSite.NewRemote(place, s3: false), "sync-interval=200");
        using var writer = site.Write();
        writer.Do("PRAGMA journal_mode=WAL");
        writer.Do("INSERT INTO t(id, at, v) VALUES(1, 0, '')");
        writer.Do("PRAGMA recovery_sync=remote");
        var last = place.Pick(256 << 20, 32 << 20) / RowBytes;
        var readers =
            new[] { Start($"file:{site.PathOf("writer")}/a.db?vfs=recovery&mode=ro", last),
            Start(Followed(site), last) };
        writer.Do("BEGIN");
        using (var insert = writer.Prepare($"INSERT INTO t(id, at, v) VALUES(?, 0, hex(randomblob({RowBytes / 2})))"))
        using (var update = writer.Prepare("UPDATE t SET at=at+1 WHERE id=?"))
            for (var i = 2; i <= last; i++)
            {
                insert.Bind(1, i).First();
                if (i % 50 == 0) update.Bind(1, i / 2).First();
            }
        writer.Do("COMMIT");
        writer.Do("PRAGMA recovery_sync=remote");
        for (var i = 0; i < readers.Length; i++)
            report.AddLimited(Names[i], "ms, the longest read during a transaction of 256 MB",
                FollowSite.Lags(readers[i]).Max(), ReadMsMax);
    }

    static string Followed(FollowSite site)
    {
        Directory.CreateDirectory(site.PathOf("follower"));
        return $"file:{site.PathOf("follower")}/a.db?vfs=recovery&mode=ro&follow={Uri.EscapeDataString(site.Url)}";
    }

    static Process Start(string uri, int last)
    {
        var reader = Process.Start(
            new ProcessStartInfo(Environment.ProcessPath!,
            ["--child", "wal-read", uri, $"{last}"])
            { RedirectStandardOutput = true })!;
        if (reader.StandardOutput.ReadLine() != "ready")
            throw new InvalidOperationException("The reading process failed.");
        return reader;
    }

    /// <summary>The reading process: how long each read took, in milliseconds, until the last row is there.</summary>
    public static int Read(string uri, int last)
    {
        SQLitePCL.Batteries_V2.Init();
        Recovery.Register();
        using var connection = new Connection(uri);
        var longest = 0.0;
        connection.Do("SELECT max(id) FROM t");
        Console.WriteLine("ready");
        for (var seen = 0L; seen < last;)
        {
            var began = Stopwatch.GetTimestamp();
            seen = connection.Do("SELECT max(id) FROM t");
            longest = Math.Max(longest, Stopwatch.GetElapsedTime(began).TotalMilliseconds);
            // A reader now and then, that leaves the cores to the writer.
            Thread.Sleep(5);
        }
        Console.WriteLine(longest);
        return 0;
    }
}
