using System.Globalization;
using RecoveryVfs.Handles;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.Simulation;
using Xunit.Abstractions;

namespace RecoveryVfs.Tests;

/// <summary>
/// The process dies, or the power fails, at any change of the disk while random transfers run through SQLite in every
/// journal mode. What opens afterwards is whole, has every commit that was promised to survive, and at most the one in
/// flight besides.
/// </summary>
[Trait(Seeds.Kind, Seeds.Random)]
public sealed class CrashTests(ITestOutputHelper output)
{
    [Theory]
    [InlineData(1, "delete", 2, ""), InlineData(2, "delete", 0, ""), InlineData(3, "wal", 2, ""),
        InlineData(4, "wal", 1, "")]
    [InlineData(5, "truncate", 1, "journal=plain"), InlineData(6, "persist", 2, "journal=plain"),
        InlineData(7, "off", 2, ""), InlineData(8, "wal", 0, "")]
    [InlineData(9, "delete", 3, "journal=plain"), InlineData(10, "memory", 2, "isolation=locking")]
    public void Every_crash_leaves_whole_commits(int first, string mode, int synchronous,
        string options) => Seeds.RunFor(2, 100 * first, (seed, _) =>
    {
        var random = new Random(seed);
        // Frames reach the WAL's file at once, now and then, or only before hints.
        if (mode == "wal") options = WalBuffers[random.Next(WalBuffers.Length)];
        output.WriteLine($"seed={seed} {mode} {synchronous} {options}");
        Run(random, mode, synchronous, options);
    });

    static readonly string[] WalBuffers = ["", "wal-buffer=0", "wal-buffer=6000", "wal-buffer=20000"];

    const string Schema =
        "CREATE TABLE a(id INTEGER PRIMARY KEY, v INT, pad BLOB); CREATE TABLE ver(n INT); CREATE INDEX i ON a(v);"
        + "INSERT INTO ver VALUES(0); WITH c(i) AS (SELECT 0 UNION ALL SELECT i+1 FROM c WHERE i<19) INSERT INTO a "
            + "SELECT i,100,zeroblob(80) FROM c";

    sealed record Image(PowerLossDisk Disk, int AtLeast, int AtMost);

    static void Run(Random random, string mode, int synchronous, string options)
    {
        using var store = new TestStore(options);
        using var disk = new SimulatedDisk(store);
        var db = store.Open();
        db.Do($"PRAGMA page_size=512; PRAGMA journal_mode={mode}; {Schema}");
        db.Do($"PRAGMA synchronous={synchronous}; PRAGMA cache_size=4; PRAGMA wal_autocheckpoint=12; PRAGMA "
            + "journal_size_limit=3000");
        // NORMAL promises durability in rollback modes, FULL in WAL mode too.
        var promisesPower = synchronous >= (mode == "wal" ? 2 : 1);
        var (committed, inFlight, durable) = (0, 0, 0);
        var images = new List<Image>();
        var moments = new Random(random.Next());
        // The store's own threads change the disk, too.
        disk.BeforeChange = () =>
        {
            lock (images)
            {
                if (moments.Next(6) != 0) return;
                images.Add(moments.Next(2) == 0
                    ? new Image(disk.Disk.AfterProcessDeath(), committed, committed + inFlight)
                    : new Image(disk.Disk.AfterPowerLoss(moments), durable, committed + inFlight));
            }
        };
        for (var step = 0; step < 25; step++)
        {
            db.Do("BEGIN");
            for (var i = random.Next(1, 6); i > 0; i--)
            {
                var amount = random.Next(20);
                db.Do($"UPDATE a SET v=v-{amount}, pad=randomblob({random.Next(400)}) WHERE id={random.Next(20)}; "
                    + $"UPDATE a SET v=v+{amount} WHERE id={random.Next(20)}");
            }
            // One statement moved value, so that a torn commit shows in the sum as well.
            db.Do("UPDATE a SET v=v+2000-(SELECT sum(v) FROM a) WHERE id=0; UPDATE ver SET n=n+1");
            if (random.Next(5) == 0)
            {
                db.Do("ROLLBACK");
                continue;
            }
            lock (images) inFlight = 1;
            db.Do("COMMIT");
            lock (images)
            {
                (inFlight, committed) = (0, committed + 1);
                if (promisesPower) durable = committed;
            }
            // Hints: what the log said before is not repeated on the plain files from here on.
            if (random.Next(4) == 0) db.Do("PRAGMA recovery_checkpoint");
            if (random.Next(8) == 0) db.Do(mode == "wal" ? "PRAGMA wal_checkpoint(TRUNCATE)" : "VACUUM");
            // A checkpoint makes durable what NORMAL did not.
            if (random.Next(8) == 0 && mode == "wal" && synchronous == 1
                && db.Do("PRAGMA wal_checkpoint").StartsWith("0 "))
                lock (images) durable = committed;
            if (random.Next(8) != 0) continue;
            db.Dispose();
            db = store.Open();
            db.Do($"PRAGMA synchronous={synchronous}; PRAGMA cache_size=4; PRAGMA wal_autocheckpoint=12");
            if (mode != "wal") db.Do("PRAGMA journal_mode=" + mode);
        }
        disk.BeforeChange = null;
        store.Close();
        foreach (var image in images) Check(image, options);
    }

    /// <summary>
    /// The moments at which a plain file loses bytes that the log, from its last hints on, would not bring back.
    /// </summary>
    [Theory]
    [InlineData("",
        "PRAGMA journal_mode=wal; PRAGMA synchronous=1; UPDATE a SET v=v; BEGIN; UPDATE a SET v=v+1, "
            + "pad=randomblob(400); ROLLBACK", "UPDATE ver SET n=n+1")]
    [InlineData("wal-buffer=0",
        "PRAGMA journal_mode=wal; PRAGMA synchronous=1; UPDATE a SET v=v; BEGIN; UPDATE a SET v=v+1, "
            + "pad=randomblob(400); ROLLBACK", "UPDATE ver SET n=n+1")]
    [InlineData("",
        "PRAGMA journal_mode=wal; PRAGMA synchronous=2; UPDATE a SET v=v; BEGIN; UPDATE a SET v=v+1, "
            + "pad=randomblob(400); ROLLBACK", "UPDATE ver SET n=n+1")]
    [InlineData("wal-buffer=0",
        "PRAGMA journal_mode=wal; PRAGMA synchronous=2; UPDATE a SET v=v; BEGIN; UPDATE a SET v=v+1, "
            + "pad=randomblob(400); ROLLBACK", "UPDATE ver SET n=n+1")]
    [InlineData("",
        "PRAGMA journal_mode=wal; PRAGMA synchronous=1; UPDATE a SET v=v; BEGIN; SAVEPOINT s; UPDATE a SET v=v+1, "
            + "pad=randomblob(400); ROLLBACK TO s; COMMIT",
            "BEGIN; UPDATE a SET pad=randomblob(400) WHERE id<7; UPDATE a SET pad=randomblob(400) WHERE id<7; UPDATE "
                + "ver SET n=n+1; COMMIT")]
    [InlineData("wal-buffer=0",
        "PRAGMA journal_mode=wal; PRAGMA synchronous=1; UPDATE a SET v=v; BEGIN; SAVEPOINT s; UPDATE a SET v=v+1, "
            + "pad=randomblob(400); ROLLBACK TO s; COMMIT",
            "BEGIN; UPDATE a SET pad=randomblob(400) WHERE id<7; UPDATE a SET pad=randomblob(400) WHERE id<7; UPDATE "
                + "ver SET n=n+1; COMMIT")]
    [InlineData("",
        "PRAGMA journal_mode=wal; PRAGMA synchronous=0; UPDATE a SET pad=randomblob(400); PRAGMA wal_checkpoint",
        "UPDATE ver SET n=n+1")]
    [InlineData("wal-buffer=0",
        "PRAGMA journal_mode=wal; PRAGMA synchronous=0; UPDATE a SET pad=randomblob(400); PRAGMA wal_checkpoint",
        "UPDATE ver SET n=n+1")]
    [InlineData("", "PRAGMA journal_mode=wal; PRAGMA synchronous=0; UPDATE a SET pad=randomblob(400)",
        "PRAGMA wal_checkpoint; BEGIN; UPDATE a SET pad=randomblob(300) WHERE id<9; UPDATE ver SET n=n+1; COMMIT")]
    [InlineData("wal-buffer=0", "PRAGMA journal_mode=wal; PRAGMA synchronous=0; UPDATE a SET pad=randomblob(400)",
        "PRAGMA wal_checkpoint; BEGIN; UPDATE a SET pad=randomblob(300) WHERE id<9; UPDATE ver SET n=n+1; COMMIT")]
    [InlineData("journal=plain", "PRAGMA journal_mode=persist; UPDATE a SET pad=randomblob(400)",
        "PRAGMA journal_size_limit=1000; UPDATE ver SET n=n+1")]
    [InlineData("journal=plain", "PRAGMA journal_mode=truncate; UPDATE a SET pad=randomblob(400)",
        "UPDATE ver SET n=n+1")]
    public void A_crash_while_plain_files_are_overwritten_leaves_what_the_log_says(string options, string before,
        string during) => Seeds.RunFor(1, 1100, (seed, _) =>
    {
        output.WriteLine($"seed={seed}");
        using var store = new TestStore(options);
        using var disk = new SimulatedDisk(store);
        var db = store.Open();
        db.Do("PRAGMA page_size=512; " + Schema
            + "; PRAGMA cache_size=4; PRAGMA wal_autocheckpoint=0; PRAGMA cache_spill=1");
        db.Do(before + "; PRAGMA recovery_checkpoint");
        var random = new Random(seed);
        var images = new List<Image>();
        disk.BeforeChange = () =>
        {
            lock (images)
            {
                images.Add(new Image(disk.Disk.AfterProcessDeath(), 0, 1));
                for (var i = 0; i < 6; i++) images.Add(new Image(disk.Disk.AfterPowerLoss(random), 0, 1));
            }
        };
        db.Do(during);
        disk.BeforeChange = null;
        store.Close();
        Assert.True(images.Count >= 4);
        foreach (var image in images) Check(image, options);
    });

    /// <summary>
    /// A frame that overwrites is in the log before it is written; when the write fails, the log has to take it back.
    /// </summary>
    [Theory]
    [InlineData(1), InlineData(2)]
    public void A_commit_that_could_not_be_written_over_a_rolled_back_one_is_not_in_the_log(int write)
    {
        using var store = new TestStore("wal-buffer=0");
        using var disk = new SimulatedDisk(store);
        var db = store.Open();
        db.Do("PRAGMA page_size=512; " + Schema
            + "; PRAGMA journal_mode=wal; PRAGMA cache_size=4; PRAGMA wal_autocheckpoint=0; UPDATE a SET v=v;"
            + "BEGIN; UPDATE a SET pad=randomblob(400); ROLLBACK");
        disk.Disk.Fail(DiskCall.Write, write, RecoveryError.IoWrite, "/files/");
        Assert.StartsWith("!", db.Try("UPDATE ver SET n=n+1"));
        const string content = "SELECT n FROM ver; SELECT id, v, pad FROM a; PRAGMA integrity_check";
        db.Do("PRAGMA recovery_lsn");
        Assert.StartsWith("0 ", InTheLog(disk.Disk, "", content));
        Assert.Equal(db.Do(content), InTheLog(disk.Disk, "", content));
        db.Do("UPDATE ver SET n=n+1");
        Assert.StartsWith("1 ", InTheLog(disk.Disk, "", content));
        Assert.Equal(db.Do(content), InTheLog(disk.Disk, "", content));
        store.Close();
    }

    static void Check(Image image, string options)
    {
        using var copy = new TestStore(options);
        using var disk = new SimulatedDisk(copy, image.Disk);
        var db = copy.Open();
        var state = db.Do(
            "PRAGMA integrity_check; SELECT sum(v), count(*) FROM a; SELECT sum(v) FROM a INDEXED BY i WHERE "
                + "v>-1000000; PRAGMA recovery_verify");
        Assert.Equal("ok 2000 20 2000 ok", state);
        Assert.InRange(int.Parse(db.Do("SELECT n FROM ver"), CultureInfo.InvariantCulture), image.AtLeast,
            image.AtMost);
        db.Do("UPDATE ver SET n=n+1; UPDATE a SET v=v+n-n FROM ver WHERE id<3");
        const string content = "SELECT n FROM ver; SELECT id, v, pad FROM a";
        Assert.Equal(db.Do(content), InTheLog(disk.Disk, options, content));
        db.Do("PRAGMA wal_checkpoint");
        copy.Close();
    }

    /// <summary>What somebody reads who has nothing but the log, as a restore or a follower has it.</summary>
    static string InTheLog(PowerLossDisk disk, string options, string sql)
    {
        using var elsewhere = new TestStore(options);
        var log = disk.AfterProcessDeath();
        foreach (var file in log.Files.Where(f => f.Contains("/files/", StringComparison.Ordinal)
            || f.Contains("/hints-", StringComparison.Ordinal)).ToArray())
            log.Delete(file);
        using var _ = new SimulatedDisk(elsewhere, log);
        var content = elsewhere.Open().Do(sql);
        elsewhere.Close();
        return content;
    }
}
