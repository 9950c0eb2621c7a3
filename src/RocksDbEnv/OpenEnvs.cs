using System.Runtime.InteropServices;
using RecoveryVfs.PageStore.Interop;

namespace RecoveryVfs.RocksDbEnv;

/// <summary>The environments of this process, and what becomes of them when it exits.</summary>
internal static unsafe class OpenEnvs
{
    static readonly Lock gate = new();
    static readonly HashSet<OpenedEnv> open = [];
    static bool exits, registered;

    public static void Add(OpenedEnv env)
    {
        lock (gate)
        {
            open.Add(env);
            if (registered) return;
            registered = true;
            AnyRocksDb.BeforeExit(&Exit);
        }
    }

    /// <summary>
    /// Closes one. Once the process exits nothing is closed any more: the next opening finds what is to be done.
    /// </summary>
    public static void Close(OpenedEnv env)
    {
        lock (gate)
            if (exits) return;
        env.Close();
        lock (gate) open.Remove(env);
    }

    /// <summary>
    /// A program that exits without closing them: those in which no RocksDB is open any more ship what is left.
    /// </summary>
    [UnmanagedCallersOnly]
    static void Exit()
    {
        OpenedEnv[] left;
        lock (gate)
        {
            exits = true;
            left = [.. open];
        }
        foreach (var env in left)
            try
            {
                if (!AnyRocksDb.IsOpen(env.Files)) env.Close();
            }
            catch (Exception)
            {
                // Nothing may be thrown into the program's exit.
            }
    }
}
