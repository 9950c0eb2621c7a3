using System.Runtime.InteropServices;

namespace RecoveryVfs.Interop;

// What it takes to run statements.
internal sealed unsafe partial class SqliteApi
{
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
        fixed (byte* path = Utf8(name), of = Utf8(vfs)) return openV2(path, db, flags, of);
    }

    public void Close(void* db) => closeV2(db);

    public string MessageOf(void* db) => Message(db);

    public int ErrorCode(void* db) => extendedErrorCode(db);

    public void SetPatience(void* db, int milliseconds) => busyTimeout(db, milliseconds);

    public void SetProgressHandler(void* db, int instructions, delegate* unmanaged[Cdecl]<void*, int> handler,
        nint context) =>
        progressHandler(db, instructions, handler, (void*)context);

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
        fixed (byte* bytes = Utf8(sql)) return complete(bytes) != 0;
    }

    /// <summary>
    /// Replaces a database by a copy of another one, in one transaction, and waits for other writers.
    /// <paramref name="locked"/> is called when nobody else can write any more, before the first page. Returns what
    /// SQLite says of a failure; then nothing is changed.
    /// </summary>
    public string? Replace(string plainUri, string targetUri, int patienceMs, Action locked)
    {
        const int uri = 0x40, done = 101;
        void* source = null, target = null;
        try
        {
            fixed (byte* name = Utf8(plainUri), vfs = Utf8(VfsEntryPoints.SystemName))
                if (openV2(name, &source, Sqlite.OpenReadWrite | uri, vfs) != Sqlite.Ok) return Message(source);
            fixed (byte* name = Utf8(targetUri), vfs = Utf8("recovery"))
                if (openV2(name, &target, Sqlite.OpenReadWrite | uri, vfs) != Sqlite.Ok) return Message(target);
            SetPatience(target, patienceMs);
            fixed (byte* main = "main\0"u8)
            {
                var backup = backupInit(target, main, source, main);
                if (backup == null) return Message(target);
                var step = backupStep(backup, 0);
                if (step == Sqlite.Ok) locked();
                if (step == Sqlite.Ok) step = backupStep(backup, -1);
                var finished = backupFinish(backup);
                if (step == done && finished == Sqlite.Ok) return null;
                return (step & 0xff) == Sqlite.Busy ? "database is locked" : Message(target);
            }
        }
        finally
        {
            closeV2(target);
            closeV2(source);
        }
    }
}
