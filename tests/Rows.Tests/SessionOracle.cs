using System.Runtime.InteropServices;

namespace RecoveryVfs.Rows.Tests;

/// <summary>
/// SQLite's session extension: it watches a connection, and says which rows were inserted, deleted and updated, by
/// primary key.
/// </summary>
internal sealed class SessionOracle : IDisposable
{
    const int Insert = 18, Delete = 9, Update = 23, Row = 100;

    readonly IntPtr session;

    public SessionOracle(Sqlite db)
    {
        Must(sqlite3session_create(db.Handle, "main", out session));
        Must(sqlite3session_attach(session, IntPtr.Zero));
    }

    public static bool IsThere
    {
        get
        {
            try
            {
                _ = sqlite3session_config(0, IntPtr.Zero);
                return true;
            }
            catch (EntryPointNotFoundException)
            {
                return false;
            }
        }
    }

    /// <summary>
    /// Each change as <c>table op: old values -> new values</c>; of an update, unchanged values other than the key's
    /// are a dot.
    /// </summary>
    public List<string> Changes()
    {
        Must(sqlite3session_changeset(session, out var bytes, out var changeset));
        var changes = new List<string>();
        Must(sqlite3changeset_start(out var iterator, bytes, changeset));
        while (sqlite3changeset_next(iterator) == Row)
        {
            Must(sqlite3changeset_op(iterator, out var table, out var columns, out var op, out _));
            var before = op == Insert ? "" : Values(iterator, columns, sqlite3changeset_old);
            var after = op == Delete ? "" : Values(iterator, columns, sqlite3changeset_new);
            var kind = op switch
            {
                Insert => ChangeKind.Insert,
                Delete => ChangeKind.Delete,
                _ => ChangeKind.Update,
            };
            changes.Add($"{Marshal.PtrToStringUTF8(table)} {kind}: {before} -> {after}");
        }
        Must(sqlite3changeset_finalize(iterator));
        sqlite3_free(changeset);
        return changes;
    }

    /// <summary>Our change in the same words.</summary>
    public static string Say(RowChange change)
    {
        var table = (change.After ?? change.Before)!.Table;
        string Values(Row? row, bool after) => row is null
            ? ""
            : string.Join("|", Enumerable.Range(0, table.Columns.Count).Select(i =>
        {
            var isKey = table.Columns[i].KeyIndex >= 0;
            var same = change.Kind == ChangeKind.Update && change.Before![i].Same(change.After![i]);
            return same && (!isKey || after) ? "." : Oracle.Say(row[i].ToObject());
        }));
        return $"{table.Name} {change.Kind}: {Values(change.Before, false)} -> {Values(change.After, true)}";
    }

    public void Dispose() => sqlite3session_delete(session);

    delegate int Getter(IntPtr iterator, int column, out IntPtr value);

    static string Values(IntPtr iterator, int columns, Getter get) => string.Join("|",
        Enumerable.Range(0, columns).Select(i =>
    {
        Must(get(iterator, i, out var value));
        return value == IntPtr.Zero ? "." : Oracle.Say(Value(value));
    }));

    static object? Value(IntPtr value)
    {
        switch (sqlite3_value_type(value))
        {
            case 1: return sqlite3_value_int64(value);
            case 2: return sqlite3_value_double(value);
            case 3: return Marshal.PtrToStringUTF8(sqlite3_value_text(value), sqlite3_value_bytes(value));
            case 4:
                var bytes = new byte[sqlite3_value_bytes(value)];
                if (bytes.Length > 0) Marshal.Copy(sqlite3_value_blob(value), bytes, 0, bytes.Length);
                return bytes;
            default: return null;
        }
    }

    static void Must(int code)
    {
        if (code != 0) throw new InvalidOperationException($"The session extension says {code}.");
    }

    const string Lib = "e_sqlite3";

    [DllImport(Lib)] static extern int sqlite3session_config(int op, IntPtr argument);
    [DllImport(Lib)] static extern int sqlite3session_create(IntPtr db, string name, out IntPtr session);
    [DllImport(Lib)] static extern int sqlite3session_attach(IntPtr session, IntPtr table);
    [DllImport(Lib)] static extern void sqlite3session_delete(IntPtr session);
    [DllImport(Lib)] static extern int sqlite3session_changeset(IntPtr session, out int bytes, out IntPtr changeset);
    [DllImport(Lib)] static extern int sqlite3changeset_start(out IntPtr iterator, int bytes, IntPtr changeset);
    [DllImport(Lib)] static extern int sqlite3changeset_next(IntPtr iterator);
    [DllImport(Lib)]
    static extern int sqlite3changeset_op(IntPtr iterator, out IntPtr table, out int columns, out int op,
        out int indirect);
    [DllImport(Lib)] static extern int sqlite3changeset_old(IntPtr iterator, int column, out IntPtr value);
    [DllImport(Lib)] static extern int sqlite3changeset_new(IntPtr iterator, int column, out IntPtr value);
    [DllImport(Lib)] static extern int sqlite3changeset_finalize(IntPtr iterator);
    [DllImport(Lib)] static extern void sqlite3_free(IntPtr memory);
    [DllImport(Lib)] static extern int sqlite3_value_type(IntPtr value);
    [DllImport(Lib)] static extern long sqlite3_value_int64(IntPtr value);
    [DllImport(Lib)] static extern double sqlite3_value_double(IntPtr value);
    [DllImport(Lib)] static extern IntPtr sqlite3_value_text(IntPtr value);
    [DllImport(Lib)] static extern IntPtr sqlite3_value_blob(IntPtr value);
    [DllImport(Lib)] static extern int sqlite3_value_bytes(IntPtr value);
}
