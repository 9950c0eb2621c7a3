namespace RecoveryVfs.Tests;

/// <summary>
/// With the VFS as the default one: what nobody meant for a store is a plain file, which holds what it seems to hold.
/// </summary>
public sealed class DefaultVfsTests : IDisposable
{
    readonly TestStore store = new();

    public DefaultVfsTests()
    {
        foreach (var name in (string[])["data", "elsewhere"]) Directory.CreateDirectory(store.PathOf(name));
    }

    public void Dispose() => store.Dispose();

    static readonly Dictionary<string, string> isDefault = new() { ["RECOVERY_VFS_DEFAULT"] = "1" };

    string Run(params string[] statements)
        => Opener.InProcess(isDefault, "file:" + store.PathOf("data/a.db"), statements);

    string Plain(string name, string sql)
    {
        using var plain = new Microsoft.Data.Sqlite.SqliteConnection($"Data Source={store.PathOf(name)};Pooling=false");
        plain.Open();
        return plain.Do(sql);
    }

    [Fact]
    public void Targets_outside_of_a_stores_directory_are_plain_files()
    {
        var said = Run("CREATE TABLE t(x); INSERT INTO t VALUES(1),(2)",
            $"VACUUM INTO '{store.PathOf("elsewhere/v.db")}'",
            $"ATTACH '{store.PathOf("elsewhere/w.db")}' AS w; PRAGMA w.journal_mode=wal; CREATE TABLE w.t AS SELECT * "
                + "FROM t", $"VACUUM INTO '{store.PathOf("data/here.db")}'",
            $"VACUUM INTO 'file:{store.PathOf("elsewhere/named.db")}?vfs=recovery'");
        Assert.DoesNotContain("!", said);
        Assert.Equal("2 ok", Plain("elsewhere/v.db", "SELECT count(*) FROM t; PRAGMA integrity_check"));
        Assert.Equal("2 ok", Plain("elsewhere/w.db", "SELECT count(*) FROM t; PRAGMA integrity_check"));
        Assert.StartsWith("This is a RecoveryVfs database.", File.ReadAllText(store.PathOf("data/a.db")));
        Assert.StartsWith("This is a RecoveryVfs database.", File.ReadAllText(store.PathOf("data/here.db")));
        Assert.StartsWith("This is a RecoveryVfs database.", File.ReadAllText(store.PathOf("elsewhere/named.db")));
    }

    [Fact]
    public void A_plain_database_is_attached_and_written_together_with_one_of_the_store()
    {
        Plain("elsewhere/p.db", "CREATE TABLE p(x); INSERT INTO p VALUES(1)");
        Plain("data/beside.db", "CREATE TABLE b(x); INSERT INTO b VALUES(1)");
        var said = Run(
            $"CREATE TABLE t(x); ATTACH '{store.PathOf("elsewhere/p.db")}' AS p; ATTACH "
                + $"'{store.PathOf("data/beside.db")}' AS b",
            "BEGIN; INSERT INTO t SELECT x FROM p; INSERT INTO p VALUES(2); INSERT INTO b VALUES(2); COMMIT",
                "BEGIN; INSERT INTO t VALUES(3); INSERT INTO p VALUES(3); ROLLBACK",
            "SELECT 'rows', count(*) FROM t", "SELECT 'rows', count(*) FROM p");
        Assert.DoesNotContain("!", said);
        Assert.Contains("rows 1", said);
        Assert.Contains("rows 2", said);
        Assert.Equal("2 ok", Plain("elsewhere/p.db", "SELECT count(*) FROM p; PRAGMA integrity_check"));
        Assert.Equal("2", Plain("data/beside.db", "SELECT count(*) FROM b"));
        Assert.Equal(["beside.db", "p.db"], Directory.GetFiles(store.Directory, "*", SearchOption.AllDirectories)
            .Where(f => !f.Contains("/.recovery/")).Select(Path.GetFileName).Where(f => f != "a.db").Order());
    }
}
