using System.Diagnostics;
using RecoveryVfs.PageStore.Reading;

namespace RecoveryVfs.Bench;

/// <summary>
/// A database from its remote to a store that answers, against `litestream restore`; and the memory that shipping and
/// restoring take.
/// </summary>
internal sealed class RemoteRestoreCase : Case
{
    const string PageCache = "64M";
    const double CacheMegabytes = 64, MegabytesMax = 256;

    public override IReadOnlyList<string> Names
        => ["remote-restore", "remote-restore-file", "remote-restore: processor", "remote-memory: shipping",
            "remote-memory: restoring"];

    public override void Run(Place place, Report report)
    {
        var megabytes = place.Pick(600, 150);
        var url = RemoteServer.NewUrl();
        var shipping = RemoteChild.Run("ship", place.Ours.Directory, url, megabytes);
        report.AddCost("remote-memory: shipping", $"MB over the caches, {megabytes} MB (stock: the goal)",
            shipping.PeakMegabytes - CacheMegabytes, MegabytesMax, 1.0);
        Build(place.Stock, megabytes);
        var litestream =
            Litestream.Prepare(place.Stock.PathOf("litestream"), place.Stock.PathOf("a.db"),
            RemoteServer.IsS3 ? new Uri(url).Host : "");
        litestream?.Replicate(() => litestream.HasSnapshot(place.Stock.PathOf("a.db")));
        var rounds = place.Rounds(5, 3);
        var (ours, theirs, files) = (new double[rounds], new double[rounds], new double[rounds]);
        var (oursBusy, theirsBusy) = (new double[rounds], new double[rounds]);
        for (var round = 0; round < rounds; round++)
        {
            var before = ProcessorTime.OfEndedChildren();
            ours[round] = Restore(url, place.Ours.PathOf($"restored-{round}"));
            var between = ProcessorTime.OfEndedChildren();
            if (litestream is not null)
                theirs[round] = litestream.Restore(place.Stock.PathOf("a.db"), place.Stock.PathOf("restored.db"));
            (oursBusy[round], theirsBusy[round]) = (between - before, ProcessorTime.OfEndedChildren() - between);
            Directory.Delete(place.Ours.PathOf($"restored-{round}"), recursive: true);
            var started = Stopwatch.GetTimestamp();
            RestoreFileCase.RestoreFrom(url, place.Ours.PathOf("restored.db"));
            files[round] = Stopwatch.GetElapsedTime(started).TotalSeconds;
            File.Delete(place.Ours.PathOf("restored.db"));
        }
        if (litestream is not null)
        {
            report.AddCost("remote-restore", $"s, {megabytes} MB (stock: litestream restore)", Interleaved.Median(ours),
                Interleaved.Median(theirs), 2.0);
            var gigabytes = megabytes / 1000.0;
            report.AddCost("remote-restore: processor", "s of processor time/GB (stock: litestream restore)",
                Interleaved.Median(oursBusy) / gigabytes, Interleaved.Median(theirsBusy) / gigabytes, 1.0);
        }
        if (litestream is not null)
            report.AddCost("remote-restore-file", $"s, {megabytes} MB to a plain file (stock: litestream restore)",
                Interleaved.Median(files), Interleaved.Median(theirs), 1.5);
        var peak = RemoteChild.Run("restore", place.Ours.PathOf("restored"), url, megabytes).PeakMegabytes;
        report.AddCost("remote-memory: restoring", $"MB, {megabytes} MB (stock: the goal)", peak, MegabytesMax, 1.0);
    }

    /// <summary>Seconds that the program takes, as litestream's is measured.</summary>
    static double Restore(string url, string directory)
    {
        var started = Stopwatch.GetTimestamp();
        using var process =
            Process.Start(
            new ProcessStartInfo(Path.GetFullPath("dist/recovery"),
            ["restore", url, directory])
            { RedirectStandardOutput = true, RedirectStandardError = true })
            !;
        var output = process.StandardOutput.ReadToEndAsync();
        var errors = process.StandardError.ReadToEnd();
        process.WaitForExit();
        if (process.ExitCode != 0) throw new InvalidOperationException($"recovery restore: {output.Result}{errors}");
        return Stopwatch.GetElapsedTime(started).TotalSeconds;
    }

    public static void Build(Side side, int megabytes)
    {
        Table.Build(side, Table.RowsFor(megabytes), PageCache);
        side.Settle();
    }
}
