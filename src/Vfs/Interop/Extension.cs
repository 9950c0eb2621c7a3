using System.Runtime.InteropServices;

namespace RecoveryVfs.Interop;

/// <summary>The way in for the loadable extension: called by its entry point with what SQLite hands to one.</summary>
internal static unsafe class Extension
{
    /// <summary>
    /// Registers the VFS with the SQLite that loads us, for the life of the process. RECOVERY_VFS_DEFAULT=1 makes it the default VFS;
    /// options come from RECOVERY_* in the environment. On an error the message is put where SQLite expects it.
    /// </summary>
    public static int Initialize(nint database, byte** message, nint routines)
    {
        try
        {
            Options.Process = new RecoveryOptions().With(Options.FromEnvironment());
            VfsEntryPoints.Register(SqliteApi.FromRoutines(routines), Environment.GetEnvironmentVariable("RECOVERY_VFS_DEFAULT") == "1");
            return Sqlite.OkLoadPermanently;
        }
        catch (Exception e)
        {
            if (message != null) *message = SqliteApi.FromRoutines(routines).NewString(e.Message);
            return Sqlite.Error;
        }
    }
}
