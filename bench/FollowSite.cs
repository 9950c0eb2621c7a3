using System.Diagnostics;

namespace RecoveryVfs.Bench;

/// <summary>
/// A writer in this process, its remote (a directory, or Ceph's gateway on loopback), and followers in processes of
/// their own.
/// </summary>
internal sealed class FollowSite(Place place, string url, string options) : IDisposable
{
    public string Url => url;

    public string PathOf(string name) => place.Ours.PathOf(name);

    /// <summary>A new remote: on the S3 server, or a directory on the disk that the databases are on.</summary>
    public static string NewRemote(Place place, bool s3) => s3
        ? RemoteServer.NewUrl()
        : "file://" + place.Ours.PathOf("bucket");

    /// <summary>A connection that writes, with a table whose rows say when they were committed.</summary>
    public Connection Write(string directory = "writer")
    {
        Directory.CreateDirectory(PathOf(directory));
        var connection =
            new Connection(
            $"file:{PathOf(directory)}/a.db?vfs=recovery&linger=0&{options}&remote={Uri.EscapeDataString(url)}");
        connection.Do("CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY, at INTEGER, v TEXT)");
        return connection;
    }

    /// <summary>
    /// Starts a process that follows and reads, until it has seen the row of that number; gives the seconds until it
    /// had caught up.
    /// </summary>
    public (Process Reader, double Seconds) StartReader(string name, int last)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!,
            ["--child", "follow", PathOf(name), url, $"{last}"])
        { RedirectStandardOutput = true };
        var reader = Process.Start(start)!;
        return reader.StandardOutput.ReadLine() is { } ready && double.TryParse(ready, out var seconds)
            ? (reader, seconds) : throw new InvalidOperationException("The following process failed.");
    }

    /// <summary>What such a process found: how late it saw each row, in milliseconds.</summary>
    public static double[] Lags(Process reader)
    {
        using (reader)
        {
            var lags = reader.StandardOutput.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries)
                .Select(double.Parse).ToArray();
            reader.WaitForExit();
            return reader.ExitCode == 0 ? lags : throw new InvalidOperationException("The following process failed.");
        }
    }

    /// <summary>The following process: opens the followed database and looks for new rows every millisecond.</summary>
    public static int Read(string directory, string url, int last)
    {
        SQLitePCL.Batteries_V2.Init();
        Recovery.Register();
        Directory.CreateDirectory(directory);
        var began = Stopwatch.GetTimestamp();
        using var connection =
            new Connection($"file:{directory}/a.db?vfs=recovery&mode=ro&follow={Uri.EscapeDataString(url)}");
        using var select = connection.Prepare("SELECT id, at FROM t WHERE id > ? ORDER BY id");
        var seen = connection.Do("SELECT coalesce(max(id), 0) FROM t");
        Console.WriteLine(Stopwatch.GetElapsedTime(began).TotalSeconds);
        var lags = new List<double>();
        while (seen < last)
        {
            select.Bind(1, seen);
            while (select.Step())
            {
                seen = SQLitePCL.raw.sqlite3_column_int64(select.Raw, 0);
                lags.Add(Stopwatch.GetElapsedTime(SQLitePCL.raw.sqlite3_column_int64(select.Raw, 1)).TotalMilliseconds);
            }
            SQLitePCL.raw.sqlite3_reset(select.Raw);
            // How finely lag is seen; without it the reader would take the core that the follower needs.
            Thread.Sleep(1);
        }
        foreach (var lag in lags) Console.WriteLine(lag);
        return 0;
    }

    public void Dispose() => Recovery.CloseIdleStores();
}
