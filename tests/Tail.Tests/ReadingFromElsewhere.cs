using System.Diagnostics;

namespace RecoveryVfs.Tail.Tests;

/// <summary>
/// A process of its own keeps a follower, and this one reads its directory: while it follows, is killed, comes back and
/// is promoted.
/// </summary>
public sealed class ReadingFromElsewhere : IDisposable
{
    readonly Site site = new();

    public void Dispose() => site.Dispose();

    Process Tail(params string[] more)
    {
        var start = new ProcessStartInfo("dotnet",
            [Path.Combine(AppContext.BaseDirectory, "recovery-tail.dll"), site.Url, "--into", site.PathOf("follower"),
            "--interval", "20ms", .. more])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        return Process.Start(start)!;
    }

    static void Await(Process tail, string line)
    {
        if (tail.StandardOutput.ReadLine() is not { } said || !said.StartsWith(line, StringComparison.Ordinal))
            throw new InvalidOperationException(
                $"recovery-tail did not say '{line}': {tail.StandardError.ReadToEnd()}");
    }

    [Fact]
    public void How_old_what_is_read_may_be_is_told_from_the_followers_looks()
    {
        using var writer = site.Writer();
        writer.Do("CREATE TABLE t(x)");
        site.Wait(writer);
        var tail = Tail();
        try
        {
            Await(tail, "caught up");
            using var reader = site.Open($"file:{site.PathOf("follower/a.db")}?vfs=recovery&mode=ro&linger=0");
            long Lag() => long.Parse(reader.Do("PRAGMA recovery_lag"));
            // Far from any look's interval, and from the time that this test takes without looks.
            const long Fresh = 1500, Old = 3000;
            bool Becomes(Func<long, bool> wanted) => SpinWait.SpinUntil(() => wanted(Lag()), TimeSpan.FromSeconds(60));
            var caughtUp = Stopwatch.StartNew();
            Assert.True(SpinWait.SpinUntil(() => caughtUp.ElapsedMilliseconds > Old, TimeSpan.FromSeconds(60)));
            Assert.True(Becomes(lag => lag < Fresh));
            tail.Kill();
            tail.WaitForExit();
            Assert.True(Becomes(lag => lag > Old));
            Assert.Contains("lag_ms: ", reader.Do("PRAGMA recovery_status"));
            tail.Dispose();
            tail = Tail();
            Await(tail, "caught up");
            Assert.True(Becomes(lag => lag < Fresh));
        }
        finally
        {
            if (!tail.HasExited) tail.Kill();
            tail.Dispose();
        }
    }

    [Theory]
    [InlineData("delete")]
    [InlineData("wal")]
    public void Each_transaction_sees_a_whole_commit_whatever_becomes_of_the_follower(string mode)
    {
        using var writer = site.Writer();
        writer.Do($"PRAGMA journal_mode={mode}; CREATE TABLE t(id INTEGER PRIMARY KEY, n INTEGER, fill BLOB)");
        writer.Do("WITH RECURSIVE c(x) AS (VALUES(1) UNION ALL SELECT x+1 FROM c WHERE x<100) INSERT INTO t SELECT "
            + "x, 0, randomblob(300) FROM c");
        site.Wait(writer);
        var tail = Tail();
        try
        {
            Await(tail, "caught up");
            using var reader = site.Open($"file:{site.PathOf("follower/a.db")}?vfs=recovery&mode=ro&linger=0");
            Assert.Contains($"follower: pid {tail.Id} ", reader.Do("PRAGMA recovery_status"));
            for (var i = 1; i <= 40; i++)
            {
                writer.Do($"BEGIN; UPDATE t SET n={i}; UPDATE t SET fill=randomblob(300) WHERE id % 7 = {i % 7}; "
                    + "COMMIT");
                if (i % 9 == 0) writer.Do("PRAGMA wal_checkpoint(TRUNCATE); VACUUM");
                var before = reader.Do("SELECT min(n), max(n), count(*) FROM t").Split(' ');
                Assert.Equal(before[0], before[1]);
                if (i % 13 == 0)
                {
                    tail.Kill();
                    tail.WaitForExit();
                    Assert.Equal("100 ok", reader.Do("SELECT count(*) FROM t; PRAGMA integrity_check"));
                    tail.Dispose();
                    tail = Tail();
                    Await(tail, "caught up");
                }
                reader.Do($"PRAGMA recovery_wait_lsn={writer.Do("PRAGMA recovery_lsn")}");
                Assert.Equal($"{i} {i} 100 ok",
                    reader.Do("SELECT min(n), max(n), count(*) FROM t; PRAGMA integrity_check"));
            }
            tail.Kill();
            tail.WaitForExit();
            tail.Dispose();
            tail = Tail("--promote");
            Await(tail, "promoted");
            tail.WaitForExit();
            Assert.Equal("40 40 100", reader.Do("SELECT min(n), max(n), count(*) FROM t"));
            Assert.Equal("ok", reader.Do("PRAGMA recovery_verify"));
        }
        finally
        {
            if (!tail.HasExited) tail.Kill();
            tail.Dispose();
        }
    }
}
