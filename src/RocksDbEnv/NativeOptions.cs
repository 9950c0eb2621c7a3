using System.Runtime.InteropServices;

namespace RecoveryVfs.RocksDbEnv;

/// <summary><c>recovery_rocksdb_options</c> of native/recovery_rocksdb.h.</summary>
[StructLayout(LayoutKind.Sequential)]
internal unsafe struct NativeOptions
{
    public long Bytes;
    public nint Path;
    public nint Remote;
    public long Durability;
    public long SyncIntervalMs;
    public long RetentionMs;
    public long HintsBytes;
    public long HintsIntervalMs;
    public long MaxLocalLogBytes;
    public delegate* unmanaged<nint, byte*, void> Alarm;
    public nint Context;
    public nint DefaultEnv;
}

/// <summary><c>recovery_rocksdb_state</c>.</summary>
[StructLayout(LayoutKind.Sequential)]
internal struct NativeState
{
    public long Bytes;
    public ulong WrittenLsn;
    public ulong ShippedLsn;
    public long IsLocked;
}
