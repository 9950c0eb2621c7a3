namespace RecoveryVfs.Dist.Tests;

/// <summary>
/// dist/recovery replicate beside applications that know nothing of it: what each has committed is what is restored.
/// </summary>
public sealed class ReplicateTests
{
    [Theory]
    [InlineData("wal")]
    [InlineData("delete")]
    public void What_python_node_and_the_shell_commit_is_restored_though_the_replicator_is_killed(string mode)
    {
        using var store = new StoreDirectory();
        var path = Path.Combine(store.Path, "app.db");
        Assert.Equal(mode, Sql(path, $"PRAGMA journal_mode={mode}; CREATE TABLE filler(b); "
            + "CREATE TABLE log(who, n INTEGER, b, PRIMARY KEY(who, n)) WITHOUT ROWID"));
        PlainWriter[] writers = [.. ((string[])["python", "node", "shell"]).Select(l => PlainWriter.Start(l, path))];
        try
        {
            for (var life = 0; life < 3; life++)
            {
                using var replicated = new Replicated(store.Path, "app.db");
                foreach (var writer in writers) writer.Until(15);
                replicated.Kill();
                foreach (var writer in writers) writer.Until(2);
            }
            using (var replicated = new Replicated(store.Path, "app.db"))
            {
                foreach (var writer in writers) writer.Until(5);
                // Writers that take turns at a journal may leave a reader no moment; of a WAL they always do.
                if (mode == "delete")
                    foreach (var writer in writers) writer.End();
                var acknowledged = writers.Select(w => (w.Who, w.Acknowledged)).ToArray();
                replicated.End();
                var found = Counts(Replicated.Restore(store.Path, "app.db"));
                foreach (var (who, n) in acknowledged) Assert.True(found[who] >= n, $"{found[who]} of {n} of {who}");
            }
            if (mode == "wal")
                foreach (var writer in writers) writer.End();
        }
        finally
        {
            foreach (var writer in writers) writer.Dispose();
        }
        Replicated.Once(store.Path, "app.db");
        Replicated.MustBeRestored(store.Path, "app.db");
        var last = Counts(path);
        foreach (var writer in writers) Assert.True(last[writer.Who] >= writer.Acknowledged, writer.Who);
        var commits = Replicated.Commits(store.Path);
        Assert.True(commits.Length > 20, $"{commits.Length} commits");
        for (var part = 1; part < 4; part++)
            _ = Counts(Replicated.Restore(store.Path, "app.db", commits[commits.Length * part / 4]));
        Assert.Equal(mode, Sql(path, "PRAGMA journal_mode"));
    }

    /// <summary>
    /// How many rows of each application a database has, from 1 on without a gap: it is a state that they committed.
    /// </summary>
    static Dictionary<string, long> Counts(string path)
    {
        Assert.Equal("ok", Sql(path, "PRAGMA integrity_check"));
        return Command.Run("sqlite3", "-batch", path, "SELECT who, count(*), max(n) FROM log GROUP BY who")
            .MustSucceed().Lines.Select(line => line.Split('|')).ToDictionary(row => row[0], row =>
            {
                Assert.Equal(row[1], row[2]);
                return long.Parse(row[1], System.Globalization.CultureInfo.InvariantCulture);
            });
    }

    static string Sql(string path, string sql)
        => Command.Run("sqlite3", "-batch", "-bail", "-cmd", ".timeout 60000", path, sql).MustSucceed().Output.Trim();
}
