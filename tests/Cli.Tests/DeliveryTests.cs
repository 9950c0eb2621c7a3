using System.Diagnostics;

namespace RecoveryVfs.Cli.Tests;

/// <summary>
/// A plain file is delivered whatever the SQLite of this program thinks of its schema: the pages are verified by
/// checksum.
/// </summary>
public sealed class DeliveryTests : IDisposable
{
    readonly string root = Directory.CreateTempSubdirectory("recovery-delivery-").FullName;

    public void Dispose() => Directory.Delete(root, recursive: true);

    /// <summary>
    /// Made by another SQLite, as an application's is; a collation or function of its own is there only where it is
    /// made.
    /// </summary>
    void Make(string file, string sql)
    {
        const string Script = """
            import sqlite3, sys
            db = sqlite3.connect(sys.argv[1])
            db.create_collation("TURKISH", lambda a, b: (a > b) - (a < b))
            db.create_function("initials", 1, lambda s: s[:1], deterministic=True)
            db.executescript(sys.argv[2])
            db.close()
            """;
        using var python =
            Process.Start(new ProcessStartInfo("python3", ["-c", Script, file, sql]) { RedirectStandardError = true })
            !;
        var errors = python.StandardError.ReadToEnd();
        python.WaitForExit();
        Assert.True(python.ExitCode == 0, errors);
    }

    /// <summary>Imports and ships a database, and restores it as a plain file.</summary>
    Outcome GoRound(string sql, out string file)
    {
        var (plain, data, remote) =
            (Path.Combine(root, "plain.db"), Path.Combine(root, "data"), "file://" + Path.Combine(root, "remote"));
        Directory.CreateDirectory(data);
        Make(plain, sql);
        Recover.Run("import", plain, Path.Combine(data, "app.db")).MustEndWith(0);
        Recover.Run("sync", "--wait", data, "--remote", remote).MustEndWith(0);
        file = Path.Combine(root, "restored.db");
        return Recover.Run("restore", remote, "--database", "app.db", "-o", file, "--integrity-check", "full",
            "--json");
    }

    [Theory]
    [InlineData("CREATE TABLE t(a INTEGER, b TEXT) STRICT; INSERT INTO t VALUES (1, 'x')", "")]
    [InlineData("CREATE TABLE t(j); CREATE INDEX i ON t(j ->> '$.a'); INSERT INTO t VALUES ('{\"a\": 1}')", "")]
    [InlineData("CREATE TABLE t(j, a GENERATED ALWAYS AS (j ->> '$.a') STORED); INSERT INTO t(j) VALUES ('{\"a\": 1}')",
        "")]
    [InlineData("CREATE TABLE t(a); CREATE TABLE u(a); INSERT INTO t VALUES (1); CREATE VIEW v AS SELECT u.a FROM t "
        + "RIGHT JOIN u ON t.a = u.a", "")]
    [InlineData("CREATE TABLE t(a TEXT COLLATE TURKISH); CREATE INDEX i ON t(a); INSERT INTO t VALUES ('x'), ('y')",
        "TURKISH")]
    [InlineData("CREATE TABLE t(a TEXT); CREATE INDEX i ON t(initials(a)); INSERT INTO t VALUES ('x'), ('y')",
        "initials")]
    public void A_schema_that_this_sqlite_may_not_know_is_delivered_with_a_warning_that_names_the_cause(string sql,
        string cause)
    {
        var restored = GoRound(sql, out var file).MustEndWith(0);
        Assert.Equal(File.ReadAllBytes(Path.Combine(root, "plain.db"))[100..], File.ReadAllBytes(file)[100..]);
        var report = restored.Json;
        if (cause.Length == 0 && report.GetProperty("integrity").GetString() == "ok") return;
        Assert.Equal("unchecked", report.GetProperty("integrity").GetString());
        Assert.Contains(cause, report.GetProperty("warning").GetString());
        Assert.Contains("verified by checksum", restored.Errors);
    }

    [Fact]
    public void A_database_that_was_damaged_when_it_was_committed_is_delivered_and_said_to_be_so()
    {
        // An index that lacks a row, made so by hand.
        const string Sql = """
            CREATE TABLE t(a, b); CREATE INDEX i ON t(a); INSERT INTO t VALUES (1, 5), (2, 6);
            PRAGMA writable_schema=on; UPDATE sqlite_schema SET sql = 'CREATE INDEX i ON t(b)' WHERE name = 'i';
            """;
        var restored = GoRound(Sql, out var file).MustEndWith(4);
        Assert.Equal("damaged", restored.Json.GetProperty("integrity").GetString());
        Assert.Contains("index", restored.Json.GetProperty("warning").GetString());
        Assert.True(File.Exists(file));
        Assert.Equal("none",
            Recover.Run("restore", "file://" + Path.Combine(root, "remote"), "-o", file, "--force", "--json")
            .MustEndWith(0)
            .Json.GetProperty("integrity").GetString());
    }
}
