using RecoveryVfs.Simulation;

namespace RecoveryVfs.Replicate.Tests;

/// <summary>
/// A replicator that is killed, or loses power, at each call that it makes to the mirror's disk: the mirror is a state
/// that the application committed, or none yet, and the next replicator brings it in step.
/// </summary>
public sealed class KillStepTests
{
    const string Table = "CREATE TABLE t(a INTEGER PRIMARY KEY, b)",
        Insert = "INSERT INTO t(b) VALUES (randomblob(500))";

    readonly List<(string Step, PowerLossDisk Disk)> images = [];
    readonly HashSet<string> states = [];
    string step = "";

    [Theory]
    [InlineData("wal")]
    [InlineData("delete")]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void Whatever_step_is_the_last_the_mirror_is_whole_and_the_next_replicator_in_step(string mode)
        => Seeds.Once(random =>
    {
        images.Clear();
        states.Clear();
        using var scratch = new Scratch();
        using var app = scratch.Open("app.db", $"PRAGMA journal_mode={mode}", Table, Insert);
        Live(scratch, app, random);
        Assert.True(images.Count > 20, $"{images.Count} images");
        foreach (var (at, disk) in images)
        {
            using var next = new MirrorSite(disk: disk, scratch: scratch);
            Assert.True(next.Store.Verify(null, default).Count == 0, at);
            if (next.Store.Find("app.db") is { Current.SizeBytes: > 0 })
                Assert.True(states.Contains(Hash(next.Bytes())), $"{at}: the mirror is what the application never was");
            next.LookAndCompare();
        }
    });

    /// <summary>A replicator's life, with an image before each call that changes something.</summary>
    void Live(Scratch scratch, Microsoft.Data.Sqlite.SqliteConnection app, Random random)
    {
        var (disk, lastWrite) = (new PowerLossDisk(), "");
        disk.Before = (call, path) =>
        {
            if (call == DiskCall.Read || (call == DiskCall.Write && path == lastWrite)) return;
            lastWrite = call == DiskCall.Write ? path : "";
            var at = $"{step}: before {call} of {Path.GetFileName(path)}";
            images.Add((at + ", killed", disk.AfterProcessDeath()));
            if (images.Count % 2 == 0) images.Add((at + ", without power", disk.AfterPowerLoss(random)));
        };
        step = "opening";
        using var site = new MirrorSite(disk: disk, scratch: scratch);
        void Then(string what, params string[] statements)
        {
            step = what;
            foreach (var sql in statements)
            {
                app.Run(sql);
                states.Add(Hash(site.Expected()));
            }
            site.Watched.Look();
        }
        states.Add(Hash(site.Expected()));
        Then("the first copy");
        Then("a transaction", Insert);
        Then("three transactions", Insert, Insert, Insert);
        step = "a sync";
        site.Store.Sync();
        Then("a checkpoint of the application's", "PRAGMA wal_checkpoint(TRUNCATE)", Insert);
        Then("another life of the WAL", Insert);
        Then("a vacuum", "DELETE FROM t WHERE a % 2", "VACUUM");
        step = "a checkpoint";
        site.Store.Checkpoint();
        Then("the last", Insert);
        step = "closing";
        site.Watched.Dispose();
        site.Store.Dispose();
        disk.Before = null;
    }

    static string Hash(byte[] bytes) => Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(bytes));
}
