
namespace RecoveryVfs.Dist.Tests;

/// <summary>What concerns remotes, from every language: shipping, status, loss of the machine, following.</summary>
public sealed class RemoteLanguageTests
{
    [Fact]
    public void Each_language_ships_and_the_next_goes_on_from_the_remote_after_the_machine_is_lost()
    {
        using var bucket = new StoreDirectory();
        var url = $"file://{bucket.Path}";
        var languages =
            new (string Name, Func<StoreDirectory, string, string, Outcome> Run)[] { ("shell", Shell),
            ("python", Python), ("node", Node), ("again", Shell) };
        for (var turn = 0; turn < languages.Length; turn++)
        {
            using var machine = new StoreDirectory();
            if (turn > 0)
                Command.Run(Path.Combine(Repository.Dist, "recovery"), "restore", url, machine.Path).MustSucceed();
            // Prints the rows found, after its own was shipped, and the status of the remote.
            var lines = languages[turn].Run(machine, url, languages[turn].Name).MustSucceed().Lines;
            Assert.Equal(string.Join(',', languages.Take(turn + 1).Select(l => l.Name)), lines[0]);
            Assert.Contains("remote_state: shipping", lines);
            Assert.Contains("state: ok", lines);
        }
    }

    [Fact]
    public async Task A_follower_in_one_language_sees_what_another_commits()
    {
        using var bucket = new StoreDirectory();
        using var machine = new StoreDirectory();
        using var replica = new StoreDirectory();
        using var writer =
            Command.Start(new() { ["RECOVERY_REMOTE"] = $"file://{bucket.Path}", ["RECOVERY_SYNC_INTERVAL"] = "20" },
            "node", NodeExample.HostProgram("commits.js"),
            Repository.Extension, machine.Path, "200");
        while (await writer.StandardOutput.ReadLineAsync() is { } line && line != "200") { }
        // The writer still has its store open. (sqlite3 tells nothing but what is asked, so poll until the rows have
        // come.)
        var follower = Command.RunWith(new() { ["RECOVERY_FOLLOW"] = $"file://{bucket.Path}", ["RECOVERY_FOLLOW_INTERVAL"] = "20" }, "/usr/bin/python3", "-c", $"""
            import sqlite3, time
            loader = sqlite3.connect(':memory:')
            loader.enable_load_extension(True)
            loader.load_extension('{Repository.Extension}')
            until = time.monotonic() + 60
            rows = None
            while rows != 200 and time.monotonic() < until:
                try:
                    db = sqlite3.connect('file:{replica.Path}/app.db?vfs=recovery&mode=ro', uri=True)
                    rows = db.execute('SELECT count(*) FROM n').fetchone()[0]
                    db.close()
                except sqlite3.OperationalError as problem:
                    rows = str(problem)
            print(rows)
            db = sqlite3.connect('file:{replica.Path}/app.db?vfs=recovery&mode=ro', uri=True)
            print(db.execute('PRAGMA integrity_check').fetchone()[0])
            try:
                db.execute("INSERT INTO n VALUES(1000, 'mine')")
            except sqlite3.OperationalError as problem:
                print(problem)
            """).MustSucceed();
        Assert.Equal(["200", "ok", "attempt to write a readonly database"], follower.Lines);
        writer.StandardInput.Close();
        await writer.WaitForExitAsync();
        Assert.Equal(0, writer.ExitCode);
    }

    const string Create = "CREATE TABLE IF NOT EXISTS t(x)";

    static Outcome Shell(StoreDirectory machine, string url, string name) =>
        Command.RunWith(new() { ["RECOVERY_REMOTE"] = url }, "sqlite3", "-batch", "-bail", "-cmd",
            ".load " + Repository.Extension, "-cmd", $".open '{machine.Uri}'", ":memory:",
            $"{Create}; INSERT INTO t VALUES('{name}'); SELECT group_concat(x) FROM t; PRAGMA recovery_sync; PRAGMA "
                + "recovery_status");

    static Outcome Python(StoreDirectory machine, string url, string name) =>
        Command.RunWith(new() { ["RECOVERY_REMOTE"] = url }, "/usr/bin/python3", "-c", $"""
            import sqlite3
            loader = sqlite3.connect(':memory:')
            loader.enable_load_extension(True)
            loader.load_extension('{Repository.Extension}')
            db = sqlite3.connect('{machine.Uri}', uri=True, isolation_level=None)
            db.execute("{Create}")
            db.execute("INSERT INTO t VALUES('{name}')")
            print(db.execute('SELECT group_concat(x) FROM t').fetchone()[0])
            db.execute('PRAGMA recovery_sync').fetchall()
            print(db.execute('PRAGMA recovery_status').fetchone()[0])
            """);

    static Outcome Node(StoreDirectory machine, string url, string name) =>
        Command.RunWith(
            new()
            {
                ["RECOVERY_REMOTE"] = url,
                ["RECOVERY_VFS_DEFAULT"] = "1",
                ["NODE_PATH"] = Path.Combine(Path.GetDirectoryName(NodeExample.Script)!, "node_modules")
            },
            "node", "-e", $$"""
            const Database = require('better-sqlite3');
            new Database(':memory:').loadExtension('{{Repository.Extension}}').close();
            const db = new Database('{{machine.Path}}/app.db');
            db.exec("{{Create}}; INSERT INTO t VALUES('{{name}}')");
            console.log(db.prepare('SELECT group_concat(x) FROM t').pluck().get());
            db.pragma('recovery_sync');
            console.log(db.pragma('recovery_status', { simple: true }));
            """);
}
