namespace RecoveryVfs.Replicate.Tests;

/// <summary>
/// What an application commits is in the mirror, transaction by transaction, whatever else happens to the database.
/// </summary>
public sealed class WatchedTests
{
    const string Table = "CREATE TABLE t(a INTEGER PRIMARY KEY, b)",
        Insert = "INSERT INTO t(b) VALUES (randomblob(500))";

    [Fact]
    public void Each_transaction_of_a_WAL_is_one_commit()
    {
        using var site = new MirrorSite();
        using var app = site.Open("PRAGMA journal_mode=WAL", Table);
        site.LookAndCompare();
        var before = site.Store.Lsn.Last;
        for (var i = 0; i < 10; i++) app.Run(Insert);
        app.Run("BEGIN; INSERT INTO t(b) VALUES (1); INSERT INTO t(b) VALUES (2); COMMIT");
        site.LookAndCompare();
        Assert.Equal(11, site.Watched.Transactions);
        Assert.Equal(before + 11, site.Store.Lsn.Last);
        Assert.Equal(1, site.Watched.Joins);
    }

    [Fact]
    public void A_WAL_that_begins_anew_under_a_held_mark_is_followed_without_comparing()
    {
        using var site = new MirrorSite();
        using var app = site.Open("PRAGMA journal_mode=WAL", Table);
        site.LookAndCompare();
        for (var round = 0; round < 20; round++)
        {
            app.Run(Insert);
            site.LookAndCompare();
            // Everything goes into the main file; the next look holds a mark that needs nothing of the WAL.
            app.Run("PRAGMA wal_checkpoint(PASSIVE)");
            site.LookAndCompare();
            if (round % 3 == 0) Assert.Equal("0", app.Text("PRAGMA wal_checkpoint(TRUNCATE)"));
            for (var i = 0; i < round % 4; i++) app.Run(Insert);
        }
        site.LookAndCompare();
        Assert.Equal(1, site.Watched.Joins);
    }

    [Fact]
    public void The_WAL_stays_short_while_the_application_writes()
    {
        using var site = new MirrorSite();
        using var app = site.Open("PRAGMA journal_mode=WAL", "PRAGMA wal_autocheckpoint=0", Table);
        for (var i = 0; i < 3000; i++)
        {
            app.Run(Insert);
            if (i % 50 == 0) site.Watched.Look();
        }
        site.LookAndCompare();
        Assert.Equal(1, site.Watched.Joins);
        var size = new FileInfo(site.Scratch.At("app.db-wal")).Length;
        Assert.True(size < 8 << 20, $"the WAL has {size} bytes");
    }

    /// <summary>
    /// Somebody else checkpoints at each look: the next try is not put off further and further.
    /// </summary>
    [Fact]
    public void A_WAL_that_could_not_be_shortened_is_tried_again_before_it_has_doubled()
    {
        const int Checkpointing = 121; // The byte of -shm that SQLite locks for it.
        using var site = new MirrorSite();
        using var app = site.Open("PRAGMA page_size=512", "PRAGMA journal_mode=WAL", "PRAGMA wal_autocheckpoint=0",
            Table);
        site.LookAndCompare();
        void Grow(int frames)
        {
            while ((new FileInfo(site.Scratch.At("app.db-wal")).Length - 32) / 536 < frames)
                app.Run("INSERT INTO t(b) VALUES (randomblob(90000))");
        }
        using (var other = site.Scratch.StartPython($"""
            import fcntl, sys
            f = open('{site.Scratch.At("app.db-shm")}', 'r+b')
            fcntl.lockf(f, fcntl.LOCK_EX, 1, {Checkpointing})
            print('locked', flush=True)
            sys.stdin.read()
            """))
        {
            Assert.Equal("locked", other.StandardOutput.ReadLine());
            foreach (var frames in (int[])[900, 5_100, 9_300])
            {
                Grow(frames);
                site.Watched.Look();
            }
            other.StandardInput.Close();
            other.WaitForExit();
        }
        var salt = site.Watched.Reached.Standing!.Salt;
        // By doubling the next try would come at 18,600.
        Grow(13_500);
        site.LookAndCompare();
        app.Run(Insert);
        site.LookAndCompare();
        Assert.NotEqual(salt, site.Watched.Reached.Standing!.Salt);
        Assert.Equal(1, site.Watched.Joins);
    }

    [Fact]
    public void A_rollback_database_is_committed_as_what_changed()
    {
        using var site = new MirrorSite();
        using var app = site.Open(Table);
        site.LookAndCompare();
        for (var i = 0; i < 10; i++)
        {
            app.Run(Insert);
            site.LookAndCompare();
        }
        Assert.Equal(10, site.Watched.Transactions);
        site.LookAndCompare();
        Assert.Equal(10, site.Watched.Transactions);
    }

    [Theory]
    [InlineData("wal")]
    [InlineData("delete")]
    [InlineData("truncate")]
    [InlineData("persist")]
    [InlineData("memory")]
    [InlineData("off")]
    public void Vacuum_shrinking_and_dropping_are_followed(string mode)
    {
        using var site = new MirrorSite();
        using var app = site.Open($"PRAGMA journal_mode={mode}", Table);
        for (var i = 0; i < 200; i++) app.Run(Insert);
        site.LookAndCompare();
        app.Run("DELETE FROM t WHERE a > 20");
        app.Run("VACUUM");
        site.LookAndCompare();
        app.Run("DROP TABLE t");
        app.Run(Table);
        site.LookAndCompare();
    }

    [Fact]
    public void A_change_of_the_journal_mode_and_of_the_page_size_is_followed()
    {
        using var site = new MirrorSite();
        using (var app = site.Open(Table, Insert))
        {
            site.LookAndCompare();
            app.Run("PRAGMA page_size=1024");
            app.Run("VACUUM");
            site.LookAndCompare();
            app.Run("PRAGMA journal_mode=WAL");
            site.LookAndCompare();
            app.Run(Insert);
            site.LookAndCompare();
        }
        Assert.Equal(1024, site.Store.Find("app.db")!.Current.PageSize);
    }

    [Theory]
    [InlineData("wal")]
    [InlineData("delete")]
    public void What_is_committed_while_nobody_watches_is_joined_in_one_commit(string mode)
    {
        using var site = new MirrorSite();
        using (site.Open($"PRAGMA journal_mode={mode}", Table, Insert)) site.LookAndCompare();
        site.Watched.Dispose();
        using (var app = site.Open())
            for (var i = 0; i < 100; i++) app.Run(Insert);
        site.Restart();
        var before = site.Store.Lsn.Last;
        site.LookAndCompare();
        Assert.Equal(before + 1, site.Store.Lsn.Last);
        Assert.Contains(site.Events, e => e.Kind == ReplicationEventKind.Joined);
    }

    [Theory]
    [InlineData("wal")]
    [InlineData("delete")]
    public void A_database_that_another_one_is_moved_over_is_compared(string mode)
    {
        using var site = new MirrorSite();
        using (site.Open($"PRAGMA journal_mode={mode}", Table, Insert)) site.LookAndCompare();
        using (site.Scratch.Open("other.db", Table, Insert, Insert, Insert)) { }
        File.Move(site.Scratch.At("other.db"), site.Scratch.At("app.db"), overwrite: true);
        File.Delete(site.Scratch.At("app.db-wal"));
        File.Delete(site.Scratch.At("app.db-shm"));
        site.LookAndCompare();
        Assert.Contains(site.Events, e => e.Kind == ReplicationEventKind.Joined
            && e.Message.Contains("replaced", StringComparison.Ordinal));
    }

    [Fact]
    public void A_backup_that_is_copied_over_the_file_is_seen_though_the_file_is_the_same_one()
    {
        using var site = new MirrorSite();
        using (site.Open("PRAGMA journal_mode=WAL", Table, Insert)) site.LookAndCompare();
        using (site.Scratch.Open("other.db", "PRAGMA journal_mode=WAL", Table, Insert, Insert, Insert)) { }
        File.Delete(site.Scratch.At("app.db-wal"));
        File.Delete(site.Scratch.At("app.db-shm"));
        File.WriteAllBytes(site.Scratch.At("app.db"), File.ReadAllBytes(site.Scratch.At("other.db")));
        // Another process: in this one SQLite would go on with the files that lost their names.
        site.Scratch.Python(
            $"import sqlite3; c = sqlite3.connect('{site.Scratch.At("app.db")}'); c.execute('{Insert}'); c.commit()");
        site.LookAndCompare();
        Assert.Equal(2, site.Watched.Joins);
        using var app = site.Open(Insert);
        site.LookAndCompare();
    }

    [Fact]
    public void A_database_that_is_deleted_and_made_again_is_followed()
    {
        using var site = new MirrorSite();
        using (site.Open("PRAGMA journal_mode=WAL", Table, Insert)) site.LookAndCompare();
        foreach (var suffix in (string[])["", "-wal", "-shm"]) File.Delete(site.Scratch.At("app.db" + suffix));
        Assert.Equal(RecoveryLog.RecoveryError.NotFound,
            Assert.Throws<RecoveryLog.RecoveryException>(site.Watched.Look).Error);
        using var app = site.Open("PRAGMA journal_mode=WAL", Table, Insert, Insert);
        site.LookAndCompare();
    }
}
