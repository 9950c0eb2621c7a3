using System.Runtime.InteropServices;
using RecoveryVfs.Interop;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.Replicate.Interop;

/// <summary>
/// The functions of the process's own SQLite that a replicator needs. It must be that one: two SQLites in one process
/// do not see each other's locks, and the application itself may live in this process.
/// </summary>
internal sealed unsafe class SqliteLibrary
{
    static readonly Lazy<SqliteLibrary> host = new(() => new SqliteLibrary(HostLibrary.Load()));

    /// <summary>The SQLite that SQLitePCLRaw's provider binds.</summary>
    public static SqliteLibrary Host => host.Value;

    public readonly delegate* unmanaged[Cdecl]<byte*, void**, int, byte*, int> Open;
    public readonly delegate* unmanaged[Cdecl]<void*, int> Close;
    public readonly delegate* unmanaged[Cdecl]<void*, byte*> Message;
    public readonly delegate* unmanaged[Cdecl]<void*, int> ErrorCode;
    public readonly delegate* unmanaged[Cdecl]<void*, int, int> BusyTimeout;
    public readonly delegate* unmanaged[Cdecl]<void*, byte*, nint, nint, byte**, int> Execute;
    public readonly delegate* unmanaged[Cdecl]<void*, byte*, int, void**, byte**, int> Prepare;
    public readonly delegate* unmanaged[Cdecl]<void*, int> Step;
    public readonly delegate* unmanaged[Cdecl]<void*, int> Reset;
    public readonly delegate* unmanaged[Cdecl]<void*, int, long> Column;
    public readonly delegate* unmanaged[Cdecl]<void*, int> Finish;
    public readonly delegate* unmanaged[Cdecl]<void*, byte*, int, void*, int> FileControl;
    public readonly delegate* unmanaged[Cdecl]<void*, byte*, int, int*, int*, int> Checkpoint;
    public readonly delegate* unmanaged[Cdecl]<void*, byte*, int> IsReadOnly;
    public readonly delegate* unmanaged[Cdecl]<void*, byte*, void**, int> SnapshotGet;
    public readonly delegate* unmanaged[Cdecl]<void*, void> SnapshotFree;
    public readonly delegate* unmanaged[Cdecl]<void*, int, int, int*, int> Configure;
    public readonly delegate* unmanaged[Cdecl]<void*, int, void*, int, int, int> ConfigureLookaside;

    SqliteLibrary(nint library)
    {
        nint Find(string name) => NativeLibrary.TryGetExport(library, "sqlite3_" + name, out var address) ? address
            : throw new RecoveryException(RecoveryError.CannotOpen,
                $"This process's SQLite lacks sqlite3_{name}, and a replicator cannot do without it. Use "
                    + "SQLitePCLRaw's own (SQLitePCLRaw.bundle_e_sqlite3), or run the program `recovery replicate`.");
        Open = (delegate* unmanaged[Cdecl]<byte*, void**, int, byte*, int>)Find("open_v2");
        Close = (delegate* unmanaged[Cdecl]<void*, int>)Find("close_v2");
        Message = (delegate* unmanaged[Cdecl]<void*, byte*>)Find("errmsg");
        ErrorCode = (delegate* unmanaged[Cdecl]<void*, int>)Find("extended_errcode");
        BusyTimeout = (delegate* unmanaged[Cdecl]<void*, int, int>)Find("busy_timeout");
        Execute = (delegate* unmanaged[Cdecl]<void*, byte*, nint, nint, byte**, int>)Find("exec");
        Prepare = (delegate* unmanaged[Cdecl]<void*, byte*, int, void**, byte**, int>)Find("prepare_v2");
        Step = (delegate* unmanaged[Cdecl]<void*, int>)Find("step");
        Reset = (delegate* unmanaged[Cdecl]<void*, int>)Find("reset");
        Column = (delegate* unmanaged[Cdecl]<void*, int, long>)Find("column_int64");
        Finish = (delegate* unmanaged[Cdecl]<void*, int>)Find("finalize");
        FileControl = (delegate* unmanaged[Cdecl]<void*, byte*, int, void*, int>)Find("file_control");
        Checkpoint = (delegate* unmanaged[Cdecl]<void*, byte*, int, int*, int*, int>)Find("wal_checkpoint_v2");
        IsReadOnly = (delegate* unmanaged[Cdecl]<void*, byte*, int>)Find("db_readonly");
        SnapshotGet = (delegate* unmanaged[Cdecl]<void*, byte*, void**, int>)Find("snapshot_get");
        SnapshotFree = (delegate* unmanaged[Cdecl]<void*, void>)Find("snapshot_free");
        Configure = (delegate* unmanaged[Cdecl]<void*, int, int, int*, int>)Find("db_config");
        ConfigureLookaside = (delegate* unmanaged[Cdecl]<void*, int, void*, int, int, int>)Find("db_config");
        fixed (byte* unix = "unix"u8)
        {
            var system = ((delegate* unmanaged[Cdecl]<byte*, NativeVfs*>)Find("vfs_find"))(unix);
            _ = ((delegate* unmanaged[Cdecl]<NativeVfs*, int, int>)Find("vfs_register"))(PlainVfs.Over(system), 0);
        }
    }
}
