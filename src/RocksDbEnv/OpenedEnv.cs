using System.Runtime.InteropServices;
using RecoveryVfs.PageStore.Directories;
using RecoveryVfs.PageStore.Interop;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.RocksDbEnv;

/// <summary>A recorded directory that a C++ program has opened, by what it got for it.</summary>
internal sealed unsafe class OpenedEnv
{
    readonly RecordedDirectory directory;

    OpenedEnv(RecordedDirectory directory) => this.directory = directory;

    public RecordedFiles Files => directory.Files;

    public static OpenedEnv Open(NativeOptions* given)
    {
        if (given->Bytes < sizeof(NativeOptions))
            throw new RecoveryException(RecoveryError.Invalid, "The options are those of an older recovery_rocksdb.h.",
                "Compile the program with the header of this library.");
        if (!AnyRocksDb.IsOurs(given->DefaultEnv))
            throw new RecoveryException(RecoveryError.Unsupported,
                "This program has a RocksDB of its own, and librecovery_rocksdb.so has another one: two of them in one "
                    + "process cannot be used.",
                "Link the program with RocksDB's shared library (librocksdb.so.7.8).");
        var name = Marshal.PtrToStringUTF8(given->Path) ?? "";
        if (name.Length == 0)
            throw new RecoveryException(RecoveryError.Invalid, "EnvOptions.path is empty.",
                "Set it to the directory that DB::Open gets.");
        var full = Path.TrimEndingDirectorySeparator(Path.GetFullPath(name));
        Directory.CreateDirectory(full);
        return new OpenedEnv(SettingsOf(given).Open(full, name));
    }

    static RecordedSettings SettingsOf(NativeOptions* given) => new()
    {
        Remote = Marshal.PtrToStringUTF8(given->Remote),
        WaitsForRemote = given->Durability switch
        {
            0 => false,
            1 => true,
            var other => throw NotOne("durability", other),
        },
        SyncInterval = Positive("sync_interval", given->SyncIntervalMs),
        Retention = Positive("retention", given->RetentionMs),
        HintsBytes = given->HintsBytes > 0 ? given->HintsBytes : throw NotOne("hints_bytes", given->HintsBytes),
        HintsInterval = Positive("hints_interval", given->HintsIntervalMs),
        MaxLocalLogBytes = given->MaxLocalLogBytes > 0
            ? given->MaxLocalLogBytes
            : throw NotOne("max_local_log_bytes", given->MaxLocalLogBytes),
        Alarm = given->Alarm is null ? null : AlarmOf(given->Alarm, given->Context),
    };

    static TimeSpan Positive(string name, long milliseconds) =>
        milliseconds > 0 && milliseconds <= TimeSpan.MaxValue.TotalMilliseconds / 2
            ? TimeSpan.FromMilliseconds(milliseconds)
            : throw NotOne(name, milliseconds);

    static RecoveryException NotOne(string name, long value) =>
        new(RecoveryError.Invalid, $"EnvOptions.{name} is {value}.", "See recovery_rocksdb.h for what it may be.");

    static Action<RecoveryException> AlarmOf(delegate* unmanaged<nint, byte*, void> alarm, nint context) => e =>
    {
        var text = Marshal.StringToCoTaskMemUTF8(e.Message);
        alarm(context, (byte*)text);
        Marshal.FreeCoTaskMem(text);
    };

    public void Sync(TimeSpan patience) =>
        directory.SyncAsync(patience, CancellationToken.None).GetAwaiter().GetResult();

    /// <summary>Fills what an operator watches; returns what is in the way of shipping.</summary>
    public RecoveryException? Status(ref NativeState state)
    {
        state.WrittenLsn = directory.LastLsn;
        state.ShippedLsn = directory.Remote?.ShippedLsn ?? 0;
        state.IsLocked = AnyRocksDb.IsOpen(Files) ? 1 : 0;
        return directory.Remote?.State is { } remote ? remote.Final ?? remote.Hindrance?.Why : null;
    }

    /// <summary>Throws Busy, and does nothing, while a RocksDB is open in it.</summary>
    public void Close()
    {
        if (AnyRocksDb.IsOpen(Files))
            throw new RecoveryException(RecoveryError.Busy, $"A RocksDB is open in {directory.Path}.",
                "Close it (delete the DB) before its environment.")
            { Path = directory.Path };
        directory.DisposeAsync().AsTask().GetAwaiter().GetResult();
    }
}
