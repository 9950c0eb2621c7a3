using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;

namespace RecoveryVfs.Interop;

/// <summary>
/// The SQL function <c>recovery_last_error()</c>, on every connection that is opened from now on, whatever its VFS:
/// what the last failure said in full. After "unable to open database file" there is no connection of ours to ask. (The
/// loadable extension has the same in C, entry.c.)
/// </summary>
internal static unsafe class LastErrorFunction
{
    /// <summary>Called with each connection, for what else it gets.</summary>
    public static Action<nint>? Opened { get; set; }

    /// <summary>
    /// Adds it to connections to come. A SQLite that was built without that way has the pragma and the log.
    /// </summary>
    public static void Add(SqliteApi api) => api.AddToEveryConnection(&OnOpened);

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    static int OnOpened(void* connection, byte** error, void* routines)
    {
        try
        {
            VfsEntryPoints.Api.Functions.CreateFunction(connection, "recovery_last_error", &Answer);
            Opened?.Invoke((nint)connection);
        }
        catch (Exception)
        {
            // A connection must not fail to open for want of a way to ask why others did.
        }
        return Sqlite.Ok;
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    static void Answer(void* context, int count, void** values)
    {
        try
        {
            VfsEntryPoints.Api.Functions.ReturnText(context, Failures.Latest);
        }
        catch (Exception)
        {
            // No result is NULL.
        }
    }
}
