using RecoveryVfs.TestServers;

namespace RecoveryVfs.Dist.Tests;

/// <summary>
/// What is shipped to users, with a real S3 server: the loadable extension (ahead-of-time compiled, where a library
/// that counts on reflection would fail) in Python and the shell, and the program beside it.
/// </summary>
[Collection(S3Collection.Name)]
public sealed class RemoteTests(S3Server server)
{
    static string Program => Path.Combine(Repository.Dist, "recovery");

    Outcome Python(string uri, string code, Dictionary<string, string>? environment = null) => Command.RunWith(environment ?? server.Environment, "/usr/bin/python3", "-c", $"""
        import sqlite3
        loader = sqlite3.connect(':memory:')
        loader.enable_load_extension(True)
        loader.load_extension('{Repository.Extension}')
        db = sqlite3.connect('{uri}', uri=True, timeout=0, isolation_level=None)
        {code}
        """);

    Outcome Recovery(params string[] arguments) => Command.RunWith(server.Environment, Program, arguments);

    [Fact]
    public async Task A_machine_is_lost_and_restored_from_S3_through_the_extension_alone()
    {
        var remote = $"s3://{await server.NewBucketAsync()}/app";
        using var store = new StoreDirectory();
        var uri = $"{store.Uri}&remote={remote}";
        Python(uri + "&durability=remote",
            "db.execute('CREATE TABLE t(x)'); [db.execute('INSERT INTO t VALUES (?)', (i,)) for i in range(100)]")
            .MustSucceed();
        // Killed by its end, without a close: what returned is there.
        Directory.Delete(store.Path, recursive: true);
        Directory.CreateDirectory(store.Path);
        var status = Python(uri + "&auto-restore=on",
            "print(db.execute('SELECT count(*) FROM t').fetchone()[0]); print(db.execute('PRAGMA "
                + "integrity_check').fetchone()[0]); "
            + "db.execute('INSERT INTO t VALUES (100)'); db.execute('PRAGMA recovery_sync').fetchone(); "
                + "print(db.execute('PRAGMA recovery_verify=remote').fetchone()[0]); "
            + "print(db.execute('PRAGMA recovery_status').fetchone()[0])").MustSucceed();
        Assert.Equal(["100", "ok", "ok"], status.Lines[..3]);
        Assert.Contains("remote_healthy: yes", status.Output);
        Recovery("status", remote).MustSucceed();
        Recovery("verify", remote).MustSucceed();
        var plain = Path.Combine(store.Path, "plain.sqlite");
        Recovery("restore", remote, "--database", "app.db", "-o", plain).MustSucceed();
        Assert.Equal("101", Command.Run("sqlite3", plain, "SELECT count(*) FROM t").MustSucceed().Output.Trim());
        var place = Path.Combine(store.Path, "elsewhere");
        Recovery("restore", remote, place).MustSucceed();
        Assert.Equal("101",
            Command.RunWith(server.Environment, "sqlite3", "-batch", "-bail", "-cmd", ".load " + Repository.Extension,
            "-cmd", $".open 'file:{place}/app.db?vfs=recovery&remote={remote}'", ":memory:", "SELECT count(*) FROM t")
                .MustSucceed().Output.Trim());
    }

    [Fact]
    public async Task Wrong_credentials_and_a_missing_bucket_look_ill_and_stop_no_commit()
    {
        using var store = new StoreDirectory();
        var bucket = await server.NewBucketAsync();
        const string code = """
            import time
            db.execute('CREATE TABLE IF NOT EXISTS t(x)')
            end = time.time() + 60
            status = ''
            while 'remote_state: outage' not in status and time.time() < end: status = db.execute('PRAGMA recovery_status').fetchone()[0]
            db.execute('INSERT INTO t VALUES (1)')
            print(status)
            """;
        var wrong = Python($"{store.Uri}&remote=s3://{bucket}/app", code,
            new(server.Environment) { ["AWS_SECRET_ACCESS_KEY"] = "wrong" }).MustSucceed().Output;
        Assert.Contains("remote_healthy: no", wrong);
        Assert.Contains("credentials", wrong);
        // In a store of its own: a URI does not change the remote that a store has.
        using var another = new StoreDirectory();
        var missing = Python($"{another.Uri}&remote=s3://no-such-bucket/app", code).MustSucceed().Output;
        Assert.Contains("NoSuchBucket", missing);
    }
}
