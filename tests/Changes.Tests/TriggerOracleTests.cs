using System.Globalization;
using RecoveryVfs.PageStore.Tails;
using RecoveryVfs.Rows;
using RecoveryVfs.Rows.Tests;

namespace RecoveryVfs.Changes.Tests;

/// <summary>
/// Triggers as a second oracle of the stream: what AFTER INSERT, UPDATE and DELETE triggers of SQLite's own saw of each
/// commit is, taken together row by row, what the stream tells of it.
/// </summary>
public sealed class TriggerOracleTests
{
    [Fact]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void The_stream_tells_of_each_commit_what_triggers_saw() => Seeds.Run(5, random =>
    {
        using var history = new ShippedHistory();
        var seen = new Dictionary<ulong, List<string>>();
        var journal = random.Next(2) == 0 ? "WAL" : "DELETE";
        using (var orders = new OrdersDatabase(random, history.NameOf("a.db"), journal))
        {
            var log = new TriggerLog(orders.Db);
            for (var i = 0; i < 30; i++)
            {
                orders.Change(random.Next(1, random.Next(3) == 0 ? 50 : 4));
                if (log.Take() is { Count: > 0 } net) seen.Add(ShippedHistory.LsnOf(orders.Db), net);
                if (random.Next(10) == 0) orders.Db.Do("VACUUM");
                if (random.Next(10) == 0) orders.Db.Do("PRAGMA wal_checkpoint(TRUNCATE)");
            }
            orders.Db.Do("PRAGMA recovery_sync");
        }
        Recovery.CloseIdleStores();

        var told = ToldAsync(history).GetAwaiter().GetResult();

        Assert.Equal(seen.Keys.Order(), told.Keys.Order());
        foreach (var (lsn, net) in seen)
            Assert.Equal(net.Order(StringComparer.Ordinal), told[lsn].Order(StringComparer.Ordinal));
    });

    static async Task<Dictionary<ulong, List<string>>> ToldAsync(ShippedHistory history)
    {
        var told = new Dictionary<ulong, List<string>>();
        var options = new RowTailOptions { From = TailStart.Oldest, Once = true };
        await foreach (var each in new RowTail(history.Context, options).ReadAsync())
        {
            if (each.Kind is not (RowEventKind.Insert or RowEventKind.Update or RowEventKind.Delete)) continue;
            if (!told.TryGetValue(each.Lsn, out var of)) told.Add(each.Lsn, of = []);
            of.Add($"{each.Table}: {Say(each.Before)} -> {Say(each.After)}");
        }
        return told;
    }

    static string Say(Row? row) =>
        row is null ? "" : string.Join(",", Enumerable.Range(0, row.Table.Columns.Count).Select(i => Quote(row[i])));

    /// <summary>As SQLite's quote() has it.</summary>
    static string Quote(ColumnValue value) => value.Kind switch
    {
        ValueKind.Integer => value.Integer.ToString(CultureInfo.InvariantCulture),
        ValueKind.Real => value.Real.ToString("0.0###", CultureInfo.InvariantCulture),
        ValueKind.Text => $"'{value.Text}'",
        ValueKind.Blob => $"X'{Convert.ToHexString(value.Bytes)}'",
        _ => "NULL",
    };

    /// <summary>Triggers that are not in the database itself: they are TEMP, and so is what they write.</summary>
    sealed class TriggerLog
    {
        readonly Sqlite db;

        public TriggerLog(Sqlite db)
        {
            this.db = db;
            // So that rows which REPLACE takes away are seen.
            db.Do("PRAGMA recursive_triggers=1");
            db.Do("CREATE TEMP TABLE t_log(n INTEGER PRIMARY KEY, tbl, old_key, old, new_key, new)");
            foreach (var table in db.Names("SELECT name FROM main.sqlite_schema WHERE type = 'table' "
                + "AND name NOT LIKE 'sqlite%'"))
            {
                Trigger(table, "INSERT", isOld: false, isNew: true);
                Trigger(table, "UPDATE", isOld: true, isNew: true);
                Trigger(table, "DELETE", isOld: true, isNew: false);
            }
        }

        void Trigger(string table, string on, bool isOld, bool isNew)
        {
            var columns = db.Names($"SELECT name FROM pragma_table_info('{table}')");
            var key = db.Names($"SELECT name FROM pragma_table_info('{table}') WHERE pk > 0 ORDER BY pk");
            string Of(bool isThere, string row, List<string> names) => isThere
                ? string.Join(" || ',' || ", names.Select(c => $"quote({row}.{Sqlite.Quote(c)})")) : "NULL";
            db.Do($"CREATE TEMP TRIGGER log_{table}_{on} AFTER {on} ON main.{table} BEGIN INSERT INTO t_log(tbl, "
                + $"old_key, old, new_key, new) VALUES('{table}', {Of(isOld, "OLD", key)}, "
                + $"{Of(isOld, "OLD", columns)}, {Of(isNew, "NEW", key)}, {Of(isNew, "NEW", columns)}); END");
        }

        /// <summary>What became of each row since this was asked last, by its key.</summary>
        public List<string> Take()
        {
            var rows = new Dictionary<(string Table, string Key), (string? Before, string? After)>();
            void Note(string table, object? key, string? before, string? after)
            {
                if (key is not string of) return;
                var first = rows.TryGetValue((table, of), out var known) ? known.Before : before;
                rows[(table, of)] = (first, after);
            }
            foreach (var row in db.Query("SELECT tbl, old_key, old, new_key, new FROM t_log ORDER BY n"))
            {
                var (table, old, now) = ((string)row[0]!, (string?)row[2], (string?)row[4]);
                if (Equals(row[1], row[3])) Note(table, row[1], old, now);
                else
                {
                    Note(table, row[1], old, null);
                    Note(table, row[3], null, now);
                }
            }
            db.Do("DELETE FROM t_log");
            return [.. rows.Where(r => r.Value.Before != r.Value.After)
                .Select(r => $"{r.Key.Table}: {r.Value.Before} -> {r.Value.After}")];
        }
    }
}
