using Microsoft.Data.Sqlite;
using static SQLitePCL.raw;

namespace RecoveryVfs.Tests;

/// <summary>sqlite3_backup in small steps, while others write.</summary>
public sealed class SteppedBackupTests : IDisposable
{
    readonly TestStore store = new();

    public void Dispose() => store.Dispose();

    /// <summary>
    /// With a read transaction on its source, a backup sees one version from its first step to its last, and never
    /// begins again, whatever is committed between its steps.
    /// </summary>
    [Theory]
    [InlineData("DELETE")]
    [InlineData("WAL")]
    public void It_sees_one_version_under_writers_and_never_begins_again(string mode)
    {
        using var writer = store.Open();
        writer.Do($"PRAGMA journal_mode={mode}");
        writer.Do("CREATE TABLE t(id INTEGER PRIMARY KEY, v)");
        writer.Do("WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300) "
            + "INSERT INTO t(v) SELECT randomblob(2000) FROM n");
        const string state =
            "SELECT count(*) || ' ' || sum(id) || ' ' || hex(substr(group_concat(v, ''), 1, 64)) FROM t";
        var before = writer.Do(state);
        using var source = store.Open();
        source.Do("BEGIN");
        source.Do("SELECT count(*) FROM t");
        using var target = new SqliteConnection($"Data Source={store.PathOf("plain")};Pooling=false");
        target.Open();
        using (var backup = sqlite3_backup_init(target.Handle, "main", source.Handle, "main"))
        {
            var (left, steps) = (int.MaxValue, 0);
            while (sqlite3_backup_step(backup, 5) is var code && code != SQLITE_DONE)
            {
                Assert.Equal(SQLITE_OK, code);
                Assert.InRange(sqlite3_backup_remaining(backup), 1, left - 1);
                left = sqlite3_backup_remaining(backup);
                writer.Do("UPDATE t SET v = randomblob(2000) WHERE id % 3 = 0; "
                    + "INSERT INTO t(v) VALUES(zeroblob(9000))");
                if (++steps % 10 == 0) writer.Do("DELETE FROM t WHERE id % 7 = 0");
                if (steps % 15 == 0 && mode == "DELETE") writer.Do("VACUUM");
            }
            Assert.True(steps > 20);
        }
        source.Do("COMMIT");
        Assert.Equal(before, target.Do(state));
        Assert.Equal("ok", target.Do("PRAGMA integrity_check"));
        Assert.NotEqual(before, source.Do(state));
    }
}
