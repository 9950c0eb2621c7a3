using System.Diagnostics.CodeAnalysis;
using System.Reflection;
using System.Runtime.InteropServices;

namespace RecoveryVfs.PageStore.Interop;

/// <summary>
/// Finds librecovery_native.so: beside this assembly, under runtimes/ as NuGet lays it out, beside the shared library
/// that this code was compiled into (NativeAOT), in build/native of a source tree, or wherever the system's loader
/// looks.
/// </summary>
internal static unsafe partial class NativeLoader
{
    const string FileName = "librecovery_native.so";

    /// <summary>Has to run before the first call into the library.</summary>
    internal static void Register() => NativeLibrary.SetDllImportResolver(typeof(NativeLoader).Assembly, Resolve);

    static nint Resolve(string library, Assembly assembly, DllImportSearchPath? searchPath)
    {
        if (library != Native.Library)
            return 0;
        foreach (var path in Candidates())
            if (File.Exists(path))
                return NativeLibrary.Load(path); // its error, if any, names what is missing
        return NativeLibrary.TryLoad(FileName, out var handle)
            ? handle
            : throw new DllNotFoundException(
                $"{FileName} was not found. Build it with native/build.sh, or put it (see native/bundle.sh) in one "
                    + $"of: {string.Join(", ", Candidates())}.");
    }

    static IEnumerable<string> Candidates()
    {
        string?[] homes = [Home(), AppContext.BaseDirectory];
        foreach (var home in homes.Where(h => !string.IsNullOrEmpty(h)).Distinct())
        {
            yield return Path.Combine(home!, FileName);
            yield return Path.Combine(home!, "runtimes",
                $"linux-{RuntimeInformation.ProcessArchitecture.ToString().ToLowerInvariant()}", "native", FileName);
        }
        for (var parent = homes[0]; !string.IsNullOrEmpty(parent); parent = Path.GetDirectoryName(parent))
            if (File.Exists(Path.Combine(parent, "RecoveryVfs.sln")))
                yield return Path.Combine(parent, "build", "native", FileName);
    }

    /// <summary>The directory of the file that holds this code.</summary>
    [UnconditionalSuppressMessage("SingleFile", "IL3000",
        Justification = "An empty location is the case handled next.")]
    static string? Home()
    {
        var location = typeof(NativeLoader).Assembly.Location;
        if (location.Length > 0)
            return Path.GetDirectoryName(location);
        // Compiled ahead of time: ask the loader which file this function was loaded from.
        return dladdr((nint)(delegate* unmanaged<void>)&Anchor, out var info) != 0
            ? Path.GetDirectoryName(Path.GetFullPath(Marshal.PtrToStringUTF8(info.FileName) ?? ""))
            : null;
    }

    [UnmanagedCallersOnly]
    static void Anchor()
    {
    }

    /// <summary>Dl_info of dlfcn.h.</summary>
    [StructLayout(LayoutKind.Sequential)]
    struct AddressInfo
    {
        public nint FileName, FileBase, SymbolName, SymbolAddress;
    }

    [LibraryImport("libc.so.6")]
    private static partial int dladdr(nint address, out AddressInfo info);
}
