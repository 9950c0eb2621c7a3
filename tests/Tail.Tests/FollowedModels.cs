using Microsoft.Data.Sqlite;
using RecoveryVfs.TestServers;

namespace RecoveryVfs.Tail.Tests;

/// <summary>
/// Random histories of SQLite's own making: journal modes, VACUUM, page sizes, commits of several databases, databases
/// that come and go. After each step every database of the follower is, byte for byte, what the writer has.
/// </summary>
public abstract class FollowedModels(Site site, int steps) : IDisposable
{
    static readonly string[] names = ["a.db", "b.db", "c.db"];

    readonly Dictionary<string, SqliteConnection> writers = [], readers = [];
    readonly List<string> history = [];

    public virtual void Dispose()
    {
        foreach (var connection in (IEnumerable<SqliteConnection>)[.. writers.Values, .. readers.Values])
            connection.Dispose();
        site.Dispose();
    }

    [Fact]
    [Trait(Seeds.Kind, Seeds.Random)]
    public Task The_follower_is_the_writer_byte_for_byte_after_every_commit() => Seeds.OnceAsync(random =>
    {
        try
        {
            foreach (var name in names.Take(2)) Write(name).Do("CREATE TABLE t(id INTEGER PRIMARY KEY, v BLOB)");
            for (var step = 0; step < steps; step++)
            {
                Step(random);
                var lsn = writers.Values.First().Do("PRAGMA recovery_lsn");
                foreach (var name in writers.Keys) Compare(name, lsn);
            }
        }
        catch (Exception e)
        {
            throw new InvalidOperationException($"{e.Message} after\n{string.Join('\n', history.TakeLast(30))}", e);
        }
        return Task.CompletedTask;
    });

    SqliteConnection Write(string name) => writers.TryGetValue(name, out var open)
        ? open
        : writers[name] = site.Writer(name);

    void Do(string name, string sql)
    {
        history.Add($"{name}: {sql}");
        Write(name).Do(sql);
    }

    void Step(Random random)
    {
        var name = names[random.Next(2)];
        switch (random.Next(14))
        {
            case <= 3: Do(name, $"INSERT INTO t(v) VALUES (randomblob({random.Next(9000)}))"); break;
            case 4:
                Do(name,
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<60) INSERT INTO t(v) SELECT "
                    + $"randomblob({random.Next(300)}) FROM n"); break;
            case 5: Do(name, $"UPDATE t SET v=randomblob({random.Next(600)}) WHERE id % 3 = {random.Next(3)}"); break;
            case 6: Do(name, $"DELETE FROM t WHERE id % 4 = {random.Next(4)}"); break;
            case 7:
                Do(name, "PRAGMA journal_mode="
                + ((string[])["delete", "wal", "truncate", "wal", "persist"])[random.Next(5)]); break;
            case 8: Do(name, $"PRAGMA page_size={512 << random.Next(6)}; VACUUM"); break;
            case 9:
                Do(name, "PRAGMA wal_checkpoint(" + ((string[])["PASSIVE", "TRUNCATE", "RESTART"])[random.Next(3)]
                + ")"); break;
            case 10: Do(name, "BEGIN; UPDATE t SET v=randomblob(3000); ROLLBACK"); break;
            case 11:
                Do("a.db", $"ATTACH 'file:{site.PathOf("writer/b.db")}?vfs=recovery' AS other; BEGIN; "
                    + "INSERT INTO main.t(v) VALUES (randomblob(500)); "
                    + "INSERT INTO other.t(v) VALUES (randomblob(500)); COMMIT; DETACH other");
                break;
            case 12:
                Do("c.db",
                "CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY, v BLOB); INSERT INTO t(v) VALUES "
                    + "(randomblob(2000))"); break;
            default: DropThird(); break;
        }
    }

    void DropThird()
    {
        if (!writers.Remove("c.db", out var writer)) return;
        writer.Dispose();
        if (readers.Remove("c.db", out var reader)) reader.Dispose();
        history.Add("c.db is deleted");
        Recovery.Delete(site.PathOf("writer/c.db"));
        Recovery.CloseIdleStores();
    }

    void Compare(string name, string lsn)
    {
        if (!readers.TryGetValue(name, out var reader))
        {
            // It must be there to be opened.
            Write(name).Do("PRAGMA recovery_sync=remote");
            foreach (var other in readers.Values) other.Do($"PRAGMA recovery_wait_lsn={lsn}");
            reader = readers[name] = site.Reader(name);
        }
        reader.Do($"PRAGMA recovery_wait_lsn={lsn}");
        // Another connection, with nothing cached: of free pages SQLite keeps versions that it never writes.
        using var fresh = site.Writer(name);
        var (expected, found) = (Copy(fresh, "expected"), Copy(reader, "found"));
        // A follower never shows WAL mode.
        expected.AsSpan(18, 2).CopyTo(found.AsSpan(18));
        Assert.True(expected.AsSpan().SequenceEqual(found),
            $"{name} is not what the writer has at LSN {lsn}: {expected.Length} and {found.Length} bytes, "
            + $"the first {expected.AsSpan().CommonPrefixLength(found)} the same");
    }

    /// <summary>What a connection sees, page by page.</summary>
    byte[] Copy(SqliteConnection connection, string name)
    {
        var path = site.PathOf(name);
        File.Delete(path);
        using (var plain = Site.OpenUri("file:" + path)) connection.BackupDatabase(plain);
        return File.ReadAllBytes(path);
    }
}

/// <summary>Over a directory.</summary>
public sealed class DirectoryFollowedModels() : FollowedModels(new Site(), 150);

/// <summary>Over Ceph's gateway.</summary>
[Collection(S3Collection.Name)]
public sealed class S3FollowedModels(S3Server server) : FollowedModels(NewSite(server), 60)
{
    static Site NewSite(S3Server server)
    {
        S3Server.SetEnvironment();
        return new Site($"s3://{server.NewBucketAsync().GetAwaiter().GetResult()}/a/prefix?endpoint={server.Endpoint}");
    }
}
