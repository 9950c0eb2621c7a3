using Microsoft.Data.Sqlite;
using RecoveryVfs.Handles;
using RecoveryVfs.Interop;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.Simulation;

namespace RecoveryVfs.Tests;

/// <summary>Several databases of a store that are taken back at once.</summary>
public sealed class RollbackTogetherTests : IDisposable
{
    static readonly string[] names = ["a.db", "b.db", "c.db"];

    readonly TestStore store = new();

    public void Dispose() => store.Dispose();

    static string Bookmark(SqliteConnection db) => db.Do("PRAGMA recovery_bookmark");

    [Fact]
    public async Task They_go_back_by_one_commit_and_forth_by_one()
    {
        var remote = "file://" + store.PathOf("remote");
        var data = store.PathOf("data");
        Directory.CreateDirectory(data);
        var all = names.Select(n => store.Open("data/" + n,
            "sync-interval=20&remote=" + Uri.EscapeDataString(remote))).ToArray();
        foreach (var db in all) db.Do("CREATE TABLE t(x); INSERT INTO t VALUES(1)");
        var before = Bookmark(all[0]);
        all[0].Do("INSERT INTO t VALUES(10)");
        all[2].Do("INSERT INTO t VALUES(100)");

        var result = await Recovery.RollbackAsync(data, before);
        Assert.Equal("1 1 1", Sums(all));
        // b.db was like that already.
        var lsns = result.Databases.Select(d => d.Lsn).ToList();
        Assert.NotNull(lsns[0]);
        Assert.Equal([lsns[0], null, lsns[0]], lsns);
        Assert.Equal([result.Undo, result.Undo], result.Databases.Where(d => d.Lsn is not null).Select(d => d.Undo));
        Assert.Equal(result.Databases.Select(d => (d.Database, d.Undo)),
            Recovery.Rollbacks(data).Select(e => (e.Database, e.Undo)));
        // There is no moment at which one was back and another was not.
        await Recovery.SyncAsync(data);
        var moments = new[] { (RecoveryLog.Bookmark.Parse(result.Undo!).Lsn, "11 1 101"), (lsns[0]!.Value, "1 1 1") };
        foreach (var (lsn, sums) in moments)
        {
            var there = store.PathOf("at-" + lsn);
            await Recovery.RestoreAsync(remote, there, new RestoreOptions { Lsn = lsn });
            Assert.Equal(sums, Sums([.. names.Select(n => store.Open($"at-{lsn}/{n}"))]));
        }
        await Recovery.RollbackAsync(data, result.Undo!);
        Assert.Equal("11 1 101", Sums(all));
        foreach (var db in all) Assert.Equal("ok ok", db.Do("PRAGMA integrity_check; PRAGMA recovery_verify"));
    }

    [Fact]
    public async Task One_in_WAL_mode_has_a_commit_of_its_own_and_one_that_is_written_to_stops_all()
    {
        var data = store.PathOf("data");
        Directory.CreateDirectory(data);
        var all = names.Select(n => store.Open("data/" + n)).ToArray();
        foreach (var db in all) db.Do("CREATE TABLE t(x); INSERT INTO t VALUES(1)");
        all[1].Do("PRAGMA journal_mode=WAL");
        var before = Bookmark(all[0]);
        foreach (var db in all) db.Do("INSERT INTO t VALUES(10)");
        var result = await Recovery.RollbackAsync(data, before);
        Assert.Equal("1 1 1", Sums(all));
        var lsns = result.Databases.Select(d => d.Lsn!.Value).ToList();
        Assert.Equal(lsns[0], lsns[2]);
        Assert.True(lsns[1] > lsns[0]);
        await Recovery.RollbackAsync(data, result.Undo!);
        Assert.Equal("11 11 11", Sums(all));

        all[1].Do("PRAGMA journal_mode=DELETE");
        all[2].Do("BEGIN IMMEDIATE; INSERT INTO t VALUES(1000)");
        var files = Files("was");
        var work = names.Select((n, i) => new ToReplace(Connect("data/" + n), store.PathOf("data/" + n), files[i]))
            .ToList();
        try
        {
            var busy = Assert.Throws<SqlFailure>(
                () => Replacement.Run(work, store.PathOf("data/.recovery"), TimeSpan.FromMilliseconds(200)));
            Assert.Contains("nothing was changed", busy.Message);
            Assert.Equal("11 11 1011", Sums(all));
            all[2].Do("ROLLBACK");
            Replacement.Run(work, store.PathOf("data/.recovery"), TimeSpan.FromSeconds(60));
        }
        finally
        {
            foreach (var each in work) each.Connection.Dispose();
        }
        Assert.Equal("7 7 7", Sums(all));
    }

    /// <summary>
    /// Whatever change of the disk is the last one before the process dies or the power fails: all of them are back, or
    /// none.
    /// </summary>
    [Fact]
    public void A_kill_at_any_step_leaves_all_as_they_were_or_all_back()
    {
        using var disk = new SimulatedDisk(store);
        var all = names.Select(n => store.Open(n)).ToArray();
        foreach (var db in all)
            db.Do("PRAGMA page_size=512; CREATE TABLE t(x); INSERT INTO t VALUES(1), (zeroblob(9000))");
        var files = Files("was");
        var work = names.Select((n, i) => new ToReplace(Connect(n), store.PathOf(n), files[i])).ToList();
        var random = new Random(1);
        var (images, isDone) = (new List<(PowerLossDisk Disk, bool IsDone)>(), false);
        disk.BeforeChange = () =>
        {
            images.Add((disk.Disk.AfterProcessDeath(), isDone));
            images.Add((disk.Disk.AfterPowerLoss(random), isDone));
        };
        Replacement.Run(work, store.PathOf(".recovery"), TimeSpan.FromSeconds(60));
        isDone = true;
        disk.BeforeChange();
        disk.BeforeChange = null;
        foreach (var each in work) each.Connection.Dispose();
        Assert.Equal("7 7 7", Sums(all));
        Assert.True(images.Count > 4, $"{images.Count} images");
        foreach (var image in images)
        {
            using var after = new TestStore();
            using var simulated = new SimulatedDisk(after, image.Disk);
            foreach (var name in names) File.Copy(store.PathOf(name), after.PathOf(name));
            var sums = Sums([.. names.Select(n => after.Open(n, "store=" + after.PathOf(".recovery")))]);
            Assert.True(sums == "7 7 7" || (sums == "1 1 1" && !image.IsDone), $"{sums}, done: {image.IsDone}");
        }
    }

    /// <summary>Plain files that say 7.</summary>
    string[] Files(string prefix)
    {
        var files = names.Select(n => store.PathOf(prefix + n)).ToArray();
        foreach (var file in files)
        {
            using var plain = new SqliteConnection($"Data Source={file};Pooling=false");
            plain.Open();
            plain.Do("PRAGMA page_size=512; CREATE TABLE t(x); INSERT INTO t VALUES(7)");
        }
        return files;
    }

    HostConnection Connect(string name) => HostConnection.Open($"file:{store.PathOf(name)}", write: true, 5000);

    static string Sums(SqliteConnection[] all) =>
        string.Join(' ', all.Select(db => db.Do("SELECT sum(x) FROM t WHERE typeof(x) <> 'blob'")));
}
