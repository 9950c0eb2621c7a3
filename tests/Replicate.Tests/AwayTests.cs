namespace RecoveryVfs.Replicate.Tests;

/// <summary>
/// A replicator that was away for a day: what has grown with the time away is the database, and nothing else.
/// </summary>
public sealed class AwayTests : IDisposable
{
    readonly Scratch scratch = new();
    readonly DayClock clock = new();

    public void Dispose() => scratch.Dispose();

    Task<SqliteReplicator> StartAsync() => SqliteReplicator.StartAsync(scratch.At("app.db"),
        "file://" + scratch.At("remote"), new ReplicatorOptions { Time = clock });

    [Theory]
    [InlineData("wal", true)]
    [InlineData("wal", false)]
    [InlineData("delete", true)]
    public async Task A_day_of_commits_is_one_commit_of_what_changed_and_each_before_stays(string mode, bool isClean)
    {
        using var app = scratch.Open("app.db", $"PRAGMA journal_mode={mode}",
            "CREATE TABLE t(a INTEGER PRIMARY KEY, b)",
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) "
                + "INSERT INTO t SELECT i, randomblob(400) FROM n");
        ulong before;
        var left = clock.GetUtcNow();
        await using (var replicator = await StartAsync())
        {
            await replicator.FlushAsync();
            before = replicator.Status.Lsn;
        }
        // Whoever died left no mark of where it stood.
        if (!isClean) File.Delete(scratch.At(".app.db-recovery/replicated"));
        clock.Pass(TimeSpan.FromDays(1));
        for (var i = 0; i < 3000; i++) app.Run("UPDATE t SET b = randomblob(400) WHERE a = 7");
        app.Run("INSERT INTO t VALUES (NULL, 'last')");
        // Nobody holds a read mark: SQLite's own checkpoints keep it short.
        if (mode == "wal") Assert.True(new FileInfo(scratch.At("app.db-wal")).Length < 6 << 20);
        await using (var replicator = await StartAsync())
        {
            await replicator.FlushAsync();
            Assert.True(replicator.Status.IsReady, replicator.Status.WhyNotReady);
            Assert.Equal(1, replicator.Status.Databases[0].Joins + replicator.Status.Databases[0].Transactions);
            // Its record, and those of a log that is opened anew.
            Assert.InRange(replicator.Status.Lsn, before + 1, before + 3);
        }
        (DateTimeOffset, string)[] states = [(left.AddHours(12), "2000"), (clock.GetUtcNow().AddMinutes(1), "2001")];
        foreach (var (at, rows) in states)
        {
            var name = $"restored-{rows}.db";
            await Recovery.RestoreFileAsync("file://" + scratch.At("remote"), scratch.At(name),
                new() { Database = "app.db", Time = at });
            using var restored = scratch.Open(name);
            Assert.Equal(rows, restored.Text("SELECT count(*) FROM t"));
        }
    }

    /// <summary>A clock that a test sets forward.</summary>
    sealed class DayClock : TimeProvider
    {
        TimeSpan passed;

        public void Pass(TimeSpan time) => passed += time;

        public override DateTimeOffset GetUtcNow() => base.GetUtcNow() + passed;
    }
}
