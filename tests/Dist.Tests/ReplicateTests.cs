using System.Diagnostics;

namespace RecoveryVfs.Dist.Tests;

/// <summary>
/// dist/recovery replicate beside applications that know nothing of it: what each has written is what is restored.
/// </summary>
public sealed class ReplicateTests
{
    [Theory]
    [InlineData("wal")]
    [InlineData("delete")]
    public void What_better_sqlite3_and_the_shell_have_written_is_restored(string mode)
    {
        using var store = new StoreDirectory();
        var path = Path.Combine(store.Path, "app.db");
        using (var replicated = new Replicated(store.Path, "app.db"))
        {
            var environment = new Dictionary<string, string>
            {
                ["NODE_PATH"] = Path.Combine(Path.GetDirectoryName(NodeExample.Script)!, "node_modules"),
            };
            Command.RunWith(environment, "node", "-e", $$"""
                const db = new (require('better-sqlite3'))('{{path}}');
                db.pragma('journal_mode = {{mode}}');
                db.exec('CREATE TABLE n(x INTEGER PRIMARY KEY, filler)');
                const insert = db.prepare('INSERT INTO n(filler) VALUES (randomblob(?))');
                for (let i = 0; i < 300; i++) insert.run(10 + i * 7 % 3000);
                db.transaction(() => { for (let i = 0; i < 500; i++) insert.run(900); })();
                db.exec('DELETE FROM n WHERE x % 5 = 0; VACUUM');
                """).MustSucceed();
            Command.Run("sqlite3", "-batch", "-bail", path,
                "CREATE TABLE m AS SELECT x, length(filler) AS l FROM n; CREATE INDEX i ON m(l)").MustSucceed();
            replicated.End();
        }
        Replicated.MustBeRestored(store.Path, "app.db");
    }
}

/// <summary>The program, replicating databases of a directory until it is told to end.</summary>
internal sealed class Replicated : IDisposable
{
    static readonly string program = Path.Combine(Repository.Dist, "recovery");

    readonly Process process;

    public Replicated(string directory, params string[] names)
    {
        var config = Path.Combine(directory, "recovery.yml");
        File.WriteAllText(config, $"remote: {Url(directory)}\nstore: {directory}/mirror\nsync-interval: 50\ndbs:\n"
            + string.Concat(names.Select(n => $"  - path: {directory}/{n}\n")));
        process = Command.Start([], program, "replicate", "--config", config);
        // It says of each whether it is there.
        foreach (var _ in names) process.StandardError.ReadLine();
        process.BeginErrorReadLine();
    }

    static string Url(string directory) => $"file://{directory}/remote";

    /// <summary>Tells it to end, which it does when everything is shipped.</summary>
    public void End()
    {
        Command.Run("kill", $"{process.Id}").MustSucceed();
        Assert.True(process.WaitForExit(TimeSpan.FromMinutes(2)));
        Assert.Equal(0, process.ExitCode);
    }

    /// <summary>What the remote has is what is in the database.</summary>
    public static void MustBeRestored(string directory, string name)
    {
        var restored = Path.Combine(directory, "restored-" + name);
        Command.Run(program, "restore", Url(directory), "--database", name, "-o", restored).MustSucceed();
        string Dump(string path) => Command.Run("sqlite3", "-batch", path, ".dump").MustSucceed().Output;
        Assert.Equal(Dump(Path.Combine(directory, name)), Dump(restored));
    }

    public void Dispose()
    {
        if (!process.HasExited) process.Kill();
        process.Dispose();
    }
}
