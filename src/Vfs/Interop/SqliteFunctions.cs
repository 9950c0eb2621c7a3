using System.Runtime.InteropServices;
using System.Text;

namespace RecoveryVfs.Interop;

/// <summary>The functions of SQLite that SQL functions and virtual tables are made with.</summary>
internal sealed unsafe class SqliteFunctions
{
    readonly delegate* unmanaged[Cdecl]<void*, byte*, int, int, void*, void*, void*, void*, int> createFunction;
    readonly delegate* unmanaged[Cdecl]<void*, byte*, int, void*, void> resultText;
    readonly delegate* unmanaged[Cdecl]<void*, long, void> resultInt64;
    readonly delegate* unmanaged[Cdecl]<void*, byte*, void*, void*, int> createModule;
    readonly delegate* unmanaged[Cdecl]<void*, byte*, int> declareTable;
    readonly delegate* unmanaged[Cdecl]<void*, int, int> configureTable;
    readonly delegate* unmanaged[Cdecl]<void*, byte*, byte*> fileName;
    readonly delegate* unmanaged[Cdecl]<void*, int> valueType;
    readonly delegate* unmanaged[Cdecl]<void*, int> valueBytes;
    readonly delegate* unmanaged[Cdecl]<void*, long> valueInt64;
    readonly delegate* unmanaged[Cdecl]<void*, double> valueDouble;
    readonly delegate* unmanaged[Cdecl]<void*, byte*> valueText;
    readonly delegate* unmanaged[Cdecl]<void*, byte*> valueBlob;

    public SqliteFunctions(Func<string, int, nint> find)
    {
        createFunction =
            (delegate* unmanaged[Cdecl]<void*, byte*, int, int, void*, void*, void*, void*, int>)find("create_function",
            45);
        resultText = (delegate* unmanaged[Cdecl]<void*, byte*, int, void*, void>)find("result_text", 85);
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

    /// <summary>Adds a SQL function without arguments, as harmless as any of SQLite's own.</summary>
    public void CreateFunction(void* connection, string name, delegate* unmanaged[Cdecl]<void*, int, void**,
        void> function)
    {
        const int utf8 = 1;
        fixed (byte* bytes = SqliteApi.Utf8(name))
            createFunction(connection, bytes, 0, utf8, null, function, null, null);
    }

    /// <summary>Gives a text as a SQL function's result.</summary>
    public void ReturnText(void* context, string text)
    {
        fixed (byte* bytes = SqliteApi.Utf8(text)) resultText(context, bytes, -1, (void*)-1);
    }

    /// <summary>Adds a virtual table's module, with a number that it is given when it is connected.</summary>
    public int CreateModule(void* connection, string name, void* module, int number)
    {
        fixed (byte* bytes = SqliteApi.Utf8(name)) return createModule(connection, bytes, module, (void*)number);
    }

    /// <summary>Says which columns the virtual table has that is being connected.</summary>
    public int DeclareTable(void* connection, string sql)
    {
        fixed (byte* bytes = SqliteApi.Utf8(sql)) return declareTable(connection, bytes);
    }

    /// <summary>Sets something of the virtual table that is being connected that needs no value.</summary>
    public int ConfigureTable(void* connection, int what) => configureTable(connection, what);

    /// <summary>The file of one of a connection's databases; empty when it has none.</summary>
    public string FileOf(void* connection, string schema)
    {
        fixed (byte* bytes = SqliteApi.Utf8(schema))
            return Marshal.PtrToStringUTF8((nint)fileName(connection, bytes)) ?? "";
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
}
