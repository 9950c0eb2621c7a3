using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;

namespace RecoveryVfs.Interop;

/// <summary>
/// The functions of the SQLite that hosts us, found by name in its library or by place in the
/// <c>sqlite3_api_routines</c> that it hands to a loadable extension (places as in sqlite3ext.h; they never change).
/// </summary>
internal sealed unsafe class SqliteApi
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
    readonly delegate* unmanaged[Cdecl]<void*, int> autoExtension;

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
        autoExtension = (delegate* unmanaged[Cdecl]<void*, int>)find("auto_extension", 192);
        Statements = new SqliteStatements(find);
        Functions = new SqliteFunctions(find);
        Backup = new SqliteBackup(find, Statements);
    }

    /// <summary>Connections and statements.</summary>
    public SqliteStatements Statements { get; }

    /// <summary>SQL functions and virtual tables.</summary>
    public SqliteFunctions Functions { get; }

    /// <summary>Copies of whole databases.</summary>
    public SqliteBackup Backup { get; }

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

    /// <summary>A text as SQLite takes it: UTF-8 with a zero at its end.</summary>
    internal static byte[] Utf8(string text)
    {
        var bytes = new byte[Encoding.UTF8.GetByteCount(text) + 1];
        Encoding.UTF8.GetBytes(text, bytes);
        return bytes;
    }
}
