using System.Runtime.InteropServices;

namespace RecoveryVfs.Interop;

/// <summary>The functions of SQLite that it takes to open a connection and to run statements.</summary>
internal sealed unsafe class SqliteStatements
{
    readonly delegate* unmanaged[Cdecl]<byte*, void**, int, byte*, int> openV2;
    readonly delegate* unmanaged[Cdecl]<void*, int> closeV2;
    readonly delegate* unmanaged[Cdecl]<void*, byte*> errmsg;
    readonly delegate* unmanaged[Cdecl]<void*, byte*, int, void**, byte**, int> prepareV2;
    readonly delegate* unmanaged[Cdecl]<void*, int> step;
    readonly delegate* unmanaged[Cdecl]<void*, void> interrupt;
    readonly delegate* unmanaged[Cdecl]<void*, int> finalizeStatement;
    readonly delegate* unmanaged[Cdecl]<void*, int> columnCount;
    readonly delegate* unmanaged[Cdecl]<void*, int, byte*> columnName;
    readonly delegate* unmanaged[Cdecl]<void*, int, int> columnType;
    readonly delegate* unmanaged[Cdecl]<void*, int, long> columnInt64;
    readonly delegate* unmanaged[Cdecl]<void*, int, double> columnDouble;
    readonly delegate* unmanaged[Cdecl]<void*, int, byte*> columnText;
    readonly delegate* unmanaged[Cdecl]<void*, int, byte*> columnBlob;
    readonly delegate* unmanaged[Cdecl]<void*, int, int> columnBytes;
    readonly delegate* unmanaged[Cdecl]<void*, int> extendedErrorCode;
    readonly delegate* unmanaged[Cdecl]<void*, int, int> busyTimeout;
    readonly delegate* unmanaged[Cdecl]<void*, int, delegate* unmanaged[Cdecl]<void*, int>, void*, void>
        progressHandler;
    readonly delegate* unmanaged[Cdecl]<void*, int> getAutocommit;
    readonly delegate* unmanaged[Cdecl]<void*, int> totalChanges;
    readonly delegate* unmanaged[Cdecl]<void*, void*> dbMutex;
    readonly delegate* unmanaged[Cdecl]<byte*, int> complete;
    readonly delegate* unmanaged[Cdecl]<void*, byte*, void*, void*, byte**, int> exec;
    readonly delegate* unmanaged[Cdecl]<void*, byte*, int, void*, int> fileControl;

    public SqliteStatements(Func<string, int, nint> find)
    {
        openV2 = (delegate* unmanaged[Cdecl]<byte*, void**, int, byte*, int>)find("open_v2", 135);
        closeV2 = (delegate* unmanaged[Cdecl]<void*, int>)find("close_v2", 179);
        errmsg = (delegate* unmanaged[Cdecl]<void*, byte*>)find("errmsg", 53);
        prepareV2 = (delegate* unmanaged[Cdecl]<void*, byte*, int, void**, byte**, int>)find("prepare_v2", 116);
        step = (delegate* unmanaged[Cdecl]<void*, int>)find("step", 94);
        interrupt = (delegate* unmanaged[Cdecl]<void*, void>)find("interrupt", 64);
        finalizeStatement = (delegate* unmanaged[Cdecl]<void*, int>)find("finalize", 57);
        columnCount = (delegate* unmanaged[Cdecl]<void*, int>)find("column_count", 22);
        columnName = (delegate* unmanaged[Cdecl]<void*, int, byte*>)find("column_name", 30);
        columnType = (delegate* unmanaged[Cdecl]<void*, int, int>)find("column_type", 38);
        columnInt64 = (delegate* unmanaged[Cdecl]<void*, int, long>)find("column_int64", 29);
        columnDouble = (delegate* unmanaged[Cdecl]<void*, int, double>)find("column_double", 27);
        columnText = (delegate* unmanaged[Cdecl]<void*, int, byte*>)find("column_text", 36);
        columnBlob = (delegate* unmanaged[Cdecl]<void*, int, byte*>)find("column_blob", 19);
        columnBytes = (delegate* unmanaged[Cdecl]<void*, int, int>)find("column_bytes", 20);
        extendedErrorCode = (delegate* unmanaged[Cdecl]<void*, int>)find("extended_errcode", 166);
        busyTimeout = (delegate* unmanaged[Cdecl]<void*, int, int>)find("busy_timeout", 14);
        progressHandler =
            (delegate* unmanaged[Cdecl]<void*, int, delegate* unmanaged[Cdecl]<void*, int>, void*,
            void>)find("progress_handler", 75);
        getAutocommit = (delegate* unmanaged[Cdecl]<void*, int>)find("get_autocommit", 60);
        totalChanges = (delegate* unmanaged[Cdecl]<void*, int>)find("total_changes", 97);
        dbMutex = (delegate* unmanaged[Cdecl]<void*, void*>)find("db_mutex", 164);
        complete = (delegate* unmanaged[Cdecl]<byte*, int>)find("complete", 41);
        exec = (delegate* unmanaged[Cdecl]<void*, byte*, void*, void*, byte**, int>)find("exec", 55);
        fileControl = (delegate* unmanaged[Cdecl]<void*, byte*, int, void*, int>)find("file_control", 127);
    }

    /// <summary>Values that are given on must not be freed by SQLite: they are copied at once.</summary>
    public SqlValue ValueOf(void* statement, int column) => (SqlKind)columnType(statement, column) switch
    {
        SqlKind.Integer => new(SqlKind.Integer, columnInt64(statement, column), []),
        SqlKind.Real => new(SqlKind.Real, BitConverter.DoubleToInt64Bits(columnDouble(statement, column)), []),
        SqlKind.Text => new(SqlKind.Text, 0, Copied(columnText(statement, column), statement, column)),
        SqlKind.Blob => new(SqlKind.Blob, 0, Copied(columnBlob(statement, column), statement, column)),
        _ => new(SqlKind.Null, 0, []),
    };

    // The length is asked for after the bytes, which may be converted by being asked for.
    byte[] Copied(byte* bytes, void* statement, int column) =>
        bytes is null ? [] : new ReadOnlySpan<byte>(bytes, columnBytes(statement, column)).ToArray();

    public int Open(string name, void** db, int flags, string vfs)
    {
        fixed (byte* path = SqliteApi.Utf8(name), of = SqliteApi.Utf8(vfs)) return openV2(path, db, flags, of);
    }

    public void Close(void* db) => closeV2(db);

    public string MessageOf(void* db) =>
        (db == null ? null : Marshal.PtrToStringUTF8((nint)errmsg(db))) ?? "out of memory";

    public int ErrorCode(void* db) => extendedErrorCode(db);

    public void SetPatience(void* db, int milliseconds) => busyTimeout(db, milliseconds);

    public void SetProgressHandler(void* db, int instructions, delegate* unmanaged[Cdecl]<void*, int> handler,
        nint context) =>
        progressHandler(db, instructions, handler, (void*)context);

    /// <summary>Runs statements, whose rows nobody wants; false when one fails.</summary>
    public bool TryRun(void* db, string sql)
    {
        fixed (byte* bytes = SqliteApi.Utf8(sql)) return exec(db, bytes, null, null, null) == Sqlite.Ok;
    }

    /// <summary>The number that a statement gives; null when it gives none.</summary>
    public long? Ask(void* db, string sql)
    {
        const int row = 100;
        void* statement = null;
        fixed (byte* bytes = SqliteApi.Utf8(sql))
            if (prepareV2(db, bytes, -1, &statement, null) != Sqlite.Ok) return null;
        try
        {
            return step(statement) == row ? columnInt64(statement, 0) : null;
        }
        finally
        {
            finalizeStatement(statement);
        }
    }

    /// <summary>Asks the file of a connection's main database something: sqlite3_file_control.</summary>
    public int Control(void* db, int what, void* value)
    {
        fixed (byte* main = "main\0"u8) return fileControl(db, main, what, value);
    }

    public bool IsAutocommit(void* db) => getAutocommit(db) != 0;

    public bool HasMutex(void* db) => dbMutex(db) != null;

    public int Prepare(void* db, byte* sql, void** statement, byte** tail) => prepareV2(db, sql, -1, statement, tail);

    public int Step(void* statement) => step(statement);

    /// <summary>Has the statements that run on a connection fail at their next step.</summary>
    public void Interrupt(void* db) => interrupt(db);

    public void Finish(void* statement) => finalizeStatement(statement);

    public int ColumnCount(void* statement) => columnCount(statement);

    public string ColumnName(void* statement, int column)
        => Marshal.PtrToStringUTF8((nint)columnName(statement, column)) ?? "";

    public long TotalChanges(void* db) => totalChanges(db);

    /// <summary>Whether a text ends with a whole statement.</summary>
    public bool IsComplete(string sql)
    {
        fixed (byte* bytes = SqliteApi.Utf8(sql)) return complete(bytes) != 0;
    }
}
