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
    public static void Record(RecordedFiles files, nint options)
    {
        if (Native.rv_record(files.Handle, options, out var error) == Native.Code.Ok) return;
        var why = Marshal.PtrToStringUTF8(error) ?? "unknown";
        Native.rv_free(error);
        throw new RecoveryException(RecoveryError.Unsupported, $"This RocksDB cannot be recorded: {why}.");
    }

    /// <summary>It was opened: its background work is stopped when the process exits.</summary>
    public static void Opened(nint database) => Native.rv_recorded_open(database);

    /// <summary>It is about to be closed.</summary>
    public static void Closing(nint database) => Native.rv_recorded_close(database);
}
