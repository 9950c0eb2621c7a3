using System.Globalization;
using Microsoft.Data.Sqlite;
using RecoveryVfs.Operations;

namespace RecoveryVfs.Cli.Tests;

/// <summary>
/// What <c>recovery at</c>, <c>export --since</c> and <c>log</c> answer from a store's own pages and log, with no
/// remote or with one that is away; and what they ask the remote for.
/// </summary>
public sealed class LocalAnswerTests : IDisposable
{
    readonly string root = Directory.CreateTempSubdirectory("recovery-local-").FullName;

    public void Dispose()
    {
        Recovery.CloseIdleStores();
        Directory.Delete(root, recursive: true);
    }

    [Theory]
    [InlineData("DELETE")]
    [InlineData("WAL")]
    public void A_store_without_a_remote_answers_itself(string journal)
    {
        var data = Directory.CreateDirectory(Path.Combine(root, "data")).FullName;
        var file = Path.Combine(data, "a.db");
        using var db = Shipped.Open(data, "a.db", "&remote=none");
        Shipped.Scalar(db, $"PRAGMA journal_mode={journal}");
        Shipped.Execute(db, "CREATE TABLE t(id INTEGER PRIMARY KEY, v)");
        Shipped.Execute(db, "INSERT INTO t VALUES(1, 'a')");
        var first = Lsn(db);
        Shipped.Execute(db, "UPDATE t SET v = 'b'; INSERT INTO t VALUES(2, 'c')");

        string[] at = ["at", data, "--query", "SELECT id, v FROM t", "--lsn"];
        Assert.Equal("1|a\n", Recover.Run([.. at, $"{first}"]).MustEndWith(0).Output);
        Assert.Equal("1|b\n2|c\n", Recover.Run([.. at, $"{Lsn(db)}"]).MustEndWith(0).Output);
        Assert.Contains("would write", Recover.Run("at", data, "--lsn", $"{first}", "-q", "DELETE FROM t")
            .MustEndWith(2).Errors);

        var full = Path.Combine(root, "full.jsonl");
        Recover.Run("export", file, "--format", "jsonl", "--at", $"{first}", "-o", full).MustEndWith(0);
        var since = Recover.Run("export", file, "--format", "jsonl", "--since", full, "-o", "-").MustEndWith(0).Output;
        Assert.Contains("""{"table":"t","op":"update","row":{"id":1,"v":"b"}}""", since);
        Assert.Contains("""{"table":"t","op":"insert","row":{"id":2,"v":"c"}}""", since);

        Assert.Contains($"{first}", Recover.Run("log", data, "--commits").MustEndWith(0).Output);
    }

    [Fact]
    public void What_is_in_the_store_is_answered_while_the_remote_is_away_and_the_rest_when_it_is_back()
    {
        var data = Directory.CreateDirectory(Path.Combine(root, "data")).FullName;
        var remote = Path.Combine(root, "remote");
        ulong old, young;
        using (var db = Shipped.Open(data, "a.db", "&remote=" + Uri.EscapeDataString("file://" + remote)))
        {
            Shipped.Execute(db, "CREATE TABLE t(id INTEGER PRIMARY KEY, v)");
            Shipped.Execute(db, "INSERT INTO t VALUES(1, 'old')");
            old = Lsn(db);
            // More than some files of the log, which go when it is in pages.
            for (var i = 0; i < 12; i++)
            {
                Shipped.Execute(db, "INSERT INTO t(v) VALUES(randomblob(3000000))");
                Shipped.Scalar(db, "PRAGMA recovery_sync");
            }
            Shipped.Scalar(db, "PRAGMA recovery_checkpoint");
            Shipped.Execute(db, "UPDATE t SET v = 'young' WHERE id = 1");
            young = Lsn(db);
            Shipped.Execute(db, "UPDATE t SET v = 'now' WHERE id = 1");
            Shipped.Scalar(db, "PRAGMA recovery_sync");

            string[] at = ["at", data, "--query", "SELECT v FROM t WHERE id = 1", "--lsn"];
            var whole = Recover.Run("log", "file://" + remote, "--commits", "-n", "0").MustEndWith(0).Output;
            Assert.Equal(whole, Recover.Run("log", data, "--commits", "-n", "0").MustEndWith(0).Output);
            Assert.Equal("old\n", Recover.Run([.. at, $"{old}"]).MustEndWith(0).Output);

            Directory.Move(remote, remote + ".away");
            Assert.Equal("young\n", Recover.Run([.. at, $"{young}"]).MustEndWith(0).Output);
            Assert.Contains("remote", Recover.Run([.. at, $"{old}"]).MustEndWith(3).Errors);
            Assert.Contains("\"v\":\"now\"", Recover.Run("export", Path.Combine(data, "a.db"), "--format", "jsonl",
                "--since", $"{young}", "-o", "-").MustEndWith(0).Output);
            var some = Recover.Run("log", data, "--commits", "-n", "0").MustEndWith(0);
            Assert.Contains("in the remote only", some.Errors);
            Assert.EndsWith(some.Output.Split('\n')[^2], whole.TrimEnd());
            Directory.Move(remote + ".away", remote);
        }
    }

    [Fact]
    public void What_a_killed_run_left_aside_is_swept_by_the_next()
    {
        var temporary = Path.GetTempPath();
        var name = "recovery-at-" + Guid.NewGuid().ToString("N");
        string Left(string name) => Path.Combine(temporary, $".{name}.restoring");
        void Leave(string name, DateTime when)
        {
            Directory.CreateDirectory(Left(name));
            File.WriteAllText(Path.Combine(Left(name), "copy"), "rows");
            File.WriteAllText(Left(name) + ".lock", "");
            File.SetLastWriteTimeUtc(Left(name) + ".lock", when);
        }
        var (old, now) = (DateTime.UtcNow.AddHours(-1), DateTime.UtcNow);
        Leave(name + "-killed", old);
        Leave(name + "-young", now);
        using var living = new Staging(temporary, name + "-living");
        File.SetLastWriteTimeUtc(living.Directory + ".lock", old);
        try
        {
            Staging.SweepLeft(temporary, "recovery-at-");

            Assert.False(Directory.Exists(Left(name + "-killed")));
            Assert.False(File.Exists(Left(name + "-killed") + ".lock"));
            Assert.True(Directory.Exists(Left(name + "-young")));
            Assert.True(Directory.Exists(living.Directory));

            // And each run does so.
            Leave(name + "-killed", old);
            Recover.Run("at", root, "--lsn", "1", "-q", "SELECT 1");
            Assert.False(Directory.Exists(Left(name + "-killed")));
        }
        finally
        {
            Directory.Delete(Left(name + "-young"), recursive: true);
            File.Delete(Left(name + "-young") + ".lock");
        }
    }

    static ulong Lsn(SqliteConnection db) =>
        ulong.Parse(Shipped.Scalar(db, "PRAGMA recovery_lsn"), CultureInfo.InvariantCulture);
}
