namespace RecoveryVfs.Replicate.Tests;

/// <summary>
/// Beside an application that writes fast, the replicator checkpoints and nobody else does; beside one that rests,
/// anybody may.
/// </summary>
public sealed class CheckpointTests
{
    const string Table = "CREATE TABLE t(a INTEGER PRIMARY KEY, b)",
        Insert = "INSERT INTO t(b) VALUES (randomblob(500))";

    // SQLite's answer begins with whether somebody was in the way.
    const string Checkpoint = "PRAGMA wal_checkpoint(PASSIVE)";

    static void Write(Microsoft.Data.Sqlite.SqliteConnection app, int transactions)
    {
        for (var i = 0; i < transactions; i++) app.Run(Insert);
    }

    [Fact]
    public void A_fast_application_does_not_checkpoint_until_it_rests()
    {
        // The replicator would make it short at once.
        using var site = new MirrorSite(new ReplicatorOptions { CheckpointFrames = 100_000 });
        using var app = site.Open("PRAGMA journal_mode=WAL", Table);
        site.LookAndCompare();
        Assert.False(site.Watched.KeepsCheckpoints);
        Write(app, 900);
        site.Watched.Look();
        Assert.True(site.Watched.KeepsCheckpoints);
        // It is told so at each commit over a thousand frames, and goes on.
        Write(app, 900);
        Assert.Equal("1", app.Text(Checkpoint));
        site.LookAndCompare();
        Assert.Equal("1", app.Text(Checkpoint));
        // Nothing more has come.
        site.Watched.Look();
        Assert.False(site.Watched.KeepsCheckpoints);
        Assert.Equal("0", app.Text(Checkpoint));
        site.LookAndCompare();
        Assert.Equal(1, site.Watched.Joins);
    }

    [Fact]
    public void A_slow_application_may_checkpoint()
    {
        using var site = new MirrorSite();
        using var app = site.Open("PRAGMA journal_mode=WAL", Table, Insert);
        site.LookAndCompare();
        app.Run(Insert);
        site.Watched.Look();
        Assert.False(site.Watched.KeepsCheckpoints);
        Assert.Equal("0", app.Text(Checkpoint));
    }

    /// <summary>
    /// What a process leaves that died between the two copies of the WAL-index' header: whoever comes next makes it
    /// anew, and needs the lock of checkpoints for that.
    /// </summary>
    [Fact]
    public void A_WAL_index_that_a_dying_application_left_half_written_is_mended_at_the_next_look()
    {
        using var site = new MirrorSite(new ReplicatorOptions { CheckpointFrames = 100_000 });
        using var app = site.Open("PRAGMA journal_mode=WAL", Table);
        site.LookAndCompare();
        Write(app, 900);
        site.Watched.Look();
        Assert.True(site.Watched.KeepsCheckpoints);
        site.Scratch.Python($"""
            f = open('{site.Scratch.At("app.db-shm")}', 'r+b')
            f.seek(48 + 8)
            f.write(b'half')
            """);
        site.LookAndCompare();
        // With the lock held, SQLite tries for ten seconds, and gives up.
        app.Run(Insert);
        site.LookAndCompare();
        Assert.Equal(1, site.Watched.Joins);
    }
}
