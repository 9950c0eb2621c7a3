using System.Runtime.InteropServices;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.PageStore.Interop;

/// <summary>Somebody's RocksDB, by its C interface.</summary>
internal static class AnyRocksDb
{
    /// <summary>The version of the RocksDB that our native library runs on: <c>7.8.3</c>. Loads both.</summary>
    public static string Version => Marshal.PtrToStringUTF8(Native.rv_rocksdb_version())!;

    /// <summary>
    /// Makes options record what is done to the files; throws Unsupported when they ask for what cannot be recorded.
    /// </summary>
    public static void Record(RecordedFiles files, nint options) =>
        ThrowUnlessOk(Native.rv_record(files.Handle, options, out var error), error);

    /// <summary>The same for a <c>rocksdb::DBOptions</c>.</summary>
    public static void RecordCpp(RecordedFiles files, nint options) =>
        ThrowUnlessOk(Native.rv_record_cpp(files.Handle, options, out var error), error);

    /// <summary>
    /// Throws Unsupported when a <c>rocksdb::ColumnFamilyOptions</c> asks for what cannot be recorded.
    /// </summary>
    public static void ThrowUnlessRecordable(RecordedFiles files, nint familyOptions) =>
        ThrowUnlessOk(Native.rv_may_record_cpp(files.Handle, familyOptions, out var error), error);

    static void ThrowUnlessOk(Native.Code code, nint error)
    {
        if (code == Native.Code.Ok) return;
        var why = Marshal.PtrToStringUTF8(error) ?? "unknown";
        Native.rv_free(error);
        throw new RecoveryException(RecoveryError.Unsupported, $"This RocksDB cannot be recorded: {why}.");
    }

    /// <summary>The <c>rocksdb::Env</c> of the files, valid as long as they are.</summary>
    public static nint EnvOf(RecordedFiles files) => Native.rv_env(files.Handle);

    /// <summary>Whether a RocksDB is open in their directory.</summary>
    public static bool IsOpen(RecordedFiles files) => Native.rv_is_locked(files.Handle) != 0;

    /// <summary>Whether who has this <c>Env::Default()</c> calls the same RocksDB as we.</summary>
    public static bool IsOurs(nint defaultEnv) => Native.rv_has_default_env(defaultEnv) != 0;

    /// <summary>Called before the process exits, on the thread that exits.</summary>
    public static unsafe void BeforeExit(delegate* unmanaged<void> call) => Native.rv_before_exit(call);

    /// <summary>It was opened: its background work is stopped when the process exits.</summary>
    public static void Opened(nint database) => Native.rv_recorded_open(database);

    /// <summary>It is about to be closed.</summary>
    public static void Closing(nint database) => Native.rv_recorded_close(database);
}
