using Microsoft.Data.Sqlite;
using SQLitePCL;

namespace RecoveryVfs.Replicate.Tests;

/// <summary>
/// The WAL stays short beside an application that never pauses and a replicator that gets too little of the processor.
/// Nothing here depends on time: the application commits so and so often for each commit that the replicator makes.
/// </summary>
public sealed class WalBoundTests
{
    const int CheckpointFrames = 300, FrameBytes = 512 + 24;

    // As in OPERATIONS: a fast writer's WAL is shortened at 5 times checkpoint-frames. This is with all that comes
    // while that is done.
    const int MostTimes = 16;

    [Theory]
    [InlineData(0, 900)]
    [InlineData(1, 100)]
    [InlineData(2, 100)]
    [InlineData(2, 500)]
    [InlineData(5, 100)]
    public void The_WAL_stays_short_however_much_faster_the_application_is(int perCommit, int betweenLooks)
    {
        var clock = new AskedClock();
        using var site = new MirrorSite(
            new ReplicatorOptions { CheckpointFrames = CheckpointFrames, Time = new StoppedClock() }, clock: clock);
        using var app = site.Open("PRAGMA page_size=512", "PRAGMA journal_mode=WAL", "PRAGMA wal_autocheckpoint=0",
            "CREATE TABLE t(a INTEGER PRIMARY KEY, b)", "INSERT INTO t VALUES (1, 0)");
        site.LookAndCompare();
        var (committed, heldOff, longest, row, longestWal) = (0, 0, 0, 0, 0L);
        void Commit()
        {
            var code = raw.sqlite3_exec(app.Handle, "UPDATE t SET b = b + 1");
            Assert.True(code is raw.SQLITE_OK or raw.SQLITE_BUSY, $"SQLite's code {code}");
            if (code == raw.SQLITE_OK) (committed, row) = (committed + 1, 0);
            else (heldOff, row) = (heldOff + 1, row + 1);
            longest = Math.Max(longest, row);
            longestWal = Math.Max(longestWal, new FileInfo(site.Scratch.At("app.db-wal")).Length);
        }
        clock.Asked = () =>
        {
            for (var i = 0; i < perCommit; i++) Commit();
        };
        for (var look = 0; look < 8; look++)
        {
            for (var i = 0; i < betweenLooks; i++) Commit();
            site.Watched.Look();
        }
        clock.Asked = null;
        site.LookAndCompare();
        Assert.Equal(1, site.Watched.Joins);
        Assert.Equal($"{committed}", app.Text("SELECT b FROM t"));
        var frames = longestWal / FrameBytes;
        Assert.True(frames <= CheckpointFrames * MostTimes + betweenLooks,
            $"the WAL had {frames} frames; {committed} commits, {heldOff} held off, {longest} of them in a row");
    }

    /// <summary>No limit of time is ever reached.</summary>
    sealed class StoppedClock : TimeProvider
    {
        public override long GetTimestamp() => 1;
    }
}
