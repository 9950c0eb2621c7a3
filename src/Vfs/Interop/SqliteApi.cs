using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;

namespace RecoveryVfs.Interop;

/// <summary>
/// The functions of the SQLite that hosts us, found by name in its library or by place in the
/// <c>sqlite3_api_routines</c> that it hands to a loadable extension (places as in sqlite3ext.h; they never change).
/// </summary>
internal sealed unsafe partial class SqliteApi
{
    /// <summary>The oldest SQLite that tells a VFS when a checkpoint starts (SQLITE_FCNTL_CKPT_START).</summary>
    const int VersionMin = 3_034_000;

    readonly delegate* unmanaged[Cdecl]<int> libversionNumber;
    readonly delegate* unmanaged[Cdecl]<ulong, void*> malloc64;
    readonly delegate* unmanaged[Cdecl]<byte*, NativeVfs*> vfsFind;
    readonly delegate* unmanaged[Cdecl]<NativeVfs*, int, int> vfsRegister;
    readonly delegate* unmanaged[Cdecl]<byte*, byte*, byte*> uriParameter;
    readonly delegate* unmanaged[Cdecl]<byte*, byte*, int, int> uriBoolean;
    readonly delegate* unmanaged[Cdecl]<byte*, int, byte*> uriKey;
    readonly delegate* unmanaged[Cdecl]<int, byte*, void> log;
    readonly delegate* unmanaged[Cdecl]<byte*, void**, int, byte*, int> openV2;
    readonly delegate* unmanaged[Cdecl]<void*, int> closeV2;
    readonly delegate* unmanaged[Cdecl]<void*, byte*> errmsg;
    readonly delegate* unmanaged[Cdecl]<void*, byte*, void*, byte*, void*> backupInit;
    readonly delegate* unmanaged[Cdecl]<void*, int, int> backupStep;
    readonly delegate* unmanaged[Cdecl]<void*, int> backupFinish;
    readonly delegate* unmanaged[Cdecl]<void*, int> backupRemaining;
    readonly delegate* unmanaged[Cdecl]<void*, int> backupPageCount;
    readonly delegate* unmanaged[Cdecl]<void*, byte*, void*, void*, byte**, int> exec;
    readonly delegate* unmanaged[Cdecl]<void*, int> autoExtension;
    readonly delegate* unmanaged[Cdecl]<void*, byte*, int, int, void*, void*, void*, void*, int> createFunction;
    readonly delegate* unmanaged[Cdecl]<void*, byte*, int, void*, void> resultText;
    readonly delegate* unmanaged[Cdecl]<void*, long, void> resultInt64;
    readonly delegate* unmanaged[Cdecl]<void*, byte*, void*, void*, int> createModule;
    readonly delegate* unmanaged[Cdecl]<void*, byte*, int> declareTable;
    readonly delegate* unmanaged[Cdecl]<void*, int, int> configureTable;
    readonly delegate* unmanaged[Cdecl]<void*, byte*, byte*> fileName;
    readonly delegate* unmanaged[Cdecl]<void*, int> valueType, valueBytes;
    readonly delegate* unmanaged[Cdecl]<void*, long> valueInt64;
    readonly delegate* unmanaged[Cdecl]<void*, double> valueDouble;
    readonly delegate* unmanaged[Cdecl]<void*, byte*> valueText, valueBlob;

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
    readonly delegate* unmanaged[Cdecl]<void*, int, delegate* unmanaged[Cdecl]<void*, int>, void*,
        void> progressHandler;
    readonly delegate* unmanaged[Cdecl]<void*, int> getAutocommit;
    readonly delegate* unmanaged[Cdecl]<void*, int> totalChanges;
    readonly delegate* unmanaged[Cdecl]<void*, void*> dbMutex;
    readonly delegate* unmanaged[Cdecl]<byte*, int> complete;

    /// <summary>
    /// Resolves every function through <paramref name="find"/>, which takes a name and a place in the table.
    /// </summary>
    SqliteApi(Func<string, int, nint> find)
    {
        libversionNumber = (delegate* unmanaged[Cdecl]<int>)find("libversion_number", 67);
        malloc64 = (delegate* unmanaged[Cdecl]<ulong, void*>)find("malloc64", 197);
        vfsFind = (delegate* unmanaged[Cdecl]<byte*, NativeVfs*>)find("vfs_find", 141);
        vfsRegister = (delegate* unmanaged[Cdecl]<NativeVfs*, int, int>)find("vfs_register", 142);
        uriParameter = (delegate* unmanaged[Cdecl]<byte*, byte*, byte*>)find("uri_parameter", 189);
        uriBoolean = (delegate* unmanaged[Cdecl]<byte*, byte*, int, int>)find("uri_boolean", 187);
        uriKey = (delegate* unmanaged[Cdecl]<byte*, int, byte*>)find("uri_key", 245);
        log = (delegate* unmanaged[Cdecl]<int, byte*, void>)find("log", 167);
        openV2 = (delegate* unmanaged[Cdecl]<byte*, void**, int, byte*, int>)find("open_v2", 135);
        closeV2 = (delegate* unmanaged[Cdecl]<void*, int>)find("close_v2", 179);
        errmsg = (delegate* unmanaged[Cdecl]<void*, byte*>)find("errmsg", 53);
        backupInit = (delegate* unmanaged[Cdecl]<void*, byte*, void*, byte*, void*>)find("backup_init", 156);
        backupStep = (delegate* unmanaged[Cdecl]<void*, int, int>)find("backup_step", 159);
        backupFinish = (delegate* unmanaged[Cdecl]<void*, int>)find("backup_finish", 155);
        backupRemaining = (delegate* unmanaged[Cdecl]<void*, int>)find("backup_remaining", 158);
        backupPageCount = (delegate* unmanaged[Cdecl]<void*, int>)find("backup_pagecount", 157);
        exec = (delegate* unmanaged[Cdecl]<void*, byte*, void*, void*, byte**, int>)find("exec", 55);
        autoExtension = (delegate* unmanaged[Cdecl]<void*, int>)find("auto_extension", 192);
        createFunction =
            (delegate* unmanaged[Cdecl]<void*, byte*, int, int, void*, void*, void*, void*, int>)find("create_function",
            45);
        resultText = (delegate* unmanaged[Cdecl]<void*, byte*, int, void*, void>)find("result_text", 85);
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
        resultInt64 = (delegate* unmanaged[Cdecl]<void*, long, void>)find("result_int64", 83);
        createModule = (delegate* unmanaged[Cdecl]<void*, byte*, void*, void*, int>)find("create_module", 47);
        declareTable = (delegate* unmanaged[Cdecl]<void*, byte*, int>)find("declare_vtab", 50);
        configureTable = (delegate* unmanaged[Cdecl]<void*, int, int>)find("vtab_config", 177);
        fileName = (delegate* unmanaged[Cdecl]<void*, byte*, byte*>)find("db_filename", 180);
        valueType = (delegate* unmanaged[Cdecl]<void*, int>)find("value_type", 113);
        valueBytes = (delegate* unmanaged[Cdecl]<void*, int>)find("value_bytes", 103);
        valueInt64 = (delegate* unmanaged[Cdecl]<void*, long>)find("value_int64", 107);
        valueDouble = (delegate* unmanaged[Cdecl]<void*, double>)find("value_double", 105);
        valueText = (delegate* unmanaged[Cdecl]<void*, byte*>)find("value_text", 109);
        valueBlob = (delegate* unmanaged[Cdecl]<void*, byte*>)find("value_blob", 102);
    }

    /// <summary>The functions exported by a loaded SQLite library.</summary>
    public static SqliteApi FromLibrary(nint library)
        => new((name, _) => NativeLibrary.GetExport(library, "sqlite3_" + name));

    /// <summary>The functions in the table that SQLite hands to an extension.</summary>
    public static SqliteApi FromRoutines(nint routines) => new((_, place) => ((nint*)routines)[place]);

    /// <summary>Whether this and <paramref name="other"/> are the same SQLite, not two copies in one process.</summary>
    public bool IsSameSqliteAs(SqliteApi other) => (nint)vfsRegister == (nint)other.vfsRegister
        || FindVfs("unix") == other.FindVfs("unix");

    /// <summary>Its version as SQLite counts: 3.40.1 is 3040001.</summary>
    public int Version => libversionNumber();

    /// <summary>Its version as people write it.</summary>
    public string VersionText => $"{Version / 1_000_000}.{Version / 1000 % 1000}.{Version % 1000}";

    /// <summary>Why this SQLite is too old, or null.</summary>
    public string? Unfit => Version < VersionMin
        ? $"RecoveryVfs needs SQLite {VersionMin / 1_000_000}.{VersionMin / 1000 % 1000} or newer; this one is "
            + $"{VersionText}."
        : null;

    /// <summary>A VFS by name, or the default one for null.</summary>
    public NativeVfs* FindVfs(string? name)
    {
        if (name is null) return vfsFind(null);
        fixed (byte* utf8 = Utf8(name)) return vfsFind(utf8);
    }

    public int RegisterVfs(NativeVfs* vfs, bool makeDefault) => vfsRegister(vfs, makeDefault ? 1 : 0);

    /// <summary>Whether a database name was given with any URI parameter.</summary>
    public bool HasParameters(byte* name) => uriKey(name, 0) != null;

    /// <summary>
    /// The URI parameters of a name that came to xOpen. Of those with the same name the first one counts, as in SQLite.
    /// </summary>
    public List<KeyValuePair<string, string>> Parameters(byte* name)
    {
        var all = new List<KeyValuePair<string, string>>();
        for (var i = 0; uriKey(name, i) is var key && key != null; i++)
        {
            var text = Marshal.PtrToStringUTF8((nint)key)!;
            if (all.All(p => p.Key != text))
                all.Add(new(text, Marshal.PtrToStringUTF8((nint)uriParameter(name, key)) ?? ""));
        }
        return all;
    }

    /// <summary>A boolean URI parameter of a name that came to xOpen.</summary>
    public bool Flag(byte* name, string parameter, bool otherwise)
    {
        fixed (byte* utf8 = Utf8(parameter)) return uriBoolean(name, utf8, otherwise ? 1 : 0) != 0;
    }

    /// <summary>
    /// Hands a message to the host's error log. It goes as the format itself: calling a variadic function with more is
    /// not portable.
    /// </summary>
    public void Log(int code, string message)
    {
        fixed (byte* utf8 = Utf8(message.Replace("%", "%%"))) log(code, utf8);
    }

    /// <summary>Has a function called with each connection that is opened from now on.</summary>
    public void AddToEveryConnection(delegate* unmanaged[Cdecl]<void*, byte**, void*, int> opened)
        => autoExtension(opened);

    /// <summary>Adds a SQL function without arguments, as harmless as any of SQLite's own.</summary>
    public void CreateFunction(void* connection, string name, delegate* unmanaged[Cdecl]<void*, int, void**,
        void> function)
    {
        const int utf8 = 1;
        fixed (byte* bytes = Utf8(name)) createFunction(connection, bytes, 0, utf8, null, function, null, null);
    }

    /// <summary>Gives a text as a SQL function's result.</summary>
    public void ReturnText(void* context, string text)
    {
        fixed (byte* bytes = Utf8(text)) resultText(context, bytes, -1, (void*)-1);
    }

    /// <summary>Adds a virtual table's module, with a number that it is given when it is connected.</summary>
    public int CreateModule(void* connection, string name, void* module, int number)
    {
        fixed (byte* bytes = Utf8(name)) return createModule(connection, bytes, module, (void*)number);
    }

    /// <summary>Says which columns the virtual table has that is being connected.</summary>
    public int DeclareTable(void* connection, string sql)
    {
        fixed (byte* bytes = Utf8(sql)) return declareTable(connection, bytes);
    }

    /// <summary>Sets something of the virtual table that is being connected that needs no value.</summary>
    public int ConfigureTable(void* connection, int what) => configureTable(connection, what);

    /// <summary>The file of one of a connection's databases; empty when it has none.</summary>
    public string FileOf(void* connection, string schema)
    {
        fixed (byte* bytes = Utf8(schema)) return Marshal.PtrToStringUTF8((nint)fileName(connection, bytes)) ?? "";
    }

    /// <summary>A value that a function is given: null, a long, a double, a string or bytes.</summary>
    public object? ValueOf(void* value) => valueType(value) switch
    {
        1 => valueInt64(value),
        2 => valueDouble(value),
        3 => Encoding.UTF8.GetString(valueText(value), valueBytes(value)),
        4 => new ReadOnlySpan<byte>(valueBlob(value), valueBytes(value)).ToArray(),
        _ => null,
    };

    /// <summary>Gives null, a long or a text as a result.</summary>
    public void Return(void* context, object? value)
    {
        if (value is long integer) resultInt64(context, integer);
        else if (value is string text) ReturnText(context, text);
    }

    /// <summary>A string in memory that SQLite frees.</summary>
    public byte* NewString(string text)
    {
        var length = Encoding.UTF8.GetByteCount(text);
        var memory = (byte*)malloc64((ulong)length + 1);
        if (memory == null) throw new OutOfMemoryException();
        Encoding.UTF8.GetBytes(text, new Span<byte>(memory, length));
        memory[length] = 0;
        return memory;
    }

    /// <summary>
    /// Copies a whole database with SQLite's backup from one VFS to another; returns null, or SQLite's message. With
    /// <paramref name="progressed"/> it goes in steps, all of one state of the source. It gets the pages done so far,
    /// and all there are; it may throw to end the copy.
    /// </summary>
    public string? Copy(string sourceName, string sourceVfs, string targetName, string targetVfs, Action<int,
        int>? progressed = null)
    {
        const int uri = 0x40, done = 101;
        void* source = null, target = null;
        try
        {
            fixed (byte* name = Utf8(sourceName), vfs = Utf8(sourceVfs))
                if (openV2(name, &source, Sqlite.OpenReadWrite | uri, vfs) != Sqlite.Ok) return Message(source);
            fixed (byte* name = Utf8(targetName), vfs = Utf8(targetVfs))
                if (openV2(name, &target, Sqlite.OpenReadWrite | Sqlite.OpenCreate | uri, vfs) != Sqlite.Ok)
                    return Message(target);
            fixed (byte* main = "main\0"u8)
            {
                var backup = backupInit(target, main, source, main);
                if (backup == null) return Message(target);
                int step = Sqlite.Error, finished;
                try
                {
                    step = progressed is null ? backupStep(backup, -1) : CopyInSteps(backup, source, progressed);
                }
                finally
                {
                    finished = backupFinish(backup);
                }
                return step == done && finished == Sqlite.Ok
                    ? null : finished != Sqlite.Ok ? Message(target) : Message(source);
            }
        }
        finally
        {
            closeV2(target);
            closeV2(source);
        }
    }

    /// <summary>Some megabytes: often enough for who watches, and the cost of a step does not show.</summary>
    const int PagesPerStep = 1024;

    /// <summary>
    /// A transaction on the source keeps its state: else a writer, between two steps, would have the copy begin again.
    /// </summary>
    int CopyInSteps(void* backup, void* source, Action<int, int> progressed)
    {
        fixed (byte* sql = "BEGIN; SELECT count(*) FROM sqlite_master\0"u8)
            if (exec(source, sql, null, null, null) is var begun && begun != Sqlite.Ok) return begun;
        while (true)
        {
            var step = backupStep(backup, PagesPerStep);
            progressed(backupPageCount(backup) - backupRemaining(backup), backupPageCount(backup));
            if (step != Sqlite.Ok) return step;
        }
    }

    string Message(void* connection) =>
        (connection == null ? null : Marshal.PtrToStringUTF8((nint)errmsg(connection))) ?? "out of memory";

    static byte[] Utf8(string text)
    {
        var bytes = new byte[Encoding.UTF8.GetByteCount(text) + 1];
        Encoding.UTF8.GetBytes(text, bytes);
        return bytes;
    }
}
