using RecoveryVfs.Rows.Tests;

namespace RecoveryVfs.Changes.Tests;

/// <summary>The past in SQL: table-valued functions on every connection.</summary>
public sealed class FunctionTests : IDisposable
{
    readonly ShippedHistory history = new();

    public void Dispose() => history.Dispose();

    [Fact]
    public void The_past_of_a_table_is_asked_in_SQL()
    {
        using var db = new Sqlite(history.NameOf("a.db"));
        db.Do("CREATE TABLE orders(id INTEGER PRIMARY KEY, v TEXT)");
        db.Do("INSERT INTO orders VALUES(1, 'a'), (2, 'b')");
        var first = (long)ShippedHistory.LsnOf(db);
        db.Do("UPDATE orders SET v = 'c' WHERE id = 1");
        var second = (long)ShippedHistory.LsnOf(db);
        db.Do("CREATE TABLE other(x)");
        db.Do("DELETE FROM orders WHERE id = 2");
        // All of it is seen though nobody has waited for the remote.
        Assert.Equal(
        [
            $"{second}|update|{{\"id\":1}}|{{\"id\":1,\"v\":\"a\"}}|{{\"id\":1,\"v\":\"c\"}}",
            $"{(long)ShippedHistory.LsnOf(db)}|delete|{{\"id\":2}}|{{\"id\":2,\"v\":\"b\"}}|",
        ], Said(db, "SELECT lsn, op, key, before, after FROM recovery_changes('orders', ?)", first));
        Assert.Equal(["update|c", "delete|"],
            Said(db, "SELECT op, after ->> 'v' FROM recovery_diff('orders', ?, 'now')", first));
        Assert.Equal(["insert|c"],
            Said(db, "SELECT op, after ->> 'v' FROM recovery_diff('orders', 1, ?) WHERE key ->> 'id' = 1", second));
        Assert.Equal(["a", "c"], Said(db, "SELECT row ->> 'v' FROM recovery_history('orders', 1)"));
        Assert.Equal(["1|a", "2|b"], Said(db, "SELECT key ->> 'id', row ->> 'v' FROM recovery_at('orders', ?)", first));
        // What is there now beside what was: a join with the table itself.
        Assert.Equal(["1|c|a"],
            Said(db, "SELECT o.id, o.v, past.row ->> 'v' FROM orders o JOIN recovery_at('orders', ?) past ON past.key "
                + "->> 'id' = o.id", first));
        Assert.Equal(["orders", "other", "orders"],
            Said(db, "SELECT tables FROM recovery_log(?) WHERE kind = 'commit'", first));
        Assert.True((long)db.Query("SELECT count(*) FROM recovery_log")[0][0]! >= 5);
    }

    [Theory]
    [InlineData("delete"), InlineData("wal")]
    public void Without_a_remote_the_store_itself_answers_as_far_back_as_it_reaches(string mode)
    {
        var name = $"file:{history.Data}/a.db?vfs=recovery";
        ulong first, second;
        using (var db = new Sqlite(name))
        {
            db.Do("PRAGMA journal_mode=" + mode);
            db.Do("CREATE TABLE orders(id INTEGER PRIMARY KEY, v TEXT)");
            db.Do("INSERT INTO orders VALUES(1, 'a'), (2, 'b')");
            first = ShippedHistory.LsnOf(db);
            db.Do("UPDATE orders SET v = 'c' WHERE id = 1");
            Assert.Equal(["update|c"],
                Said(db, "SELECT op, after ->> 'v' FROM recovery_changes('orders', ?)", (long)first));
            Assert.Equal(["a", "c"], Said(db, "SELECT row ->> 'v' FROM recovery_history('orders', 1)"));
            Assert.Equal(["1|a", "2|b"],
                Said(db, "SELECT key ->> 'id', row ->> 'v' FROM recovery_at('orders', ?)", (long)first));
            Assert.Equal(["orders"],
                Said(db, "SELECT tables FROM recovery_log(?) WHERE kind = 'commit'", (long)first));
            // Its pages go into files, and what was before is there no more.
            db.Do("PRAGMA recovery_checkpoint");
            second = ShippedHistory.LsnOf(db);
            db.Do("DELETE FROM orders WHERE id = 2");
            Assert.Equal(["delete"], Said(db, "SELECT op FROM recovery_diff('orders', ?, 'now')", (long)second));
            var error = db.Try("SELECT * FROM recovery_at('orders', ?)", (long)first);
            Assert.Contains("reach back to LSN", error);
            Assert.Contains("no remote", error);
        }
    }

    [Fact]
    public void What_the_store_itself_reaches_is_answered_without_shipping_anything()
    {
        long before;
        using (var db = new Sqlite(history.NameOf("a.db")))
        {
            db.Do("CREATE TABLE t(id INTEGER PRIMARY KEY, v)");
            db.Do("INSERT INTO t VALUES(1, 'a')");
            before = (long)ShippedHistory.LsnOf(db);
        }
        Recovery.CloseIdleStores();
        // Nothing is shipped by itself now.
        var rarely = history.NameOf("a.db").Replace("sync-interval=20", "sync-interval=600000");
        using (var db = new Sqlite(rarely))
        {
            db.Do("UPDATE t SET v = 'b'");
            Assert.Equal(["b"], Said(db, "SELECT row ->> 'v' FROM recovery_at('t', 'now')"));
            var changed = (long)ShippedHistory.LsnOf(db);
            db.Do("UPDATE t SET v = 'c'");
            Assert.Equal(["b|c"],
                Said(db, "SELECT before ->> 'v', after ->> 'v' FROM recovery_diff('t', ?, 'now')", changed));
            Assert.True(Convert.ToInt64(db.Query("PRAGMA recovery_remote_lsn")[0][0], null) < changed);
            db.Do("PRAGMA recovery_checkpoint");
        }
        Recovery.CloseIdleStores();
        // Further back than that the remote answers, which gets what it lacks first.
        using (var db = new Sqlite(history.NameOf("a.db")))
        {
            db.Do("UPDATE t SET v = 'd'");
            Assert.Equal(["a"], Said(db, "SELECT row ->> 'v' FROM recovery_at('t', ?)", before));
        }
    }

    [Fact]
    public void An_attached_database_is_named_and_what_makes_no_sense_is_said()
    {
        using var db = new Sqlite(":memory:");
        using (var other = new Sqlite(history.NameOf("b.db")))
        {
            other.Do("CREATE TABLE t(k TEXT, n INT, PRIMARY KEY(k, n)) WITHOUT ROWID");
            other.Do("INSERT INTO t VALUES('a', 1)");
        }
        db.Do("ATTACH ? AS side", history.NameOf("b.db"));
        Assert.Equal(["insert"],
            Said(db, "SELECT op FROM recovery_changes WHERE table_name = 't' AND schema_name = 'side'"));
        Assert.Equal(["1"],
            Said(db, "SELECT count(*) FROM recovery_history WHERE table_name = 't' AND row_key = '[\"a\", 1]' AND "
                + "schema_name = 'side'"));
        Assert.Contains("vfs=recovery", db.Try("SELECT * FROM recovery_log"));
        Assert.Contains("needs 1 arguments", db.Try("SELECT * FROM recovery_changes"));
        Assert.Contains("no table nothing",
            db.Try("SELECT * FROM recovery_at WHERE table_name = 'nothing' AND moment = 'now' AND schema_name = "
                + "'side'"));
        Assert.Contains("no moment",
            db.Try("SELECT * FROM recovery_at WHERE table_name = 't' AND moment = 'long ago' AND schema_name = "
                + "'side'"));
        // Nothing that a schema says may reach out of the database.
        db.Do("CREATE TEMP VIEW v AS SELECT * FROM recovery_changes('t')");
        db.Do("ATTACH ':memory:' AS plain");
        db.Do("CREATE VIEW plain.w AS SELECT * FROM recovery_log");
        Assert.NotNull(db.Try("SELECT * FROM plain.w"));
    }

    [Fact]
    public void Where_the_SQL_of_others_runs_it_is_not_asked()
    {
        using var db = new Sqlite(history.NameOf("a.db"));
        db.Do("CREATE TABLE t(x)");
        Recovery.Register(new RecoveryOptions { UriOptions = UriOptions.Safe });
        try
        {
            Assert.Contains("SQL of others", db.Try("SELECT * FROM recovery_log"));
        }
        finally
        {
            Recovery.Register(new RecoveryOptions());
        }
        Assert.Null(db.Try("SELECT * FROM recovery_log"));
    }

    static List<string> Said(Sqlite db, string sql, params object?[] values)
        => db.Query(sql, values).ConvertAll(r => string.Join("|", r));
}
