using System.Runtime.InteropServices;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.Interop;

/// <summary>Finds the SQLite that the process's data provider uses.</summary>
internal static class HostLibrary
{
    /// <summary>
    /// The library by the name that SQLitePCLRaw gives it, resolved as for SQLitePCLRaw's own provider (a resolver set on that assembly
    /// counts), so that both get the same one: two SQLites in one process do not see each other's locks.
    /// </summary>
    public static nint Load(string name)
    {
        var provider = AppDomain.CurrentDomain.GetAssemblies().FirstOrDefault(a => a.GetName().Name == "SQLitePCLRaw.provider." + name);
        if (provider is not null && NativeLibrary.TryLoad(name, provider, null, out var library)) return library;
        if (NativeLibrary.TryLoad(name, typeof(HostLibrary).Assembly, null, out library)) return library;
        throw new RecoveryException(RecoveryError.CannotOpen,
            $"The native SQLite library '{name}' was not found. Reference SQLitePCLRaw.bundle_e_sqlite3, or pass a loaded library to Recovery.Register.");
    }
}
