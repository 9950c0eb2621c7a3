using Microsoft.Data.Sqlite;

namespace RecoveryVfs.Testing;

/// <summary>Statements and their results as the tests write them, without ADO's retries.</summary>
static class Sql
{
    /// <summary>
    /// Runs statements; the values of all rows joined by spaces, or "!MESSAGE" with the extended code on an error.
    /// </summary>
    public static string Try(this SqliteConnection connection, string sql)
    {
        var values = new List<string>();
        var code = Run(connection, sql, values);
        return code == 0 ? string.Join(' ', values) : $"!{code}";
    }

    /// <summary>Runs statements that must succeed.</summary>
    public static string Do(this SqliteConnection connection, string sql)
    {
        var values = new List<string>();
        var code = Run(connection, sql, values);
        if (code != 0)
            throw new InvalidOperationException(
                $"{sql}: {code} {SQLitePCL.raw.sqlite3_errmsg(connection.Handle).utf8_to_string()} "
                    + $"[{Recovery.LastError}]");
        return string.Join(' ', values);
    }

    static int Run(SqliteConnection connection, string sql, List<string> values)
    {
        var db = connection.Handle!;
        while (sql.Trim().Length > 0)
        {
            var rc = SQLitePCL.raw.sqlite3_prepare_v2(db, sql, out var statement, out string tail);
            using (statement)
            {
                if (rc != 0) return SQLitePCL.raw.sqlite3_extended_errcode(db);
                while (statement is { IsInvalid: false }
                    && (rc = SQLitePCL.raw.sqlite3_step(statement)) == SQLitePCL.raw.SQLITE_ROW)
                    for (var i = 0; i < SQLitePCL.raw.sqlite3_column_count(statement); i++)
                        values.Add(Value(statement, i));
                if (rc != SQLitePCL.raw.SQLITE_DONE && rc != 0) return SQLitePCL.raw.sqlite3_extended_errcode(db);
            }
            sql = tail;
        }
        return 0;
    }

    static string Value(SQLitePCL.sqlite3_stmt statement, int column)
        => SQLitePCL.raw.sqlite3_column_type(statement, column) switch
        {
            SQLitePCL.raw.SQLITE_NULL => "",
            SQLitePCL.raw.SQLITE_BLOB => Convert.ToHexString(SQLitePCL.raw.sqlite3_column_blob(statement, column)),
            _ => SQLitePCL.raw.sqlite3_column_text(statement, column).utf8_to_string(),
        };
}
