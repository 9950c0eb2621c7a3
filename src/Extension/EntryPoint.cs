using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using RecoveryVfs.Functions;
using RecoveryVfs.Interop;
using RecoveryVfs.PageStore.Rocks;

namespace RecoveryVfs.Extension;

/// <summary>What the face in C (entry.c) calls when the first file is opened through it.</summary>
internal static unsafe class EntryPoint
{
    [UnmanagedCallersOnly]
    static void CloseIdleStores()
    {
        try
        {
            Recovery.EndWithProcess();
        }
        catch (Exception)
        {
            // Nothing may be thrown into the host's exit; what is not closed is replayed by the next open.
        }
    }

    /// <summary>
    /// Makes the VFS for the SQLite whose functions <paramref name="routines"/> lists; null, with the reason in its
    /// log, when that fails.
    /// </summary>
    [UnmanagedCallersOnly(EntryPoint = "recovery_start", CallConvs = [typeof(CallConvCdecl)])]
    static NativeVfs* Start(nint routines, int fileBytes)
    {
        var api = SqliteApi.FromRoutines(routines);
        try
        {
            Options.Process = new RecoveryOptions().WithEnvironment();
            EventLog.Start();
            Recovery.StartServices();
            var vfs = VfsEntryPoints.Prepare(api);
            if (vfs->FileSizeBytes > fileBytes)
                throw new InvalidOperationException(
                    $"The VFS needs {vfs->FileSizeBytes} bytes a file, and entry.c says {fileBytes}.");
            // The host knows nothing of stores that linger: they are closed, and what they have not shipped yet is
            // shipped, before it exits.
            RocksPageStore.BeforeExit(&CloseIdleStores);
            return vfs;
        }
        catch (Exception e)
        {
            api.Log(Sqlite.CantOpen, "RecoveryVfs did not start: " + e.Message);
            return null;
        }
    }

    /// <summary>
    /// The methods of the table-valued functions, each of which is told its place in the list of names in entry.c.
    /// </summary>
    [UnmanagedCallersOnly(EntryPoint = "recovery_functions", CallConvs = [typeof(CallConvCdecl)])]
    static NativeModule* Functions() => RowModule.Methods;
}
