using System.Text.Json;
using RecoveryVfs.Operations;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Remote.Read;

namespace RecoveryVfs.Cli.Tests;

/// <summary><c>recovery verify</c> finds what is missing as well as what is damaged, and all of it.</summary>
public sealed class VerifyTests : IDisposable
{
    readonly string root = Directory.CreateTempSubdirectory("recovery-verify-test-").FullName;

    public VerifyTests()
    {
        SQLitePCL.Batteries_V2.Init();
        Recovery.Register();
    }

    public void Dispose()
    {
        Shipped.Close();
        Directory.Delete(root, recursive: true);
    }

    string Bucket => Path.Combine(root, "bucket");

    string Url => "file://" + Bucket;

    List<string> Segments => [.. Directory.EnumerateFiles(Path.Combine(Bucket, "log")).Order(StringComparer.Ordinal)];

    /// <summary>Writes a log of a segment a commit.</summary>
    void Write(int commits, string options = "")
    {
        var data = Path.Combine(root, "data");
        Directory.CreateDirectory(data);
        using (var db =
            Shipped.Open(data, "a.db",
            $"&durability=remote&sync-interval=5&remote={Uri.EscapeDataString(Url)}{options}"))
        {
            Shipped.Execute(db, "CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY, v)");
            for (var i = 0; i < commits; i++) Shipped.Execute(db, "INSERT INTO t(v) VALUES (randomblob(200))");
        }
        Shipped.Close();
    }

    static string NameOf(string segment) => "log/" + Path.GetFileName(segment);

    static string[] Strings(JsonElement of, string name)
        => [.. of.GetProperty(name).EnumerateArray().Select(p => p.GetString()!)];

    [Fact]
    public void A_missing_segment_is_damage_and_what_lies_behind_it_is_checked()
    {
        Write(12);
        var segments = Segments;
        var (gone, bad) = (segments[^8], segments[^4]);
        File.Delete(gone);
        var bytes = File.ReadAllBytes(bad);
        bytes[^40] ^= 1;
        File.WriteAllBytes(bad, bytes);
        var report = Recover.Run("verify", Url, "--json").MustEndWith(4).Json;
        Assert.Equal("damaged", report.GetProperty("result").GetString());
        var problems = Strings(report, "problems");
        Assert.Contains(problems, p => p.Contains(NameOf(gone)) && p.Contains("missing"));
        Assert.Contains(problems, p => p.Contains(NameOf(bad)));
        Assert.Equal(2, problems.Length);
        var hole = report.GetProperty("missing").EnumerateArray().Single();
        Assert.Equal(Convert.ToUInt64(Path.GetFileName(gone), 16), hole.GetProperty("first_lsn").GetUInt64());
        Assert.Equal(Convert.ToUInt64(Path.GetFileName(segments[^7]), 16) - 1,
            hole.GetProperty("last_lsn").GetUInt64());
        // All but those two, one of which no longer counts.
        Assert.Equal(segments.Count - 2, report.GetProperty("segments").GetInt32());
        Assert.Contains(NameOf(gone), Recover.Run("verify", Url).MustEndWith(4).Errors);
    }

    [Fact]
    public void Any_one_segment_that_is_missing_is_found_but_for_the_newest()
    {
        Write(5);
        // Nor is the oldest missed: with hints after it, collection may have taken it.
        foreach (var segment in Segments.Skip(1).SkipLast(1))
        {
            File.Move(segment, segment + "-away");
            Assert.Contains(NameOf(segment), Recover.Run("verify", Url).MustEndWith(4).Errors);
            File.Move(segment + "-away", segment);
        }
        Recover.Run("verify", Url).MustEndWith(0);
    }

    [Fact]
    public void What_collection_took_and_what_a_pin_keeps_is_no_damage()
    {
        Write(5, "&hints-bytes=1");
        Recover.Run("snapshot", "kept", Url).MustEndWith(0);
        Write(20, "&hints-bytes=1");
        Write(20, "&hints-bytes=1");
        var data = Path.Combine(root, "data");
        Recover.Run("gc", data, "--keep", "0s", "--grace", "0s", "--keep-hints", "1").MustEndWith(0);
        var report = Recover.Run("verify", Url, "--json").MustEndWith(0).Json;
        Assert.Equal("ok", report.GetProperty("result").GetString());
        Assert.NotEmpty(report.GetProperty("collected").EnumerateArray());
        Assert.Empty(report.GetProperty("missing").EnumerateArray());
    }

    /// <summary>Also when all tables of all states are opened: most of a large store does not change.</summary>
    [Fact]
    public async Task What_states_have_in_common_is_fetched_once()
    {
        var data = Path.Combine(root, "data");
        Directory.CreateDirectory(data);
        for (var life = 0; life < 4; life++)
        {
            using (var db = Shipped.Open(data, "a.db", "&hints-bytes=1&remote=" + Uri.EscapeDataString(Url)))
                Shipped.Execute(db, "CREATE TABLE IF NOT EXISTS t(v); INSERT INTO t VALUES (randomblob(30000));"
                    + "PRAGMA recovery_checkpoint; PRAGMA recovery_sync=remote; PRAGMA recovery_snapshot");
            Shipped.Close();
        }
        await using var remote = RemoteAccess.Open(Url);
        var plan = await RestorePlanner.PlanAsync(remote.Context, RestoreTarget.Newest);
        var check = new RemoteCheck(remote, plan, Path.Combine(root, "aside"), parallelism: 2);
        var report = await check.EverythingAsync(full: true, default);
        Assert.Equal("ok", report.Result);
        Assert.True(report.OpenedStates > 2, $"{report.OpenedStates} states");
        // With the lists of their blocks.
        var extents = new DirectoryInfo(Path.Combine(Bucket, "extents")).GetFiles();
        Assert.InRange(remote.Context.Store.Counters.BytesReceived(ObjectClass.Extents),
            1, extents.Sum(e => e.Length));
    }

    [Fact]
    public void A_gap_that_the_log_tells_of_is_no_damage()
    {
        Write(3);
        var data = Path.Combine(root, "data");
        using (Shipped.Unshipped(data))
        using (var db = Shipped.Open(data, "a.db"))
        {
            for (var i = 0; i < 40; i++) Shipped.Execute(db, "INSERT INTO t(v) VALUES (randomblob(1000000))");
            Shipped.Execute(db, "PRAGMA recovery_checkpoint");
        }
        Shipped.Close();
        Recover.Run("sync", "--wait", "--restart", data).MustEndWith(0);
        var report = Recover.Run("verify", Url, "--json").MustEndWith(0).Json;
        Assert.Single(report.GetProperty("gaps").EnumerateArray());
        Assert.Contains("never shipped", Recover.Run("verify", Url).MustEndWith(0).Output);
    }
}
