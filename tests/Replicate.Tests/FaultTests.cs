using Microsoft.Data.Sqlite;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.Simulation;
using RecoveryVfs.Testing;

namespace RecoveryVfs.Replicate.Tests;

/// <summary>
/// Disks that fail, fill up or lose power under the mirror, and databases that are another one when the replicator
/// comes back: the mirror is in step again, and the application notices nothing.
/// </summary>
public sealed class FaultTests
{
    const string Table = "CREATE TABLE t(a INTEGER PRIMARY KEY, b)",
        Insert = "INSERT INTO t(b) VALUES (randomblob(500))";

    [Theory]
    [InlineData("wal")]
    [InlineData("delete")]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void A_mirror_that_lost_power_is_a_state_of_before_and_is_joined(string mode) => Seeds.Run(6, random =>
    {
        var disk = new PowerLossDisk();
        using var scratch = new Scratch();
        using var app = scratch.Open("app.db", $"PRAGMA journal_mode={mode}", Table);
        for (var round = 0; round < 3; round++)
        {
            using var site = new MirrorSite(disk: disk, scratch: scratch);
            // What the power left is whole, whatever it is.
            Assert.Empty(site.Store.Verify(null, default));
            for (var i = random.Next(1, 12); i > 0; i--)
            {
                app.Run(random.Next(6) == 0 ? "DELETE FROM t WHERE a % 3 = 0" : Insert);
                if (random.Next(2) == 0) site.LookAndCompare();
                if (random.Next(5) == 0) site.Store.Sync();
            }
            disk = disk.AfterPowerLoss(random);
        }
        using var last = new MirrorSite(disk: disk, scratch: scratch);
        last.LookAndCompare();
    });

    [Theory]
    [InlineData(DiskCall.Open)]
    [InlineData(DiskCall.Write)]
    [InlineData(DiskCall.SyncData)]
    [InlineData(DiskCall.Rename)]
    [InlineData(DiskCall.SyncDirectory)]
    public void Whichever_call_of_the_disk_fails_the_next_replicator_is_in_step(DiskCall call)
    {
        for (var nth = 1; nth <= 8; nth++)
        {
            var disk = new PowerLossDisk();
            using var scratch = new Scratch();
            using var app = scratch.Open("app.db", "PRAGMA journal_mode=WAL", Table, Insert);
            var site = new MirrorSite(disk: disk, scratch: scratch);
            try
            {
                site.LookAndCompare();
                disk.Fail(call, nth, RecoveryError.IoWrite);
                for (var i = 0; i < 4; i++)
                {
                    app.Run(Insert);
                    site.Watched.Look();
                    site.Store.Sync();
                }
            }
            catch (RecoveryException)
            {
                // It says so, and may take nothing more: then it is begun anew.
            }
            disk.ClearFaults();
            site.Dispose();
            app.Run(Insert);
            using var next = new MirrorSite(disk: disk.AfterProcessDeath(), scratch: scratch);
            next.LookAndCompare();
        }
    }

    [Theory]
    [InlineData("wal")]
    [InlineData("delete")]
    public void While_the_mirrors_disk_is_full_nothing_is_lost_and_then_it_is_in_step_again(string mode)
    {
        var disk = new TroubledDisk { CopiesOnWrite = true };
        using var scratch = new Scratch();
        using var app = scratch.Open("app.db", $"PRAGMA journal_mode={mode}", Table);
        using (var site = new MirrorSite(disk: disk, scratch: scratch))
        {
            site.LookAndCompare();
            disk.IsFull = true;
            app.Run(Insert);
            Assert.Throws<RecoveryException>(site.Watched.Look);
            for (var i = 0; i < 5; i++) app.Run(Insert);
            disk.IsFull = false;
            // The store may have to be opened again: a commit that failed must not be found later.
            try
            {
                site.LookAndCompare();
                return;
            }
            catch (RecoveryException e) when (e.Error == RecoveryError.ReadOnly)
            {
                // It says so, and a replicator ends with it.
            }
        }
        using var again = new MirrorSite(disk: disk, scratch: scratch);
        again.LookAndCompare();
    }

    [Theory]
    [InlineData("wal")]
    [InlineData("delete")]
    public void While_the_databases_disk_is_full_each_commit_that_came_through_is_there(string mode)
    {
        using var site = new MirrorSite();
        using var app = site.Open($"PRAGMA journal_mode={mode}", Table, Insert);
        site.LookAndCompare();
        app.Run("PRAGMA max_page_count=20");
        var refused = 0;
        for (var i = 0; i < 300; i++)
        {
            try
            {
                app.Run(Insert);
            }
            catch (SqliteException e) when (e.SqliteErrorCode == 13)
            {
                refused++;
            }
            if (i % 50 == 0) site.LookAndCompare();
        }
        Assert.True(refused > 0);
        site.LookAndCompare();
        Assert.Equal(1, site.Watched.Joins);
    }

    public enum Meanwhile { Replaced, Emptied, Vacuumed, OtherPageSize, OtherMode, DeletedAndMadeAgain }

    public static TheoryData<string, Meanwhile> Meanwhiles
    {
        get
        {
            var all = new TheoryData<string, Meanwhile>();
            foreach (var what in Enum.GetValues<Meanwhile>())
            {
                all.Add("wal", what);
                all.Add("delete", what);
            }
            return all;
        }
    }

    [Theory]
    [MemberData(nameof(Meanwhiles))]
    public void What_becomes_of_the_database_while_nobody_watches_is_joined(string mode, Meanwhile what)
    {
        using var site = new MirrorSite();
        using (site.Open($"PRAGMA journal_mode={mode}", Table, Insert, Insert)) site.LookAndCompare();
        site.Watched.Dispose();
        var path = site.Scratch.At("app.db");
        void Remove()
        {
            foreach (var suffix in (string[])["", "-wal", "-shm"]) File.Delete(path + suffix);
        }
        switch (what)
        {
            case Meanwhile.Replaced:
                using (site.Scratch.Open("other.db", Table, Insert, Insert, Insert)) { }
                Remove();
                File.Move(site.Scratch.At("other.db"), path);
                break;
            case Meanwhile.Emptied:
                Remove();
                File.WriteAllBytes(path, []);
                break;
            case Meanwhile.DeletedAndMadeAgain:
                Remove();
                using (site.Open($"PRAGMA journal_mode={mode}", Table)) { }
                break;
            default:
                using (var app = site.Open("PRAGMA journal_mode=DELETE"))
                {
                    if (what == Meanwhile.OtherPageSize) app.Run("PRAGMA page_size=8192");
                    if (what != Meanwhile.OtherMode) app.Run("VACUUM");
                    app.Run(what == Meanwhile.OtherMode && mode == "delete" ? "PRAGMA journal_mode=WAL"
                        : $"PRAGMA journal_mode={(what == Meanwhile.OtherMode ? "DELETE" : mode)}");
                    app.Run(Insert);
                }
                break;
        }
        site.Restart();
        if (what != Meanwhile.Emptied)
        {
            site.LookAndCompare();
            return;
        }
        site.Watched.Look();
        Assert.Null(site.Watched.Gap);
        Assert.Empty(site.Bytes());
    }

    [Theory]
    [InlineData("wal")]
    [InlineData("delete")]
    public void A_database_that_was_cut_off_is_an_error_and_what_the_mirror_has_stays(string mode)
    {
        using var site = new MirrorSite();
        using (var app = site.Open($"PRAGMA journal_mode={mode}", Table))
        {
            for (var i = 0; i < 50; i++) app.Run(Insert);
            site.LookAndCompare();
        }
        site.Watched.Dispose();
        var before = site.Bytes();
        foreach (var suffix in (string[])["-wal", "-shm"]) File.Delete(site.Scratch.At("app.db" + suffix));
        File.WriteAllText(site.Scratch.At("app.db"), "this was a database");
        site.Restart();
        Assert.Throws<RecoveryException>(site.Watched.Look);
        Assert.NotNull(site.Watched.Gap);
        Assert.Equal(before, site.Bytes());
    }

    [Fact]
    public void One_that_is_gone_is_missing_and_its_mirror_stays()
    {
        using var site = new MirrorSite();
        using (site.Open(Table, Insert)) site.LookAndCompare();
        site.Watched.Dispose();
        var before = site.Bytes();
        File.Delete(site.Scratch.At("app.db"));
        site.Restart();
        Assert.Equal(RecoveryError.NotFound, Assert.Throws<RecoveryException>(site.Watched.Look).Error);
        Assert.Equal(before, site.Bytes());
    }
}
