using System.Runtime.InteropServices;
using SQLitePCL;

namespace RecoveryVfs.Rows.Tests;

/// <summary>The real SQLite, which says what is right.</summary>
internal sealed class Sqlite : IDisposable
{
    readonly sqlite3 db;

    static Sqlite() => Batteries_V2.Init();

    public Sqlite(string path)
    {
        const int flags = raw.SQLITE_OPEN_READWRITE | raw.SQLITE_OPEN_CREATE | raw.SQLITE_OPEN_NOMUTEX
            | raw.SQLITE_OPEN_URI;
        if (raw.sqlite3_open_v2(path, out db, flags, null) != raw.SQLITE_OK)
            throw new InvalidOperationException($"{path} does not open: {raw.sqlite3_errmsg(db).utf8_to_string()}");
    }

    public static bool HasStrict => raw.sqlite3_libversion_number() >= 3037000;

    /// <summary>
    /// Older versions read DEFAULT TRUE and DEFAULT 1.0 in an added column as integers, whatever the column's type. We
    /// read them as newer ones do.
    /// </summary>
    public static bool IsRecent => raw.sqlite3_libversion_number() >= 3050000;

    public IntPtr Handle => db.DangerousGetHandle();

    /// <summary>Runs a statement that must succeed.</summary>
    public void Do(string sql, params object?[] values)
    {
        if (Try(sql, values) is { } error) throw new InvalidOperationException($"{sql}: {error}");
    }

    /// <summary>Runs a statement; returns why it failed, or null.</summary>
    public string? Try(string sql, params object?[] values)
    {
        if (raw.sqlite3_prepare_v2(db, sql, out var statement) != raw.SQLITE_OK) return Error;
        using (statement)
        {
            Bind(statement, values);
            int code;
            do code = raw.sqlite3_step(statement);
            while (code == raw.SQLITE_ROW);
            return code == raw.SQLITE_DONE ? null : Error;
        }
    }

    public List<object?[]> Query(string sql, params object?[] values)
    {
        if (raw.sqlite3_prepare_v2(db, sql, out var statement) != raw.SQLITE_OK)
            throw new InvalidOperationException($"{sql}: {Error}");
        using (statement)
        {
            Bind(statement, values);
            var rows = new List<object?[]>();
            int code;
            while ((code = raw.sqlite3_step(statement)) == raw.SQLITE_ROW)
                rows.Add(Enumerable.Range(0, raw.sqlite3_column_count(statement)).Select(i => Value(statement, i))
                    .ToArray());
            return code == raw.SQLITE_DONE ? rows : throw new InvalidOperationException($"{sql}: {Error}");
        }
    }

    public List<string> Names(string sql) => Query(sql).ConvertAll(r => (string)r[0]!);

    public static string Quote(string name) => '"' + name.Replace("\"", "\"\"", StringComparison.Ordinal) + '"';

    /// <summary>Sets aside bytes at each page's end, at the next VACUUM.</summary>
    public void Reserve(int bytes)
    {
        if (FileControl(Handle, "main", 38, ref bytes) != 0)
            throw new InvalidOperationException("No bytes can be reserved.");
    }

    /// <summary>A collation that this program alone has: it compares from the end.</summary>
    public void Collation(string name) => raw.sqlite3_create_collation(db, name, null,
        (_, a, b) => string.CompareOrdinal(string.Concat(a.Reverse()), string.Concat(b.Reverse())));

    /// <summary>New databases get the format from before DESC of an index meant anything.</summary>
    public void LegacyFormat()
    {
        if (raw.sqlite3_db_config(db, 1016, 1, out _) != raw.SQLITE_OK) throw new InvalidOperationException(Error);
    }

    /// <summary>Runs many statements.</summary>
    public void Script(string sql)
    {
        if (raw.sqlite3_exec(db, sql, out var error) != raw.SQLITE_OK) throw new InvalidOperationException(error);
    }

    public void Dispose() => db.Dispose();

    string Error => raw.sqlite3_errmsg(db).utf8_to_string();

    static void Bind(sqlite3_stmt statement, object?[] values)
    {
        for (var i = 0; i < values.Length; i++)
        {
            _ = values[i] switch
            {
                null => raw.sqlite3_bind_null(statement, i + 1),
                double real => raw.sqlite3_bind_double(statement, i + 1, real),
                string text => raw.sqlite3_bind_text(statement, i + 1, text),
                byte[] blob => raw.sqlite3_bind_blob(statement, i + 1, blob),
                var integer => raw.sqlite3_bind_int64(statement, i + 1, Convert.ToInt64(integer)),
            };
        }
    }

    static object? Value(sqlite3_stmt statement, int i) => raw.sqlite3_column_type(statement, i) switch
    {
        raw.SQLITE_INTEGER => raw.sqlite3_column_int64(statement, i),
        raw.SQLITE_FLOAT => raw.sqlite3_column_double(statement, i),
        raw.SQLITE_TEXT => raw.sqlite3_column_text(statement, i).utf8_to_string(),
        raw.SQLITE_BLOB => raw.sqlite3_column_blob(statement, i).ToArray(),
        _ => null,
    };

    [DllImport("e_sqlite3", EntryPoint = "sqlite3_file_control")]
    static extern int FileControl(IntPtr db, string name, int op, ref int value);
}
