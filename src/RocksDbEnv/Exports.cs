using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using RecoveryVfs.PageStore.Interop;

namespace RecoveryVfs.RocksDbEnv;

/// <summary>What native/recovery_rocksdb.h calls. No exception leaves one of these.</summary>
internal static unsafe class Exports
{
    [UnmanagedCallersOnly(EntryPoint = "recovery_env_open", CallConvs = [typeof(CallConvCdecl)])]
    static int Open(NativeOptions* options, nint* env, byte** message)
    {
        *env = 0;
        return Guard(message, () =>
        {
            var opened = OpenedEnv.Open(options);
            OpenEnvs.Add(opened);
            *env = GCHandle.ToIntPtr(GCHandle.Alloc(opened));
        });
    }

    [UnmanagedCallersOnly(EntryPoint = "recovery_rocksdb_record", CallConvs = [typeof(CallConvCdecl)])]
    static int Record(nint env, nint options, byte** message) =>
        Guard(message, () => AnyRocksDb.RecordCpp(Of(env).Files, options));

    [UnmanagedCallersOnly(EntryPoint = "recovery_rocksdb_may_record", CallConvs = [typeof(CallConvCdecl)])]
    static int MayRecord(nint env, nint options, byte** message) =>
        Guard(message, () => AnyRocksDb.ThrowUnlessRecordable(Of(env).Files, options));

    [UnmanagedCallersOnly(EntryPoint = "recovery_rocksdb_sync", CallConvs = [typeof(CallConvCdecl)])]
    static int Sync(nint env, long patienceMs, byte** message) =>
        Guard(message, () => Of(env).Sync(TimeSpan.FromMilliseconds(Math.Clamp(patienceMs, 0, uint.MaxValue))));

    [UnmanagedCallersOnly(EntryPoint = "recovery_rocksdb_status", CallConvs = [typeof(CallConvCdecl)])]
    static int Status(nint env, NativeState* state, byte** trouble) =>
        Guard(trouble, () =>
        {
            if (Of(env).Status(ref *state) is { } why) throw why.Again();
        });

    [UnmanagedCallersOnly(EntryPoint = "recovery_rocksdb_close", CallConvs = [typeof(CallConvCdecl)])]
    static int Close(nint env, byte** message) =>
        Guard(message, () =>
        {
            OpenEnvs.Close(Of(env));
            GCHandle.FromIntPtr(env).Free();
        });

    [UnmanagedCallersOnly(EntryPoint = "recovery_rocksdb_env", CallConvs = [typeof(CallConvCdecl)])]
    static nint Env(nint env) => AnyRocksDb.EnvOf(Of(env).Files);

    static OpenedEnv Of(nint env) => (OpenedEnv)GCHandle.FromIntPtr(env).Target!;

    static int Guard(byte** message, Action call)
    {
        *message = null;
        try
        {
            call();
            return (int)Code.Ok;
        }
        catch (Exception e)
        {
            *message = Copy(e.Message);
            return (int)Codes.Of(e);
        }
    }

    /// <summary>As <c>free</c> of the C library takes it; null when there is no memory for it.</summary>
    static byte* Copy(string text)
    {
        var bytes = System.Text.Encoding.UTF8.GetBytes(text);
        byte* copy;
        try
        {
            copy = (byte*)NativeMemory.Alloc((nuint)bytes.Length + 1);
        }
        catch (OutOfMemoryException)
        {
            return null;
        }
        bytes.CopyTo(new Span<byte>(copy, bytes.Length));
        copy[bytes.Length] = 0;
        return copy;
    }
}
