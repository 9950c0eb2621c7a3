namespace RecoveryVfs.Dist.Tests;

/// <summary>An empty directory for databases, deleted afterwards.</summary>
internal sealed class StoreDirectory : IDisposable
{
    public string Path { get; } = Directory.CreateTempSubdirectory("recovery-dist-").FullName;

    /// <summary>The database in it as a URI.</summary>
    public string Uri => $"file:{Path}/app.db?vfs=recovery";

    /// <summary>Runs SQL in the sqlite3 shell on the database; SQLite's error log is in the outcome's errors.</summary>
    public Outcome Shell(string sql, string options = "")
        => Command.Run("sqlite3", "-batch", "-bail", "-cmd", ".log stderr",
        "-cmd", ".load " + Repository.Extension, "-cmd", $".open '{Uri}{options}'", ":memory:", sql);

    public void Dispose() => Directory.Delete(Path, recursive: true);
}
