using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using NativeImport;
using RecoveryVfs.PageStore.Interop;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.RocksDb.Binding;

/// <summary>
/// Has the binding (RocksDbSharp) call the RocksDB that our native library calls, and no other: two of them in one
/// process share what they must not.
/// </summary>
internal static class OurRocksDb
{
    const string Name = "librocksdb", OurName = "librocksdb.so.7.8";

    static readonly Lock gate = new();
    static bool bound;

    /// <summary>Binds it, once; throws when this process has loaded another RocksDB.</summary>
    public static void Bind()
    {
        lock (gate)
        {
            if (bound) return;
            var version = AnyRocksDb.Version;
            ThrowIfAnother();
            var ours = NativeLibrary.Load(Mapped().First(IsOurs));
            try
            {
                RuntimeHelpers.RunClassConstructor(typeof(RocksDbSharp.Native).TypeHandle);
            }
            catch (TypeInitializationException e)
            {
                throw new RecoveryException(RecoveryError.CannotOpen,
                    $"RocksDbSharp did not find {Name}.so, which is beside librecovery_native.so in the package.",
                    "Copy the package's native files where the program is.", e);
            }
            ThrowIfAnother();
            RocksDbSharp.Native.Instance = Importers.Import<RocksDbSharp.Native>(new Importer(ours), "rocksdb", version,
                suppressUnload: true);
            bound = true;
        }
    }

    /// <summary>The libraries of that name that this process has loaded, and can load again.</summary>
    static IEnumerable<string> Mapped() => File.ReadLines("/proc/self/maps")
        .Select(line => line.IndexOf('/', StringComparison.Ordinal) is var at and >= 0 ? line[at..] : "")
        .Where(path => Path.GetFileName(path).StartsWith(Name, StringComparison.Ordinal)).Distinct();

    static bool IsOurs(string path) => Path.GetFileName(path).StartsWith(OurName, StringComparison.Ordinal);

    /// <summary>Ours may be there under the name that the binding looks for: a reference, of a few kilobytes.</summary>
    static void ThrowIfAnother()
    {
        const long referenceBytesMax = 1 << 20;
        if (Mapped().FirstOrDefault(p => !IsOurs(p) && File.Exists(p) && new FileInfo(p).Length > referenceBytesMax)
            is { } other)
            throw new RecoveryException(RecoveryError.Unsupported,
                $"This process has loaded another RocksDB, {other}: that of the NuGet package RocksDB, probably. It "
                    + "and RecoveryVfs cannot use two of them.",
                "Refer to that package with ExcludeAssets=\"native\", and open recorded databases first.")
            { Path = other };
    }

    /// <summary>
    /// Gives the binding our library, without the functions that it would call with other parameters.
    /// </summary>
    sealed class Importer(nint library) : INativeLibImporter
    {
        static readonly MethodInfo makeDelegate = typeof(Marshal).GetMethods().Single(m =>
            m.Name == nameof(Marshal.GetDelegateForFunctionPointer) && m.IsGenericMethod);

        public nint LoadLibrary(string name) => library;

        public nint GetProcAddress(nint lib, string entryPoint) =>
            !ChangedFunctions.Names.Contains(entryPoint)
                && NativeLibrary.TryGetExport(library, entryPoint, out var found)
                ? found
                : 0;

        public void FreeLibrary(nint lib)
        {
            // It stays for the life of the process.
        }

        public string Translate(string name, string suffix = "") => name;

        // What is missing is null here, and an exception that names it when it is called.
        public object? GetDelegate(nint lib, string entryPoint, Type delegateType) =>
            GetProcAddress(lib, entryPoint) is var found and not 0
                ? makeDelegate.MakeGenericMethod(delegateType).Invoke(null, [found])
                : null;
    }
}
