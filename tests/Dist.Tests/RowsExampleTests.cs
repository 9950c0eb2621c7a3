namespace RecoveryVfs.Dist.Tests;

/// <summary>examples/rows: a program of a user that keeps a second database up to date, row by row.</summary>
public sealed class RowsExampleTests
{
    [Fact]
    public void A_second_database_gets_each_changed_row()
    {
        using var project = new ExampleProject("rows");
        using var store = new StoreDirectory();
        using var other = new StoreDirectory();
        var (remote, target) = ($"file://{other.Path}/remote", Path.Combine(other.Path, "target.db"));
        void Write(params string[] statements) => Command.Run("/usr/bin/python3", "-c", $"""
            import sqlite3
            loader = sqlite3.connect(':memory:')
            loader.enable_load_extension(True)
            loader.load_extension('{Repository.Extension}')
            db = sqlite3.connect('{store.Uri}&remote={remote}', uri=True, isolation_level=None)
            {string.Join("\n", statements.Select(s => $"db.execute(\"{s}\")"))}
            db.execute('PRAGMA recovery_sync').fetchall()
            db.close()
            """).MustSucceed();

        Write("CREATE TABLE t(id INTEGER PRIMARY KEY, v)", "INSERT INTO t VALUES(1, 'a'), (2, 'b')");
        project.Run([], remote, target, "--once");
        Write("UPDATE t SET v = 'c' WHERE id = 1", "DELETE FROM t WHERE id = 2", "INSERT INTO t VALUES(3, 'd')");
        Assert.StartsWith("3 changes", project.Run([], remote, target, "--once").Lines[^1]);
        Assert.Equal("1|c\n3|d\n", Command.Run("sqlite3", target, "SELECT id, v FROM t ORDER BY id").MustSucceed()
            .Output);
    }
}
