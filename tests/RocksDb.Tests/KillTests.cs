using System.Diagnostics;
using System.Globalization;
using RecoveryVfs.RecoveryLog.Remote.Read;

namespace RecoveryVfs.Testing;

/// <summary>Writers that are killed with SIGKILL, again and again, and restores of what they shipped.</summary>
public sealed class KillTests
{
    [Fact, Trait(Seeds.Kind, Seeds.Random)]
    public void Nothing_that_was_synced_is_lost_here_and_nothing_that_was_shipped_there() => Seeds.Run(1, random =>
    {
        using var site = new Site();
        var (synced, shipped) = (0, 0);
        for (var life = 0; life < 3; life++)
        {
            (synced, shipped) = Live(site, random, synced, shipped);
            var (path, restored) = site.RestoreAsync().GetAwaiter().GetResult();
            var newest = Newest(path);
            Assert.True(newest >= shipped,
                $"restored up to write {newest}, but {shipped} was shipped ({restored.Note})");
            Directory.Delete(path, recursive: true);
        }
        // What the killed process had in its directory, by stock RocksDB, nothing of ours in between.
        Assert.True(Newest(site.Path) >= synced);
    });

    static int Newest(string path) => int.Parse(
        Site.Run("ldb", $"--db={path}", "get", "newest").Trim(), CultureInfo.InvariantCulture);

    /// <summary>Runs a writer until it has shipped something, and a while longer; then kills it.</summary>
    static (int Synced, int Shipped) Live(Site site, Random random, int synced, int shipped)
    {
        using var process = Process.Start(new ProcessStartInfo("dotnet",
            [typeof(Program).Assembly.Location, site.Path, site.Url,
                random.Next().ToString(CultureInfo.InvariantCulture)])
        { RedirectStandardOutput = true, RedirectStandardError = true })!;
        var errors = process.StandardError.ReadToEndAsync();
        var ships = random.Next(1, 4);
        var lines = random.Next(200);
        try
        {
            while (process.StandardOutput.ReadLine() is { } line)
            {
                var (what, number) = (line.Split(' ')[0], int.Parse(line.Split(' ')[1], CultureInfo.InvariantCulture));
                switch (what)
                {
                    case "open":
                        Assert.True(number >= synced, $"opened at write {number}, but {synced} was synced");
                        break;
                    case "synced": synced = number; break;
                    case "shipped":
                        (synced, shipped) = (number, number);
                        ships--;
                        break;
                }
                if (ships <= 0 && lines-- <= 0) break;
            }
        }
        finally
        {
            process.Kill();
            process.WaitForExit();
        }
        Assert.True(ships <= 0, $"The writer ended by itself: {errors.Result}");
        return (synced, shipped);
    }
}
