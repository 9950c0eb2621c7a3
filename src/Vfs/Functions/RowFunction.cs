using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.Functions;

/// <summary>
/// A table-valued function: its name, its columns, and its arguments, which SQLite has as hidden columns behind them.
/// The last argument of each is the schema of the connection whose database is meant.
/// </summary>
internal sealed record RowFunction(string Name, string[] Columns, string[] Arguments, int Required, Func<FunctionCall,
    IEnumerable<object?[]>> Run)
{
    /// <summary>All of them; their places are their numbers.</summary>
    public static readonly RowFunction[] All =
    [
        new("recovery_log", ["lsn", "time", "kind", "pages", "bytes", "size", "tables"], ["since", "until"], 0,
            PastQueries.Log),
        new("recovery_changes", ["lsn", "n", "time", "tbl", "op", "key", "before", "after"],
            ["table_name", "since", "until"], 1, PastQueries.Changes),
        new("recovery_diff", ["tbl", "op", "key", "before", "after"], ["table_name", "first", "second"], 2,
            PastQueries.Difference),
        new("recovery_history", ["lsn", "time", "row"], ["table_name", "row_key", "since"], 2, PastQueries.History),
        new("recovery_at", ["key", "row"], ["table_name", "moment"], 2, PastQueries.At),
    ];

    /// <summary>What <c>sqlite3_declare_vtab</c> is told.</summary>
    public string Declaration =>
        $"CREATE TABLE x({string.Join(", ", Columns.Select(c => $"\"{c}\""))}, "
            + $"{string.Join(", ", Arguments.Append("schema_name").Select(a => $"\"{a}\" HIDDEN"))})";

    public int ArgumentCount => Arguments.Length + 1;
}

/// <summary>One call of a function.</summary>
/// <param name="Arguments">Its arguments, the schema's name left out; null where none was given. A long, a double, a
/// string or bytes.</param>
/// <param name="Database">The path of the database that is meant, as SQLite spells it.</param>
/// <param name="WithTables">Of the log: whether anybody looks at which tables a commit touched, which takes reading
/// them.</param>
internal sealed record FunctionCall(object?[] Arguments, string Database, bool WithTables)
{
    public string Text(int argument, string what) => Arguments[argument] as string
        ?? throw new RecoveryException(RecoveryError.Invalid, $"Argument {argument + 1} is {what}, a text.");
}
