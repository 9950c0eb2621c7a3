using System.Globalization;
using System.Text.Json;
using Microsoft.Data.Sqlite;

namespace RecoveryVfs.Cli.Tests;

/// <summary>
/// <c>recovery diff</c>, <c>history</c> and <c>at</c>: rows of the past, and what takes changes back.
/// </summary>
public sealed class PastTests(Shipped shipped) : IClassFixture<Shipped>
{
    [Fact]
    public void A_difference_is_shown_counted_and_written_as_json()
    {
        string[] between =
            ["diff", shipped.Remote, "--database", "a.db", "--from", $"{shipped.Lsns[0]}", "--to",
            $"{shipped.Lsns[2]}"];
        Assert.Equal("+ t(id=2, v='row 2')\n+ t(id=3, v='row 3')\n", Recover.Run(between).MustEndWith(0).Output);
        var counts = Recover.Run([.. between, "--stat", "--json"]).MustEndWith(0).Json;
        Assert.Equal(2, counts.GetProperty("tables")[0].GetProperty("inserted").GetInt32());
        var line = Recover.Run([.. between, "--table", "T", "--where-key", "3", "--json"]).MustEndWith(0).Output;
        Assert.Equal("""{"table":"t","op":"insert","key":{"id":3},"before":null,"after":{"id":3,"v":"row 3"}}""" + "\n", line);
        // A directory stands for its remote.
        Assert.Contains("row 5", Recover.Run("diff", shipped.Data, "--database", "a.db", "--from", $"{shipped.Lsns[3]}")
            .MustEndWith(0).Output);
    }

    [Fact]
    public void A_store_without_a_remote_answers_itself_and_says_how_far_back_it_reaches()
    {
        var data = Directory.CreateTempSubdirectory("recovery-past-test-").FullName;
        try
        {
            long first, second;
            using (var db =
                new SqliteConnection($"Data Source=file:{data}/a.db?vfs=recovery&remote=none;Pooling=false"))
            {
                db.Open();
                object? Do(string sql)
                {
                    using var command = new SqliteCommand(sql, db);
                    return command.ExecuteScalar();
                }
                Do("CREATE TABLE t(id INTEGER PRIMARY KEY, v)");
                Do("INSERT INTO t VALUES(1, 'a')");
                first = long.Parse((string)Do("PRAGMA recovery_lsn")!, CultureInfo.InvariantCulture);
                Do("UPDATE t SET v = 'b'");
                // While it is open.
                Assert.Equal("~ t(id=1, v='a' -> 'b')\n",
                    Recover.Run("diff", data, "--from", $"{first}").MustEndWith(0).Output);
                Do("PRAGMA recovery_checkpoint");
                second = long.Parse((string)Do("PRAGMA recovery_lsn")!, CultureInfo.InvariantCulture);
                Do("UPDATE t SET v = 'c'");
                Assert.Equal("~ t(id=1, v='b' -> 'c')\n",
                    Recover.Run("diff", data, "--from", $"{second}").MustEndWith(0).Output);
                Assert.Contains("v='c'",
                    Recover.Run("history", data, "--table", "t", "--key", "1").MustEndWith(0).Output);
                var tooFar = Recover.Run("diff", data, "--from", $"{first}").MustEndWith(3).Errors;
                Assert.Contains("reach back to LSN", tooFar);
                Assert.Contains("no remote", tooFar);
            }
            Recovery.CloseIdleStores();
        }
        finally
        {
            Directory.Delete(data, recursive: true);
        }
    }

    [Fact]
    public void What_is_asked_for_wrongly_is_refused_with_what_to_write()
    {
        Assert.Contains("--from", Recover.Run("diff", shipped.Remote, "--database", "a.db").MustEndWith(2).Errors);
        Assert.Contains("one of them",
            Recover.Run("diff", shipped.Remote, "--database", "a.db", "--from", "1", "--sql", "--stat").MustEndWith(2)
            .Errors);
        Assert.Contains("a.db", Recover.Run("diff", shipped.Remote, "--database", "x.db", "--from", "1").MustEndWith(3)
            .Errors);
        Assert.Contains("no table u",
            Recover.Run("history", shipped.Remote, "--database", "a.db", "--table", "u", "--key", "1").MustEndWith(3)
            .Errors);
        Assert.Contains("one integer",
            Recover.Run("history", shipped.Remote, "--database", "a.db", "--table", "t", "--key", "x").MustEndWith(2)
            .Errors);
        Assert.Contains("would write",
            Recover.Run("at", shipped.Remote, "--database", "a.db", "--lsn", $"{shipped.Lsns[0]}", "-q",
            "DELETE FROM t").MustEndWith(2).Errors);
    }

    [Fact]
    public void A_select_answers_as_the_shell_does()
    {
        string[] at = ["at", shipped.Remote, "--lsn", $"{shipped.Lsns[1]}", "--query"];
        Assert.Equal("1|row 1\n2|row 2\n", Recover.Run([.. at, "SELECT * FROM t", "--database", "a.db"]).MustEndWith(0)
            .Output);
        Assert.Equal("id,n\r\n1,\"a \"\"b\"\"\"\r\n",
            Recover.Run([.. at, "SELECT id, 'a \"b\"' AS n FROM t LIMIT 1", "--database", "a.db", "--csv", "--header"])
            .MustEndWith(0).Output);
        var json = Recover.Run([.. at, "SELECT id, v, 1.0 AS r, NULL AS n FROM t", "--database", "a.db", "--json"])
            .MustEndWith(0);
        Assert.Equal(
            "[{\"id\":1,\"v\":\"row 1\",\"r\":1.0,\"n\":null},\n{\"id\":2,\"v\":\"row 2\",\"r\":1.0,\"n\":null}]\n",
            json.Output);
        // A database in WAL mode, whose rows no checkpoint has brought into the main file.
        Assert.Equal("3\n",
            Recover.Run("at", shipped.Remote, "--timestamp", "now", "-q", "SELECT count(*) FROM t", "--database",
            "w.db").MustEndWith(0).Output);
    }

    [Fact]
    public void Every_version_of_a_row_is_told_with_its_commit()
    {
        var place = shipped.Place("history");
        Directory.CreateDirectory(place);
        var remote = "file://" + shipped.Place("history-remote");
        using (var connection = Shipped.Open(place, "h.db", "&remote=" + Uri.EscapeDataString(remote)))
        {
            foreach (var sql in (string[])[
                "CREATE TABLE stock(place TEXT, part INT, n REAL, PRIMARY KEY(place, part)) WITHOUT ROWID",
                "INSERT INTO stock VALUES('oslo', 7, 1.5)",
                "INSERT INTO stock VALUES('rome', 7, 2)", "UPDATE stock SET n = 4 WHERE place = 'oslo'",
                    "DELETE FROM stock WHERE place = 'oslo'", "PRAGMA recovery_sync"])
                Shipped.Execute(connection, sql);
        }
        Shipped.Close();
        var told = Recover.Run("history", remote, "--table", "stock", "--key", "[\"oslo\", 7]", "--json").MustEndWith(0)
            .Output.TrimEnd().Split('\n')
            .Select(l => JsonDocument.Parse(l).RootElement).ToList();
        Assert.Equal(["1.5", "4.0", "null"],
            told.Select(v => v.GetProperty("row") is { ValueKind: JsonValueKind.Object } row ? row.GetProperty("n")
            .GetRawText() : "null"));
        Assert.Equal(told.Select(v => v.GetProperty("lsn").GetUInt64()).Order(),
            told.Select(v => v.GetProperty("lsn").GetUInt64()));
        Assert.Contains("deleted", Recover.Run("history", remote, "--table", "stock", "--key", "[\"oslo\", 7]")
            .MustEndWith(0).Output);
        Recover.Run("history", remote, "--table", "stock", "--key", "[\"bonn\", 1]").MustEndWith(3);
    }

    [Fact]
    public void A_patch_leads_forward_and_its_undoing_back_with_foreign_keys_on()
    {
        var place = shipped.Place("patch");
        Directory.CreateDirectory(place);
        var remote = "file://" + shipped.Place("patch-remote");
        ulong before, after;
        using (var connection = Shipped.Open(place, "p.db", "&remote=" + Uri.EscapeDataString(remote)))
        {
            Shipped.Execute(connection, """
                PRAGMA foreign_keys=1;
                CREATE TABLE customers(id INTEGER PRIMARY KEY, name TEXT NOT NULL);
                CREATE TABLE orders(id INTEGER PRIMARY KEY AUTOINCREMENT, customer INT NOT NULL REFERENCES customers ON DELETE CASCADE, total REAL, note BLOB);
                CREATE TABLE log(said TEXT);
                CREATE TRIGGER told AFTER DELETE ON orders BEGIN INSERT INTO log VALUES('deleted ' || old.id); END;
                INSERT INTO customers VALUES(1, 'it''s'), (2, 'b');
                INSERT INTO orders(customer, total, note) VALUES(1, 1e300, x'00ff'), (2, -0.0, 'text'), (1, 3, NULL);
                """);
            before = ulong.Parse(Shipped.Scalar(connection, "PRAGMA recovery_lsn"), CultureInfo.InvariantCulture);
            Shipped.Execute(connection,
                "PRAGMA foreign_keys=1; DELETE FROM customers WHERE id = 1; INSERT INTO customers VALUES(3, 'c'); "
                    + "UPDATE orders SET total = 9e999");
            after = ulong.Parse(Shipped.Scalar(connection, "PRAGMA recovery_lsn"), CultureInfo.InvariantCulture);
            Shipped.Execute(connection, "PRAGMA recovery_sync");
        }
        Shipped.Close();
        var (a, b) = (shipped.Place("a"), shipped.Place("b"));
        Recover.Run("restore", remote, "-o", a, "--lsn", $"{before}").MustEndWith(0);
        Recover.Run("restore", remote, "-o", b, "--lsn", $"{after}").MustEndWith(0);
        var (wasA, wasB) = (Dump(a), Dump(b));
        Assert.NotEqual(wasA, wasB);
        string[] between = ["diff", remote, "--from", $"{before}", "--to", $"{after}"];
        var (patch, undo) =
            (Recover.Run([.. between, "--sql"]).MustEndWith(0).Output,
            Recover.Run([.. between, "--undo-sql"]).MustEndWith(0).Output);
        Apply(a, patch);
        Apply(b, undo);
        Assert.Equal(wasB, Dump(a));
        Assert.Equal(wasA, Dump(b));
    }

    static SqliteConnection Plain(string file)
    {
        var connection = new SqliteConnection($"Data Source={file};Pooling=False;Foreign Keys=True");
        connection.Open();
        return connection;
    }

    static void Apply(string file, string sql)
    {
        using var connection = Plain(file);
        Shipped.Execute(connection, sql);
    }

    static string Dump(string file)
    {
        using var connection = Plain(file);
        Assert.Equal("ok", Shipped.Scalar(connection, "PRAGMA integrity_check"));
        return Shipped.Scalar(connection, """
            SELECT (SELECT group_concat(sql, ';') FROM sqlite_schema) || (SELECT coalesce(group_concat(id || name), '') FROM customers)
                || (SELECT coalesce(group_concat(id || customer || quote(total) || quote(note)), '') FROM orders) || (SELECT coalesce(group_concat(said), '') FROM log)
                || (SELECT group_concat(quote(seq)) FROM sqlite_sequence)
            """);
    }
}
