using System.Runtime.InteropServices;
using RecoveryVfs.RecoveryLog;
using SQLitePCL;

namespace RecoveryVfs.Interop;

/// <summary>
/// The native SQLite that the process's data provider uses. SQLitePCLRaw knows it: Microsoft.Data.Sqlite, EF Core and
/// Dapper all go through it, whichever build of SQLite (e_sqlite3, the system's, one that encrypts) its provider binds.
/// The loadable extension never comes here; SQLite itself hands it its functions.
/// </summary>
internal static class HostLibrary
{
    /// <summary>
    /// The library by the name that SQLitePCLRaw gives it, resolved as for SQLitePCLRaw's own provider (a resolver set
    /// on that assembly counts), so that both get the same one: two SQLites in one process do not see each other's
    /// locks.
    /// </summary>
    public static nint Load()
    {
        var name = Name();
        var provider = AppDomain.CurrentDomain.GetAssemblies()
            .FirstOrDefault(a => a.GetName().Name == "SQLitePCLRaw.provider." + name);
        if (provider is not null && NativeLibrary.TryLoad(name, provider, null, out var library)) return library;
        if (NativeLibrary.TryLoad(name, typeof(HostLibrary).Assembly, null, out library)) return library;
        throw new RecoveryException(RecoveryError.CannotOpen,
            $"SQLitePCLRaw uses the native SQLite library '{name}', which was not found.",
            "Reference the package that brings it, or pass the loaded library to Recovery.Register.");
    }

    /// <summary>Throws unless SQLitePCLRaw's SQLite knows the VFS: it was registered with another copy then.</summary>
    public static void RequireVfs(string vfs)
    {
        var name = Name();
        // A database in memory asks a VFS for nothing but its being there.
        var code = raw.sqlite3_open_v2(":memory:", out var database, raw.SQLITE_OPEN_READWRITE | raw.SQLITE_OPEN_MEMORY,
            vfs);
        database?.Dispose();
        if (code == raw.SQLITE_OK) return;
        throw new RecoveryException(RecoveryError.Invalid,
            $"Two SQLites are in this process: RecoveryVfs is registered with one, SQLitePCLRaw ('{name}', "
            + $"{raw.sqlite3_libversion().utf8_to_string()}) uses the other.",
            "Load the SQLite that SQLitePCLRaw's provider binds (a DllImportResolver on its assembly decides), "
            + "and pass that to Recovery.Register.");
    }

    static string Name()
    {
        if (NameOfProvider() is { } name) return name;
        // No provider was chosen yet. Microsoft.Data.Sqlite takes that of the bundle, if there is a bundle.
        Type.GetType("SQLitePCL.Batteries_V2, SQLitePCLRaw.batteries_v2")?.GetMethod("Init")?.Invoke(null, null);
        return NameOfProvider() ?? throw new RecoveryException(RecoveryError.CannotOpen,
            "SQLitePCLRaw has no provider, so there is no SQLite to register with.",
            "Reference a SQLitePCLRaw bundle, call SQLitePCL.raw.SetProvider first, "
            + "or pass a loaded SQLite to Recovery.Register.");
    }

    /// <summary>
    /// The library that SQLitePCLRaw's provider binds, or null while it has no provider: then it throws.
    /// </summary>
    static string? NameOfProvider()
    {
        try
        {
            return raw.GetNativeLibraryName();
        }
        catch (Exception)
        {
            return null;
        }
    }
}
