using System.Runtime.ExceptionServices;
using System.Runtime.InteropServices;
using RecoveryVfs.PageStore.Pages;

namespace RecoveryVfs.PageStore.Rocks;

/// <summary>One scan: carries the native callback to the caller's, and the caller's exception back.</summary>
internal sealed unsafe class RocksScan(PageScanned onPage)
{
    ExceptionDispatchInfo? thrown;

    [UnmanagedCallersOnly]
    internal static int OnPage(nint context, uint page, byte* value, int length)
    {
        var scan = (RocksScan)GCHandle.FromIntPtr(context).Target!;
        try
        {
            // The value lies in RocksDB's memory and is valid until this returns.
            return scan.Invoke(page, new ReadOnlySpan<byte>(value, length)) ? 0 : 1;
        }
        catch (Exception e) // must not be thrown through RocksDB
        {
            scan.thrown = ExceptionDispatchInfo.Capture(e);
            return 1;
        }
    }

    internal void Rethrow() => thrown?.Throw();

    bool Invoke(uint page, ReadOnlySpan<byte> value) => onPage(page, value);
}
