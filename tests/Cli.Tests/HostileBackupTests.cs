using System.Security.Cryptography;
using System.Text;
using Microsoft.Data.Sqlite;
using RecoveryVfs.Changes.Backups;
using RecoveryVfs.Changes.Pairs;
using RecoveryVfs.Cli.Backups;
using RecoveryVfs.Cli.Replicate;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.Testing;
using SQLitePCL;

namespace RecoveryVfs.Cli.Tests;

/// <summary>
/// Backups that somebody made on purpose, with the right hash: an import runs nothing but what makes tables and rows,
/// touches no other file, and leaves a database as it was when it refuses.
/// </summary>
public sealed class HostileBackupTests : IDisposable
{
    const string Good = """
        {"format":"recovery-rows","version":1,"kind":"full","database":"a.db","log":"00000000-0000-0000-0000-000000000001","lsn":7,"time":"2026-01-01T00:00:00Z","encoding":"UTF-8","schema":[{"type":"table","name":"t","table":"t","sql":"CREATE TABLE t(id INTEGER PRIMARY KEY, v)"},{"type":"index","name":"i","table":"t","sql":"CREATE INDEX i ON t(v)"}],"tables":[{"name":"t","rows":2}]}
        {"table":"t","row":{"id":1,"v":"one"}}
        {"table":"t","rowid":2,"row":{"v":{"blob":"AAH/"}}}
        """;

    readonly string root = Directory.CreateTempSubdirectory("recovery-hostile-").FullName;

    public HostileBackupTests() => Batteries_V2.Init();

    public void Dispose() => Directory.Delete(root, recursive: true);

    /// <summary>A backup with these lines, whose last line is right.</summary>
    string Sealed(string text)
    {
        var lines = text.Split('\n').Select(l => l.TrimEnd('\r')).ToList();
        var bytes = Encoding.UTF8.GetBytes(string.Concat(lines.Select(l => l + "\n")));
        var rows = lines.Count(l => l.StartsWith("{\"table\":\"t\"", StringComparison.Ordinal));
        var end = $$"""{"end":true,"lines":{{lines.Count - 1}},"tables":[{"name":"t","rows":{{rows}}}],"sha256":"{{Convert.ToHexStringLower(SHA256.HashData(bytes))}}"}""";
        var file = Path.Combine(root, "backup.jsonl");
        File.WriteAllBytes(file, [.. bytes, .. Encoding.UTF8.GetBytes(end + "\n")]);
        return file;
    }

    /// <summary>Imports into a database that has a table of its own, which must still be there.</summary>
    void Import(string file)
    {
        var path = Path.Combine(root, "app.db");
        using var connection = new Connection(path);
        connection.Ask("CREATE TABLE IF NOT EXISTS mine AS SELECT 1 AS x");
        try
        {
            new RowImport(connection, ExistingDatabase.Merge).Run([file]);
        }
        finally
        {
            Assert.Equal("1", connection.Ask("SELECT x FROM mine"));
            Assert.Equal("ok", connection.Ask("PRAGMA integrity_check"));
            Assert.Equal("1", connection.Ask("SELECT count(*) FROM pragma_database_list WHERE name <> 'temp'"));
        }
    }

    [Fact]
    public void The_backup_that_is_changed_here_is_good() => Import(Sealed(Good));

    [Theory]
    [InlineData("\"CREATE TABLE t(id INTEGER PRIMARY KEY, v)\"",
        "\"CREATE TABLE t AS WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x+1 FROM c) SELECT x id, x v FROM c\"")]
    [InlineData("\"CREATE TABLE t(id INTEGER PRIMARY KEY, v)\"", "\"CREATE TEMP TABLE t(id INTEGER PRIMARY KEY, v)\"")]
    [InlineData("\"CREATE TABLE t(id INTEGER PRIMARY KEY, v)\"",
        "\"CREATE TRIGGER t AFTER INSERT ON mine BEGIN DELETE FROM mine; END\"")]
    [InlineData("\"CREATE TABLE t(id INTEGER PRIMARY KEY, v)\"", "\"CREATE TABLE other(id INTEGER PRIMARY KEY, v)\"")]
    [InlineData("\"CREATE INDEX i ON t(v)\"", "\"CREATE INDEX i ON t(v); DROP TABLE mine\"")]
    [InlineData("\"CREATE INDEX i ON t(v)\"", "\"CREATE TABLE i(x)\"")]
    [InlineData("\"CREATE INDEX i ON t(v)\"", "\"ATTACH 'elsewhere.db' AS e\"")]
    [InlineData("\"encoding\":\"UTF-8\"", "\"encoding\":\"UTF-8'; ATTACH 'elsewhere.db' AS e; --\"")]
    [InlineData("\"encoding\":\"UTF-8\"", "\"encoding\":null")]
    [InlineData("\"schema\":[", "\"schema\":[null,")]
    [InlineData("\"type\":\"index\"", "\"type\":null")]
    [InlineData("{\"table\":\"t\",\"row\":{\"id\":1,\"v\":\"one\"}}", "{\"rowid\":1,\"table\":\"t\",\"row\":{}}")]
    [InlineData("\"rowid\":2", "\"rowid\":\"2\"")]
    [InlineData("\"AAH/\"", "\"none!\"")]
    [InlineData("\"v\":\"one\"", "\"v\\\") VALUES(1,2); DROP TABLE mine; --\":1")]
    [InlineData("{\"table\":\"t\",\"row\":{\"id\":1,\"v\":\"one\"}}", "{\"drop\":\"table\"}")]
    [InlineData("{\"table\":\"t\",\"row\":{\"id\":1,\"v\":\"one\"}}", "{\"drop\":[1]}")]
    // Modules are made by the one statement, and by what enters the schema and is read there.
    [InlineData("\"CREATE TABLE t(id INTEGER PRIMARY KEY, v)\"", "\"CREATE  VIRTUAL TABLE t USING fts5(v)\"")]
    [InlineData("{\"type\":\"index\",\"name\":\"i\",\"table\":\"t\",\"sql\":\"CREATE INDEX i ON t(v)\"}",
        "{\"type\":\"table\",\"name\":\"i\",\"table\":\"i\",\"sql\":\"CREATE VIRTUAL TABLE ((((\"}")]
    [InlineData("{\"type\":\"index\",\"name\":\"i\",\"table\":\"t\",\"sql\":\"CREATE INDEX i ON t(v)\"}",
        "{\"type\":\"table\",\"name\":\"i\",\"table\":\"i\",\"sql\":\"CREATE VIRTUAL TABLE mine USING fts5(x)\"}")]
    [InlineData("\"kind\":\"full\"", "\"kind\":\"incremental\"")]
    [InlineData("\"database\":\"a.db\"", "\"database\":null")]
    [InlineData("{\"blob\":\"AAH/\"}", "{\"blob\":\"AAH/\",\"real\":\"Infinity\"}")]
    [InlineData("{\"blob\":\"AAH/\"}", "{\"real\":\"much\"}")]
    [InlineData("\"rowid\":2", "\"op\":\"zap\"")]
    [InlineData("{\"table\":\"t\",\"row\":{\"id\":1,\"v\":\"one\"}}", "{}")]
    [InlineData("{\"table\":\"t\",\"row\":{\"id\":1,\"v\":\"one\"}}", "[\"table\",\"t\"]")]
    [InlineData("{\"table\":\"t\",\"row\":{\"id\":1,\"v\":\"one\"}}", "{\"drop\":\"table\",\"name\":null}")]
    [InlineData("{\"table\":\"t\",\"row\":{\"id\":1,\"v\":\"one\"}}",
        "{\"table\":\"fts5vocab\",\"row\":{\"term\":\"x\"}}")]
    [InlineData("{\"table\":\"t\",\"row\":{\"id\":1,\"v\":\"one\"}}",
        "{\"table\":\"sqlite_stat1\",\"row\":{\"tbl\":\"t\"}}")]
    [InlineData("{\"table\":\"t\",\"row\":{\"id\":1,\"v\":\"one\"}}",
        "{\"table\":\"sqlite_schema\",\"row\":{\"type\":\"table\",\"name\":\"x\",\"rootpage\":2,\"sql\":\"\"}}")]
    public void A_backup_that_would_do_something_else_is_refused(string good, string bad)
    {
        Assert.Contains(good, Good);
        var refused = Assert.Throws<RecoveryException>(() => Import(Sealed(Good.Replace(good, bad))));
        Assert.True(refused.Error is RecoveryError.Corrupt or RecoveryError.Invalid, refused.ToString());
        Assert.Equal(["app.db", "backup.jsonl"], Directory.GetFiles(root).Select(Path.GetFileName).Order());
    }

    /// <summary>The last line is read by a program too: what it lacks is no crash.</summary>
    [Theory]
    [InlineData("\"tables\":[{\"name\":\"t\",\"rows\":2}],", "")]
    [InlineData("\"tables\":[{\"name\":\"t\",\"rows\":2}],", "\"tables\":[null],")]
    [InlineData("\"tables\":[{\"name\":\"t\",\"rows\":2}],", "\"tables\":[{\"rows\":2}],")]
    [InlineData("\"lines\":2,", "\"lines\":1e99,")]
    [InlineData("{\"end\":true,", "{\"end\":true,[")]
    public void A_strange_last_line_is_refused(string good, string bad)
    {
        var file = Sealed(Good);
        var text = File.ReadAllText(file);
        Assert.Contains(good, text);
        File.WriteAllText(file, text.Replace(good, bad));
        Assert.Equal(RecoveryError.Corrupt, Assert.Throws<RecoveryException>(() => Import(file)).Error);
    }

    /// <summary>Each form of line is a statement that was prepared, of some kilobytes.</summary>
    [Fact]
    public void As_many_forms_of_lines_as_there_can_be_take_no_memory_without_end()
    {
        const int columns = 12;
        var names = Enumerable.Range(0, columns).Select(i => $"c{i}").ToList();
        var text = new StringBuilder(Good.ReplaceLineEndings("\n").Split('\n')[0]
            .Replace("id INTEGER PRIMARY KEY, v", string.Join(',', names))
            .Replace(",{\"type\":\"index\",\"name\":\"i\",\"table\":\"t\",\"sql\":\"CREATE INDEX i ON t(v)\"}", ""));
        for (var form = 1; form < 1 << columns; form++)
            text.Append("\n{\"table\":\"t\",\"row\":{")
                .AppendJoin(',', names.Where((_, i) => (form >> i & 1) != 0).Select(n => $"\"{n}\":1")).Append("}}");
        var file = Sealed(text.ToString());
        var before = raw.sqlite3_memory_used();
        var most = 0L;
        using (var watching = new Timer(_ => most = Math.Max(most, raw.sqlite3_memory_used()), null, 0, 1))
            Import(file);
        Assert.InRange(most - before, 0, 64 << 20);
        using var connection = new Connection(Path.Combine(root, "app.db"));
        Assert.Equal($"{(1 << columns) - 1}", connection.Ask("SELECT count(*) FROM t"));
    }

    /// <summary>Asked whether it is a backup, a file is not read for a line that never ends.</summary>
    [Fact]
    public void What_is_no_backup_is_seen_by_its_first_bytes_and_a_pipe_is_refused()
    {
        var zeros = Path.Combine(root, "zeros");
        using (var file = File.Create(zeros)) file.SetLength(1L << 40);
        var before = GC.GetAllocatedBytesForCurrentThread();
        Assert.Null(BackupReader.TryOpen(zeros));
        Assert.Null(PairsReader.TryOpen(zeros));
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 16 << 20);
        var pipe = Path.Combine(root, "pipe");
        using (var made = System.Diagnostics.Process.Start("mkfifo", [pipe])) made.WaitForExit();
        Assert.Throws<IOException>(() => BackupReader.TryOpen(pipe));
        Assert.Throws<IOException>(() => PairsReader.TryOpen(pipe));
    }

    [Theory]
    [InlineData("{\"family\":\"other\",\"key\":\"a\",\"value\":\"b\"}")]
    [InlineData("{\"family\":null,\"key\":\"a\",\"value\":\"b\"}")]
    [InlineData("{\"family\":\"default\",\"key\":\"a\",\"value\":\"b\",\"value\":\"c\"}")]
    [InlineData("{\"family\":\"default\",\"key\":\"a\",\"value\":1}")]
    [InlineData("{\"family\":\"default\",\"key\":\"a\",\"value\":{\"blob\":\"!\"}}")]
    [InlineData("{\"family\":\"default\",\"key\":\"\\ud800\",\"value\":\"b\"}")]
    [InlineData("{}")]
    [InlineData("[]")]
    [InlineData("")]
    public void Pairs_of_another_form_are_refused(string line)
    {
        var refused = Assert.Throws<RecoveryException>(() => PairsReader.Verify(SealedPairs(["default"], line)));
        Assert.Equal(RecoveryError.Corrupt, refused.Error);
        Assert.Equal(1, PairsReader.Verify(SealedPairs(["default"],
            "{\"family\":\"default\",\"key\":\"a\",\"value\":{\"blob\":\"AAH/\"}}")).End.Lines);
    }

    [Fact]
    public void More_families_than_any_RocksDB_has_are_refused() => Assert.Contains("families",
        Assert.Throws<RecoveryException>(() => PairsReader.Verify(SealedPairs(
            [.. Enumerable.Range(0, PairsHeader.MaxFamilies + 1).Select(i => $"f{i}")]))).Message);

    string SealedPairs(string[] families, params string[] lines)
    {
        var list = string.Join(',', families.Select(f => $"\"{f}\""));
        var text = """{"format":"recovery-pairs","version":1,"kind":"full","sequence":1"""
            + $$""","time":"2026-01-01T00:00:00Z","families":[{{list}}]}""" + "\n"
            + string.Concat(lines.Select(l => l + "\n"));
        var counts = families.Length == 1 ? $"{{\"name\":\"default\",\"pairs\":{lines.Length}}}" : "";
        var file = Path.Combine(root, "pairs.jsonl");
        var sha = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)));
        File.WriteAllText(file, text
            + $$"""{"end":true,"lines":{{lines.Length}},"families":[{{counts}}],"sha256":"{{sha}}"}""" + "\n");
        return file;
    }

    [Fact]
    public void Random_changes_are_taken_or_refused() => Seeds.RunFor(3, 1, (seed, _) =>
    {
        var random = new Random(seed);
        var text = new StringBuilder(Good.ReplaceLineEndings("\n"));
        string[] pieces = ["null", "\"", "{", "}", "[]", "1e999", "-1", "\"t\"", ":", ",", "\\u0000", "''", "CREATE ",
            ";", "\\ud800", "{\"blob\":\"AA==\"}", "{\"real\":", "\"rowid\"", "\"row\"", "\"key\"",
            "\"op\":\"delete\",", "\"drop\"", "sqlite_sequence", "VIRTUAL "];
        for (var n = random.Next(1, 4); n > 0; n--)
        {
            var at = random.Next(40, text.Length);
            if (random.Next(2) == 0) text.Remove(at, Math.Min(random.Next(1, 12), text.Length - at));
            text.Insert(Math.Min(at, text.Length), pieces[random.Next(pieces.Length)]);
        }
        try
        {
            Import(Sealed(text.ToString()));
        }
        catch (RecoveryException e)
        {
            Assert.NotEmpty(e.Message);
        }
        foreach (var file in Directory.GetFiles(root, "app.db*")) File.Delete(file);
    });

    /// <summary>Who may write to a directory that is watched may put a pipe there.</summary>
    [Fact]
    public async Task What_is_no_file_of_its_own_is_no_database()
    {
        using (var made = System.Diagnostics.Process.Start("mkfifo", [Path.Combine(root, "pipe.db")]))
            await made.WaitForExitAsync();
        var victim = Path.Combine(root, "victim");
        File.WriteAllText(victim, "SQLite format 3\0 and more");
        File.CreateSymbolicLink(Path.Combine(root, "link.db"), victim);
        foreach (var name in (string[])["pipe.db", "link.db"])
            Assert.False(await Task.Run(() => DirectoryLook.IsDatabase(Path.Combine(root, name)))
                .WaitAsync(TimeSpan.FromMinutes(1)));
        Assert.True(DirectoryLook.IsDatabase(victim));
    }

    /// <summary>SQLite deletes what a journal calls its super-journal, when nothing that this names is there.</summary>
    [Fact]
    public async Task A_journal_beside_an_imported_database_has_nothing_deleted_and_is_not_waited_for()
    {
        Recovery.Register();
        var (plain, victim) = (Path.Combine(root, "plain.db"), Path.Combine(root, "victim"));
        using (var connection = new SqliteConnection($"Data Source={plain};Pooling=False"))
        {
            connection.Open();
            Shipped.Execute(connection, "CREATE TABLE t(x); INSERT INTO t VALUES (1)");
        }
        File.WriteAllText(victim, "precious\0");
        File.WriteAllBytes(plain + "-journal", HotJournal.Of(new FileInfo(plain).Length, victim));
        try
        {
            Recovery.Import(plain, Path.Combine(root, "one.db"));
        }
        catch (RecoveryException e)
        {
            Assert.NotEmpty(e.Message);
        }
        Assert.Equal("precious\0", File.ReadAllText(victim));
        Recovery.Import(plain, Path.Combine(root, "two.db"));
        using (var made = System.Diagnostics.Process.Start("mkfifo", [plain + "-journal"]))
            await made.WaitForExitAsync();
        await Assert.ThrowsAsync<RecoveryException>(() => Task.Run(() =>
            Recovery.Import(plain, Path.Combine(root, "three.db"))).WaitAsync(TimeSpan.FromMinutes(2)));
        Shipped.Close();
    }
}
