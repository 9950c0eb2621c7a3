using System.Diagnostics;
using System.Globalization;
using Microsoft.Data.Sqlite;
using Xunit.Abstractions;

namespace RecoveryVfs.Tests;

/// <summary>
/// This process reads with mode=ro what another one writes: each transaction sees one whole commit, every commit that
/// had returned before it began, and never less than one before it saw; whatever the writer does, and however it ends.
/// </summary>
public sealed class ReadingProcessTests(ITestOutputHelper output) : IDisposable
{
    readonly TestStore store = new();

    public void Dispose() => store.Dispose();

    Process Start(int seed, string options)
    {
        var writer = Process.Start(
            new ProcessStartInfo("dotnet",
            [typeof(RandomWriter).Assembly.Location, store.Directory, seed.ToString(CultureInfo.InvariantCulture),
            store.PathOf("counter"), options])
            {
                RedirectStandardOutput = true,
            })!;
        Assert.Equal("ready", writer.StandardOutput.ReadLine());
        return writer;
    }

    SqliteConnection Reader() => store.Open(options: "mode=ro&overlay-budget=65536&page-cache=2M&linger=0");

    [Theory]
    [InlineData("")]
    [InlineData("journal=plain&overlay-budget=32768")]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void Each_transaction_sees_a_whole_commit_and_all_that_returned_before(string options)
        => Seeds.RunFor(8, Random.Shared.Next(), (seed, end) => ReadBeside(seed, options, end));

    void ReadBeside(int seed, string options, long end)
    {
        output.WriteLine($"seed={seed}");
        var random = new Random(seed);
        using var counted = RandomWriter.Counter(store.PathOf("counter"));
        using var counter = counted.CreateViewAccessor();
        var seen = 0L;
        var reads = 0;
        SqliteConnection? kept = null;
        for (var round = 0; Environment.TickCount64 < end; round++)
        {
            using var writer = Start(seed + round, options);
            try
            {
                kept ??= Reader();
                var until = Math.Min(end, Environment.TickCount64 + random.Next(500, 3500));
                while (Environment.TickCount64 < until) Read();
                Assert.False(writer.HasExited, "the writer failed");
            }
            catch (Exception e)
            {
                throw new InvalidOperationException(
                    $"round {round}, read {reads}, saw {seen}: {e.Message} [{Recovery.LastError}]", e);
            }
            finally
            {
                writer.Kill();
                writer.WaitForExit();
            }
            // Dead, and not cleaned up after: what it left is read all the same.
            Read();
        }
        output.WriteLine(
            $"{reads} reads, {seen} commits; "
                + kept!.Do("PRAGMA recovery_status").Split('\n')
                    .First(l => l.StartsWith("openings", StringComparison.Ordinal)));
        using var after = store.Open();
        Assert.Equal(seen, RandomWriter.Check(after));

        void Read()
        {
            var returned = counter.ReadInt64(0);
            var fresh = random.Next(15) == 0 ? Reader() : null;
            var found = RandomWriter.Check(fresh ?? kept!);
            Assert.True(found >= returned && found >= seen,
                $"read commit {found}, after {seen}, when {returned} had returned");
            seen = found;
            reads++;
            if (random.Next(10) == 0) Assert.Equal("ok", kept!.Do("PRAGMA recovery_verify"));
            if (random.Next(10) == 0) ReadOther(returned);
            fresh?.Dispose();
        }

        void ReadOther(long returned)
        {
            // It comes and goes.
            if (!File.Exists(store.PathOf("b.db"))) return;
            SqliteConnection other;
            try
            {
                other = store.Open("b.db", "mode=ro");
            }
            catch (SqliteException e) when (e.SqliteErrorCode is SQLitePCL.raw.SQLITE_CANTOPEN
                or SQLitePCL.raw.SQLITE_IOERR)
            {
                return;
            }
            using (other)
            {
                var answer = other.Try("SELECT max(n) FROM state");
                if (long.TryParse(answer, out var newest))
                    Assert.True(newest <= counter.ReadInt64(0) + 1, $"b.db has commit {newest}");
                else if (answer.Length > 0) Assert.StartsWith("!", answer);
            }
        }
    }

    [Fact]
    public void The_writer_and_the_reader_are_told_of_in_words()
    {
        using var writer = Start(RandomWriter.NeverCloses, "");
        try
        {
            using var reader = Reader();
            var status = reader.Do("PRAGMA recovery_status");
            Assert.Contains("state: read-only", status);
            Assert.Contains($"writer: pid {writer.Id} ", status);
            Assert.True(long.Parse(reader.Do("PRAGMA recovery_lsn")) > 0);
            Assert.Equal("0", reader.Do("PRAGMA recovery_lag"));
            Assert.Equal("!8", reader.Try("INSERT INTO state VALUES(1, '')"));
            Assert.Contains("a.db", Recovery.Databases(store.Directory));
            Recovery.Export(store.PathOf("a.db"), store.PathOf("copy.db"));
            using var plain =
                new SqliteConnection(
                new SqliteConnectionStringBuilder { DataSource = store.PathOf("copy.db"), Pooling = false }.ToString());
            plain.Open();
            Assert.True(RandomWriter.Check(plain) > 0);
            var refused = Assert.Throws<SqliteException>(() => store.Open());
            Assert.Equal(SQLitePCL.raw.SQLITE_BUSY, refused.SqliteErrorCode);
            Assert.Contains($"pid {writer.Id} ", Recovery.LastError);
            Assert.Contains("mode=ro", Recovery.LastError);
        }
        finally
        {
            writer.Kill();
            writer.WaitForExit();
        }
        using var alone = Reader();
        Assert.Contains("writer: none", alone.Do("PRAGMA recovery_status"));
    }

    [Fact]
    public void One_process_may_read_and_write_the_same_database_through_both_doors()
    {
        using (var first = store.Open())
            first.Do("PRAGMA journal_mode=wal; CREATE TABLE t(x); INSERT INTO t VALUES(1)");
        Recovery.CloseIdleStores();
        using var reader = store.Open(options: "mode=ro");
        Assert.Equal("1", reader.Do("SELECT count(*) FROM t"));
        using var writer = store.Open();
        Assert.Equal("wal", writer.Do("PRAGMA journal_mode"));
        for (var i = 2; i < 40; i++)
        {
            writer.Do($"INSERT INTO t VALUES({i})");
            if (i == 20) Assert.Equal("delete", writer.Do("PRAGMA journal_mode=delete"));
            if (i == 30) Assert.Equal("wal", writer.Do("PRAGMA journal_mode=wal"));
            Assert.Equal($"{i} ok", reader.Do("SELECT count(*) FROM t; PRAGMA integrity_check"));
            Assert.Equal(i.ToString(CultureInfo.InvariantCulture), writer.Do("SELECT count(*) FROM t"));
        }
    }
}
