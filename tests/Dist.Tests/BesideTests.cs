using RecoveryVfs.TestServers;

namespace RecoveryVfs.Dist.Tests;

/// <summary>
/// What other programs have of a process of any language that has a store open: SQL in it, and its figures.
/// </summary>
public sealed class BesideTests
{
    const string Host = """
        import sqlite3, subprocess, sys, urllib.request
        extension, program, path, address = sys.argv[1:]
        loader = sqlite3.connect(":memory:")
        loader.enable_load_extension(True)
        loader.load_extension(extension)
        db = sqlite3.connect(f"file:{path}/app.db?vfs=recovery", uri=True, isolation_level=None)
        db.execute("CREATE TABLE t(x)")
        run = lambda *more: print(subprocess.run([program, "sql", path + "/app.db", *more], capture_output=True, text=True).stdout.strip())
        run("--write", "INSERT INTO t VALUES (1), (2); SELECT count(*) FROM t")
        run("--write", "SELECT sqlite_version()")
        print(sqlite3.sqlite_version)
        print(db.execute("SELECT sum(x) FROM t").fetchone()[0])
        print("recovery_store_ok" in urllib.request.urlopen(f"http://{address}/metrics").read().decode())
        """;

    [Fact]
    public void A_python_process_serves_sql_and_figures()
    {
        using var store = new StoreDirectory();
        var address = $"127.0.0.1:{S3Server.FreePort()}";
        var outcome =
            Command.RunWith(new() { ["RECOVERY_METRICS_LISTEN"] = address }, "/usr/bin/python3", "-c", Host,
            Repository.Extension, Path.Combine(Repository.Dist, "recovery"), store.Path, address).MustSucceed();
        // The statements ran in its SQLite, not in the program's.
        Assert.Equal(["2", outcome.Lines[2], outcome.Lines[2], "3", "True"], outcome.Lines);
        Assert.False(File.Exists(Path.Combine(store.Path, ".recovery", "sql")));
    }
}
