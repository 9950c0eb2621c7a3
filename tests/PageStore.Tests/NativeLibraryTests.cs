using System.Diagnostics;
using System.Runtime.Intrinsics.X86;

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

    /// <summary>
    /// As a program, too: there nobody has asked the processor yet, and a checksum by table takes most of a restore's
    /// time.
    /// </summary>
    [Fact]
    public void Its_checksums_are_made_by_the_processors_instruction()
    {
        var loader = File.ReadLines("/proc/self/maps").Select(line => line.Split(' ')[^1])
            .First(path => Path.GetFileName(path).StartsWith("ld-linux", StringComparison.Ordinal));
        using var process = Process.Start(new ProcessStartInfo(loader, [library]) { RedirectStandardError = true })!;
        var said = process.StandardError.ReadToEnd();
        process.WaitForExit();
        Assert.Contains(Sse42.IsSupported ? "CRC-32C by instruction" : "CRC-32C by table", said);
    }

    static string ReadElf(string what)
    {
        using var process =
            Process.Start(new ProcessStartInfo("readelf", ["--wide", what, library]) { RedirectStandardOutput = true })
            !;
        var text = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return text;
    }
}
