// Writes each change of the rows in a remote to a second database, a plain SQLite file, and goes on where it stopped:
// the place is kept beside the rows, in the same transaction, so nothing is missing and nothing is done twice. usage:
// dotnet run REMOTE TARGET.db [--once]

using Microsoft.Data.Sqlite;
using RecoveryVfs.Changes;
using RecoveryVfs.Rows;

SQLitePCL.Batteries_V2.Init();
using var target = new SqliteConnection($"Data Source={args[1]}");
target.Open();
Do("CREATE TABLE IF NOT EXISTS place(lsn INTEGER NOT NULL)");
var place = Ask("SELECT lsn FROM place");

var tail = new RowTail(args[0], new RowTailOptions
{
    After = place is long lsn ? (ulong)lsn : null,
    Snapshot = place is null ? RowSnapshot.Initial : RowSnapshot.Never,
    Once = args.Contains("--once"),
});
var (count, kept) = (0, 0UL);
Do("BEGIN");
await using var changes = tail.ReadAsync().GetAsyncEnumerator();
while (true)
{
    var next = changes.MoveNextAsync();
    // What comes next is not there yet: all commits up to here are whole.
    if (!next.IsCompleted && tail.Lsn > kept) Keep(tail.Lsn);
    if (!await next) break;
    var change = changes.Current;
    if ((change.After ?? change.Before) is not { } row) continue;
    Do("CREATE TABLE IF NOT EXISTS "
        + $"{Quoted(change.Table!)}({string.Join(", ", Columns(row).Select(c => Quoted(c.Name)))}, \"key\" PRIMARY "
        + "KEY)");
    var key = string.Join('|', KeyOf(row, change.KeyKind));
    if (change.After is { } after)
        Do($"INSERT OR REPLACE INTO {Quoted(change.Table!)} "
            + $"VALUES({string.Join(", ", Columns(after).Select((_, i) => $"@{i}").Append("@key"))})",
            [.. Columns(after).Select((c, i) => ($"@{i}", after[c.Name].ToObject())), ("@key", key)]);
    else Do($"DELETE FROM {Quoted(change.Table!)} WHERE \"key\" = @key", ("@key", key));
    count++;
}
if (tail.Lsn > kept) Keep(tail.Lsn);
Do("COMMIT");
Console.WriteLine($"{count} changes up to LSN {tail.Lsn}");

void Keep(ulong upTo)
{
    Do("DELETE FROM place");
    Do("INSERT INTO place VALUES(@lsn)", ("@lsn", (long)upTo));
    Do("COMMIT");
    Do("BEGIN");
    kept = upTo;
}

static IEnumerable<Column> Columns(Row row) => row.Table.Columns.Where(c => c.IsStored);

static IEnumerable<object?> KeyOf(Row row, KeyKind kind) =>
    kind == KeyKind.PrimaryKey && row.Table.KeyColumns.Count > 0
        ? row.Table.KeyColumns.Select(c => row[c].ToObject())
        : [row.RowId];

static string Quoted(string name) => '"' + name.Replace("\"", "\"\"") + '"';

SqliteCommand Command(string sql, params (string Name, object? Value)[] values)
{
    var command = target.CreateCommand();
    command.CommandText = sql;
    foreach (var (name, value) in values) command.Parameters.AddWithValue(name, value ?? DBNull.Value);
    return command;
}

void Do(string sql, params (string Name, object? Value)[] values)
{
    using var command = Command(sql, values);
    command.ExecuteNonQuery();
}

object? Ask(string sql)
{
    using var command = Command(sql);
    return command.ExecuteScalar();
}
