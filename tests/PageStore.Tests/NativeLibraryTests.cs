using System.Diagnostics;

namespace RecoveryVfs.PageStore.Tests;

/// <summary>How librecovery_native.so was linked.</summary>
public sealed class NativeLibraryTests
{
    static readonly string library = Path.Combine(AppContext.BaseDirectory, "librecovery_native.so");

    [Fact]
    public void It_is_hardened()
    {
        Assert.Contains("BIND_NOW", ReadElf("--dynamic"));
        Assert.Contains("GNU_RELRO", ReadElf("--program-headers"));
        var symbols = ReadElf("--dyn-syms");
        Assert.Contains("__stack_chk_fail", symbols); // -fstack-protector-strong
        Assert.Contains("__vsnprintf_chk", symbols); // _FORTIFY_SOURCE
    }

    static string ReadElf(string what)
    {
        using var process = Process.Start(new ProcessStartInfo("readelf", ["--wide", what, library]) { RedirectStandardOutput = true })!;
        var text = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return text;
    }
}
