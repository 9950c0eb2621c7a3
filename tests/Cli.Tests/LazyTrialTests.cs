namespace RecoveryVfs.Cli.Tests;

/// <summary>Whether the tables of a remote are tried before it is opened lazily is the operator's to say.</summary>
public sealed class LazyTrialTests : IDisposable
{
    readonly string root = Directory.CreateTempSubdirectory("recovery-lazy-").FullName;

    static LazyTrialTests()
    {
        SQLitePCL.Batteries_V2.Init();
        Recovery.Register();
    }

    public void Dispose()
    {
        Shipped.Close();
        Directory.Delete(root, recursive: true);
    }

    [Fact]
    public void Tables_come_when_they_are_read_or_are_fetched_and_tried_first()
    {
        var (data, remote) = (Path.Combine(root, "data"), "file://" + Path.Combine(root, "remote"));
        Directory.CreateDirectory(data);
        // So many pages that their table is large enough to come by range.
        using (var db = Shipped.Open(data, "a.db", "&remote=" + Uri.EscapeDataString(remote)))
            Shipped.Execute(db, "PRAGMA page_size=512; CREATE TABLE t(x); INSERT INTO t SELECT randomblob(400) FROM "
                + "(WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM c WHERE i<40000) SELECT i FROM c); "
                + "PRAGMA recovery_checkpoint; PRAGMA recovery_snapshot; PRAGMA recovery_sync");
        Shipped.Close();
        string Missing(string name, Dictionary<string, string> environment)
        {
            var into = Path.Combine(root, name);
            Recover.TailWith(environment, remote, "--into", into, "--lazy", "--once").MustEndWith(0);
            return File.ReadAllText(Path.Combine(into, ".recovery", "lazy"));
        }
        var usual = Missing("usual", []);
        Assert.Contains(".sst", usual);
        Assert.Contains(".blob", usual);
        var careful = Missing("careful", new() { ["RECOVERY_TRIAL"] = "always" });
        Assert.DoesNotContain(".sst", careful);
        Assert.Contains(".blob", careful);
    }
}
