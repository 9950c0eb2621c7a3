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
        try
        {
            *env = 0;
            var opened = OpenedEnv.Open(options);
            OpenEnvs.Add(opened);
            *env = GCHandle.ToIntPtr(GCHandle.Alloc(opened));
            return Fine(message);
        }
        catch (Exception e)
        {
            return Failed(e, message);
        }
    }

    [UnmanagedCallersOnly(EntryPoint = "recovery_rocksdb_record", CallConvs = [typeof(CallConvCdecl)])]
    static int Record(nint env, nint options, byte** message)
    {
        try
        {
            AnyRocksDb.RecordCpp(Of(env).Files, options);
            return Fine(message);
        }
        catch (Exception e)
        {
            return Failed(e, message);
        }
    }

    [UnmanagedCallersOnly(EntryPoint = "recovery_rocksdb_may_record", CallConvs = [typeof(CallConvCdecl)])]
    static int MayRecord(nint env, nint options, byte** message)
    {
        try
        {
            AnyRocksDb.ThrowUnlessRecordable(Of(env).Files, options);
            return Fine(message);
        }
        catch (Exception e)
        {
            return Failed(e, message);
        }
    }

    [UnmanagedCallersOnly(EntryPoint = "recovery_rocksdb_sync", CallConvs = [typeof(CallConvCdecl)])]
    static int Sync(nint env, long patienceMs, byte** message)
    {
        try
        {
            Of(env).Sync(TimeSpan.FromMilliseconds(Math.Clamp(patienceMs, 0, uint.MaxValue)));
            return Fine(message);
        }
        catch (Exception e)
        {
            return Failed(e, message);
        }
    }

    [UnmanagedCallersOnly(EntryPoint = "recovery_rocksdb_status", CallConvs = [typeof(CallConvCdecl)])]
    static int Status(nint env, NativeState* state, byte** message)
    {
        try
        {
            if (Of(env).Status(ref *state) is { } why) return Failed(why, message);
            return Fine(message);
        }
        catch (Exception e)
        {
            return Failed(e, message);
        }
    }

    [UnmanagedCallersOnly(EntryPoint = "recovery_rocksdb_close", CallConvs = [typeof(CallConvCdecl)])]
    static int Close(nint env, byte** message)
    {
        try
        {
            OpenEnvs.Close(Of(env));
            GCHandle.FromIntPtr(env).Free();
            return Fine(message);
        }
        catch (Exception e)
        {
            return Failed(e, message);
        }
    }

    [UnmanagedCallersOnly(EntryPoint = "recovery_rocksdb_env", CallConvs = [typeof(CallConvCdecl)])]
    static nint Env(nint env)
    {
        try
        {
            return AnyRocksDb.EnvOf(Of(env).Files);
        }
        catch (Exception)
        {
            return 0; // The header says what null is.
        }
    }

    static OpenedEnv Of(nint env) => (OpenedEnv)GCHandle.FromIntPtr(env).Target!;

    static int Fine(byte** message)
    {
        *message = null;
        return (int)Code.Ok;
    }

    static int Failed(Exception why, byte** message)
    {
        *message = Copy(why.Message);
        return (int)Codes.Of(why);
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
