using System.Text;
using System.Text.Json;
using RecoveryVfs.Changes.Backups;
using RecoveryVfs.Cli.Backups;
using RecoveryVfs.Operations;
using RecoveryVfs.PageStore.Past;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Remote.Read;
using RecoveryVfs.Rows.Tests;

namespace RecoveryVfs.Cli.Tests;

using Sqlite = Rows.Tests.Sqlite;

/// <summary>
/// Backups as JSON lines: nothing of a value is lost, increments are real, and what does not verify is not taken.
/// </summary>
public sealed class BackupTests : IDisposable
{
    readonly string root = Directory.CreateTempSubdirectory("recovery-backups-").FullName;

    public BackupTests()
    {
        SQLitePCL.Batteries_V2.Init();
        Recovery.Register();
    }

    public void Dispose()
    {
        Recovery.CloseIdleStores();
        Directory.Delete(root, recursive: true);
    }

    string Place(string name) => Path.Combine(root, name);

    string Remote(string name) => "file://" + Place(name);

    string Store(string directory, string database, string? remote = null)
    {
        Directory.CreateDirectory(Place(directory));
        return $"file:{Place(directory)}/{database}"
            + $"?vfs=recovery&sync-interval=20{(remote is null ? "" : "&remote=" + Uri.EscapeDataString(remote))}";
    }

    static void Import(string name, ExistingDatabase existing, params string[] files)
    {
        using var connection = new Connection(name);
        new RowImport(connection, existing).Run(files);
    }

    static List<string> Said(Sqlite db)
    {
        var said = db.Query(
            "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite%'")
            .ConvertAll(r => string.Join("|", r));
        foreach (var (name, table) in Model.Of(db).Tables)
            if (!name.StartsWith("sqlite_stat", StringComparison.Ordinal))
                said.AddRange(
                    table.Rows.Select(r => $"{name}: {(name == "sqlite_sequence" ? string.Join("|", r.Values) : r)}"));
        said.Sort(StringComparer.Ordinal);
        return said;
    }

    [Fact]
    public void A_database_that_SQLite_could_not_read_either_is_damaged_not_merely_failed()
    {
        using (var db = new Sqlite(Store("torn", "a.db")))
        {
            foreach (var sql in (string[])["CREATE TABLE t(a)", "INSERT INTO t VALUES (1)",
                "PRAGMA writable_schema=ON", "UPDATE sqlite_master SET rootpage=4711"])
                db.Do(sql);
        }
        Recovery.CloseIdleStores();
        var outcome = Recover.Run("export", Place("torn/a.db"), "--format", "jsonl", "-o", Place("torn.jsonl"));
        outcome.MustEndWith(4);
        Assert.Contains("is damaged", outcome.Errors);
        Assert.False(File.Exists(Place("torn.jsonl")));
    }

    [Fact]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void A_full_backup_and_its_increments_give_the_database_that_SQLite_had() => Seeds.Run(4, random =>
    {
        var name = Guid.NewGuid().ToString("N")[..6];
        var files = new List<string>();
        List<string> said;
        using (var database =
            new RandomDatabase(random, name: Store(name, "a.db", Remote(name + "-remote")),
            journal: random.Next(2) == 0 ? "WAL" : "DELETE"))
        {
            for (var i = 0; i < 4; i++)
            {
                for (var n = random.Next(1, 4); n > 0; n--) database.Commit(random.Next(1, 20));
                database.Db.Do("PRAGMA recovery_sync");
                files.Add(Export(Remote(name + "-remote"), files.LastOrDefault()));
            }
            said = Said(database.Db);
        }
        BackupReader.VerifyChain(files);
        Import(Store(name, "b.db"), ExistingDatabase.Fail, [.. files]);
        using (var b = new Sqlite(Store(name, "b.db"))) Assert.Equal(said, Said(b));
        // The same in two steps, and over what is there.
        Import(Store(name, "b.db"), ExistingDatabase.Replace, files[0], files[1]);
        Import(Store(name, "b.db"), ExistingDatabase.Merge, files[2], files[3]);
        using (var b = new Sqlite(Store(name, "b.db"))) Assert.Equal(said, Said(b));
        Assert.Throws<RecoveryException>(() => Import(Store(name, "b.db"), ExistingDatabase.Fail, files[0]));
        Assert.Contains("missing",
            Assert.Throws<RecoveryException>(() => BackupReader.VerifyChain([files[0], files[2]])).Message);
    });

    [Fact]
    public void An_increment_knows_that_VACUUM_has_numbered_rows_anew()
    {
        var (name, files) = ("vacuumed", new List<string>());
        List<string> said;
        using (var db = new Sqlite(Store(name, "a.db", Remote("vacuumed-remote"))))
        {
            void Next(string sql)
            {
                foreach (var statement in sql.Split(';')) db.Do(statement);
                db.Do("PRAGMA recovery_sync");
                files.Add(Export(Remote("vacuumed-remote"), files.LastOrDefault()));
            }
            Next("CREATE TABLE t(v);CREATE INDEX i ON t(v);INSERT INTO t VALUES(1),(2),(3),(4),(5);"
                + "DELETE FROM t WHERE v < 3");
            Next("VACUUM");
            Next("DELETE FROM t WHERE v = 4;INSERT INTO t VALUES(6)");
            said = Said(db);
        }
        Import(Store(name, "b.db"), ExistingDatabase.Fail, [.. files]);
        using (var b = new Sqlite(Store(name, "b.db"))) Assert.Equal(said, Said(b));
    }

    string Export(string url, string? since)
    {
        var file = Place(Guid.NewGuid().ToString("N") + ".jsonl");
        using var target = File.Create(file);
        var export = new RowExport(RowExportFormat.Jsonl, null, target);
        var remote = new RemotePastSource(RemoteAccess.Open(url).Context);
        if (since is null)
            export.WritePastAsync(remote, "a.db", RestoreTarget.Newest, default).GetAwaiter().GetResult();
        else
        {
            var earlier = BackupReader.Verify(since);
            export.WriteSinceAsync(remote, "a.db", RestoreTarget.At(earlier.Header.Lsn), earlier, RestoreTarget.Newest,
                default).GetAwaiter().GetResult();
        }
        return file;
    }

    [Theory]
    [InlineData("UTF-8")]
    [InlineData("UTF-16le")]
    [InlineData("UTF-16be")]
    public void Every_value_comes_back_as_it_was(string encoding)
    {
        List<string> said;
        using (var db = new Sqlite(Store("values", "a.db")))
        {
            db.Do($"PRAGMA encoding='{encoding}'");
            db.Do("CREATE TABLE v(id INTEGER PRIMARY KEY, x, made AS (id + 1) STORED, virt AS (id * 2) VIRTUAL)");
            foreach (var value in (object?[])[null, 0L, long.MinValue, long.MaxValue, 9007199254740993L, -0.0, 1.0, 0.1,
                5e-324, double.MaxValue, double.PositiveInfinity, double.NegativeInfinity,
                "", "a\"b\\\n\t'", "漢字 🙂", new byte[] { 0, 255 }])
                db.Do("INSERT INTO v(x) VALUES(?)", value);
            db.Do("INSERT INTO v(x) VALUES(zeroblob(0)), (CAST(x'410042' AS TEXT)), (CAST(x'c328ff41' AS TEXT)), "
                + "(CAST(x'00d8' AS TEXT)), ('a' || char(0) || 'b')");
            db.Do("CREATE TABLE keyless(a, b); INSERT INTO keyless VALUES(1, 2)".Split(';')[0]);
            db.Do("INSERT INTO keyless(rowid, a) VALUES(7, 1), (99, 'x')");
            db.Do("CREATE TABLE auto(id INTEGER PRIMARY KEY AUTOINCREMENT, t TEXT)");
            db.Do("INSERT INTO auto(id) VALUES(50)");
            db.Do("DELETE FROM auto");
            db.Do("CREATE VIRTUAL TABLE words USING fts5(said)");
            db.Do("INSERT INTO words VALUES('hello world')");
            db.Do("CREATE VIEW w AS SELECT x FROM v");
            db.Do("CREATE TRIGGER g AFTER INSERT ON keyless BEGIN DELETE FROM v; END");
            said = Bytes(db);
        }
        Recovery.CloseIdleStores();
        var file = Place(encoding + ".jsonl");
        Recover.Run("export", Path.Combine(Place("values"), "a.db"), "--format", "jsonl", "-o", file).MustEndWith(0);
        Assert.All(File.ReadLines(file), l => JsonDocument.Parse(l));
        Assert.Equal(File.ReadAllText(file).Replace("\"time\"", "", StringComparison.Ordinal).Length,
            Encoding.UTF8.GetString(File.ReadAllBytes(file)).Length - 6);
        Recover.Run("verify", file).MustEndWith(0);
        Recover.Run("import", file, Path.Combine(Place("values"), "b.db")).MustEndWith(0);
        using (var db = new Sqlite(Store("values", "b.db")))
        {
            Assert.Equal(said, Bytes(db));
            Assert.Equal("ok", db.Query("PRAGMA integrity_check")[0][0]);
            Assert.Equal(1L, db.Query("SELECT count(*) FROM words WHERE words MATCH 'world'")[0][0]);
            Assert.Equal(50L, db.Query("SELECT seq FROM sqlite_sequence")[0][0]);
        }
    }

    /// <summary>Each value by its bytes, whatever they mean.</summary>
    static List<string> Bytes(Sqlite db) =>
    [
        .. db.Query("SELECT id, typeof(x), hex(CAST(x AS BLOB)), quote(x), made, virt FROM v")
        .Select(r => string.Join("|", r)),
        .. db.Query("SELECT rowid, a, b FROM keyless").Select(r => string.Join("|", r)),
        .. db.Query("SELECT type, name, sql FROM sqlite_master ORDER BY type, name").Select(r => string.Join("|", r)),
    ];

    [Fact]
    public void What_does_not_verify_is_not_imported()
    {
        using (var db = new Sqlite(Store("plain", "a.db")))
        {
            db.Do("CREATE TABLE t(id INTEGER PRIMARY KEY, v)");
            for (var i = 0; i < 50; i++) db.Do("INSERT INTO t(v) VALUES(?)", $"row {i}");
        }
        Recovery.CloseIdleStores();
        var (source, file) = (Path.Combine(Place("plain"), "a.db"), Place("whole.jsonl"));
        Recover.Run("export", source, "--format", "jsonl", "-o", file).MustEndWith(0);
        var whole = File.ReadAllBytes(file);
        var damaged = Place("damaged.jsonl");
        var random = new Random(5);
        for (var i = 0; i < 200; i++)
        {
            var bytes = whole.ToArray();
            if (i % 4 == 0) bytes = bytes[..random.Next(1, bytes.Length)];
            else if (i % 4 == 1) bytes = [.. bytes, .. "{}\n"u8];
            else bytes[random.Next(40, bytes.Length - 1)] ^= (byte)(1 << random.Next(8));
            File.WriteAllBytes(damaged, bytes);
            var error = Assert.ThrowsAny<Exception>(() => BackupReader.Verify(damaged));
            Assert.True(error is RecoveryException or JsonException, error.ToString());
        }
        Assert.Contains("damaged", Recover.Run("import", damaged, Path.Combine(Place("plain"), "new.db")).MustEndWith(4)
            .Errors);
        Assert.False(File.Exists(Path.Combine(Place("plain"), "new.db")));
        Assert.Contains("--into-existing", Recover.Run("import", file, source).MustEndWith(2).Errors);
    }

    /// <summary>A database that rows are merged into keeps what is its own, and what they did elsewhere is not done
    /// again.</summary>
    [Fact]
    public void A_merge_keeps_the_targets_own_triggers_and_fires_none()
    {
        using (var db = new Sqlite(Store("theirs", "a.db", Remote("theirs-remote"))))
        {
            db.Do("CREATE TABLE t(id INTEGER PRIMARY KEY, v)");
            db.Do("CREATE TABLE u(id INTEGER PRIMARY KEY)");
            foreach (var name in (string[])["shared", "leaves"])
                db.Do($"CREATE TRIGGER {name} AFTER INSERT ON t BEGIN UPDATE t SET v = 'theirs'; END");
            db.Do("PRAGMA recovery_sync");
        }
        var full = Export(Remote("theirs-remote"), null);
        using (var db = new Sqlite(Store("ours", "b.db"))) db.Do("CREATE TABLE first(a)");
        Import(Store("ours", "b.db"), ExistingDatabase.Merge, full);
        using (var db = new Sqlite(Store("ours", "b.db")))
        {
            db.Do("CREATE TABLE seen(id)");
            db.Do("CREATE VIEW w AS SELECT id FROM t");
            db.Do("DROP TRIGGER shared");
            db.Do("CREATE TRIGGER shared AFTER INSERT ON t BEGIN UPDATE t SET v = 'ours'; END");
            foreach (var (name, on) in ((string, string)[])[("own", "AFTER INSERT ON t"),
                ("of a view", "INSTEAD OF INSERT ON w"), ("gone", "AFTER INSERT ON u")])
                db.Do($"CREATE TRIGGER \"{name}\" {on} BEGIN INSERT INTO seen VALUES(NEW.id); END");
        }
        using (var db = new Sqlite(Store("theirs", "a.db", Remote("theirs-remote"))))
        {
            db.Do("DROP TRIGGER leaves");
            db.Do("DROP TABLE u");
            db.Do("DROP TRIGGER shared");
            db.Do("CREATE TRIGGER shared AFTER DELETE ON t BEGIN UPDATE t SET v = 'theirs'; END");
            db.Do("INSERT INTO t VALUES(1, 'x'), (2, 'y')");
            db.Do("PRAGMA recovery_sync");
        }
        Import(Store("ours", "b.db"), ExistingDatabase.Merge, Export(Remote("theirs-remote"), full));
        using (var db = new Sqlite(Store("ours", "b.db")))
        {
            Assert.Equal(["of a view", "own", "shared"],
                db.Names("SELECT name FROM sqlite_schema WHERE type = 'trigger' ORDER BY name"));
            Assert.Equal(["x", "y"], db.Names("SELECT v FROM t ORDER BY id"));
            Assert.Equal(0L, db.Query("SELECT count(*) FROM seen")[0][0]);
            Assert.Contains("AFTER DELETE", db.Names("SELECT sql FROM sqlite_schema WHERE name = 'shared'")[0]);
            db.Do("INSERT INTO t VALUES(3, 'z')");
            db.Do("INSERT INTO w VALUES(4)");
            Assert.Equal([3L, 4L], db.Query("SELECT id FROM seen ORDER BY id").ConvertAll(r => r[0]));
        }
    }

    [Fact]
    public void Rows_go_out_as_csv_and_as_statements()
    {
        using (var db = new Sqlite(Store("forms", "a.db")))
        {
            db.Do("CREATE TABLE t(id INTEGER PRIMARY KEY, v, w REAL)");
            db.Do("INSERT INTO t VALUES(1, 'a,\"b\"', 1), (2, x'00ff', NULL)");
            db.Do("CREATE TABLE u(x)");
        }
        Recovery.CloseIdleStores();
        var source = Path.Combine(Place("forms"), "a.db");
        Assert.Equal("id,v,w\r\n1,\"a,\"\"b\"\"\",1.0\r\n2,00ff,\r\n",
            Recover.Run("export", source, "--format", "csv", "--table", "t", "-o", "-").MustEndWith(0).Output);
        Assert.Contains("t, u", Recover.Run("export", source, "--format", "csv", "-o", "-").MustEndWith(2).Errors);
        var plain = Place("plain.db");
        using var target = new Sqlite(plain);
        target.Script(Recover.Run("export", source, "--format", "sql", "-o", "-").MustEndWith(0).Output);
        Assert.Equal([1L, "a,\"b\"", 1.0], target.Query("SELECT * FROM t WHERE id = 1")[0]);
        Assert.Equal(2, target.Names("SELECT name FROM sqlite_master").Count);
    }
}
