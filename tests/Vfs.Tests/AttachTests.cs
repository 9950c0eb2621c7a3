using RecoveryVfs.RecoveryLog;
using RecoveryVfs.Simulation;

namespace RecoveryVfs.Tests;

/// <summary>Commits over several attached databases.</summary>
public class AttachTests
{
    static Microsoft.Data.Sqlite.SqliteConnection Three(TestStore store)
    {
        var db = store.Open();
        db.Do($"ATTACH '{store.UriOf("b.db")}' AS b; ATTACH '{store.UriOf("c.db")}' AS c; "
            + "CREATE TABLE IF NOT EXISTS main.t(x); CREATE TABLE IF NOT EXISTS b.u(x); CREATE TABLE IF NOT EXISTS "
                + "c.v(x)");
        return db;
    }

    const string Counts = "SELECT (SELECT count(*) FROM t), (SELECT count(*) FROM u), (SELECT count(*) FROM v)";
    const string InsertAll = "BEGIN; INSERT INTO t VALUES(1); INSERT INTO u VALUES(1); INSERT INTO v VALUES(1)";

    [Theory]
    [InlineData("", "delete"), InlineData("", "truncate"), InlineData("", "persist"),
        InlineData("journal=plain", "delete"), InlineData("journal=plain", "persist")]
    public void Commit_is_one_record_group(string options, string mode)
    {
        using var store = new TestStore(options);
        var db = Three(store);
        db.Do($"PRAGMA main.journal_mode={mode}; PRAGMA b.journal_mode={mode}; PRAGMA c.journal_mode={mode}");
        db.Do(InsertAll + "; COMMIT");
        Assert.Equal("1 1 1", db.Do(Counts));
        db.Do(InsertAll + "; ROLLBACK");
        store.Close();
        Assert.Equal("1 1 1", Three(store).Do(Counts));
    }

    [Theory, InlineData(""), InlineData("journal=plain")]
    public void All_or_none_after_power_loss_at_every_step(string options)
    {
        using var store = new TestStore(options);
        using var disk = new SimulatedDisk(store);
        var random = new Random(7);
        var images = new List<PowerLossDisk>();
        var db = Three(store);
        db.Do(InsertAll + "; COMMIT");
        disk.BeforeChange = () =>
        {
            images.Add(disk.Disk.AfterProcessDeath());
            for (var i = 0; i < 3; i++) images.Add(disk.Disk.AfterPowerLoss(random));
        };
        db.Do(InsertAll + "; COMMIT");
        disk.BeforeChange = null;
        images.Add(disk.Disk.AfterPowerLoss(disk.Disk.OldestPending));
        var durable = images.Count - 1;
        var seen = new HashSet<string>();
        for (var i = 0; i < images.Count; i++)
        {
            using var copy = new TestStore(options);
            using var copied = new SimulatedDisk(copy, images[i]);
            var counts = Three(copy).Do(Counts);
            Assert.Contains(counts, i == durable ? ["2 2 2"] : (string[])["1 1 1", "2 2 2"]);
            Assert.Equal("ok ok ok", copy.Open().Do("PRAGMA integrity_check; PRAGMA recovery_verify(store)") + " "
                + copy.Open("c.db").Do("PRAGMA integrity_check"));
            seen.Add(counts);
            copy.Close();
        }
        Assert.Equal(2, seen.Count);
    }

    [Theory]
    [InlineData(DiskCall.SyncData), InlineData(DiskCall.Write)]
    public void A_commit_that_failed_is_nowhere(DiskCall call)
    {
        for (var nth = 1; nth < 8; nth++)
        {
            using var store = new TestStore();
            using var disk = new SimulatedDisk(store);
            var db = Three(store);
            db.Do(InsertAll + "; COMMIT");
            db.Do(InsertAll);
            disk.Disk.Fail(call, nth, call == DiskCall.SyncData ? RecoveryError.IoSync : RecoveryError.IoWrite);
            var answer = db.Try("COMMIT");
            disk.Disk.ClearFaults();
            var expected = answer == "" ? "2 2 2" : "1 1 1";
            if (answer != "") Assert.Contains(answer, (string[])["!778", "!1034", "!8", "!10"]);
            Assert.Equal($"{nth} {expected}", $"{nth} {Three(store).Do(Counts)}");
            store.Close();
            Assert.Equal($"{nth} reopened {expected}", $"{nth} reopened {Three(store).Do(Counts)}");
        }
    }
}
