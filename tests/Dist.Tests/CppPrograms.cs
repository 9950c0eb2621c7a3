namespace RecoveryVfs.Dist.Tests;

/// <summary>
/// examples/rocksdb-cpp, built by CMake against dist/ as a user installed it, and a program of these tests that asks
/// for what is refused. Built once a run.
/// </summary>
public sealed class CppPrograms : IDisposable
{
    readonly StoreDirectory place = new();
    readonly Lazy<string> build, environment;

    public CppPrograms()
    {
        build = new(Build);
        environment = new(BuildEnvironment);
    }

    public string KeyValues => Path.Combine(build.Value, "keyvalues");

    public string RecordedLdb => Path.Combine(build.Value, "recorded-ldb");

    /// <summary>To be loaded into RocksDB's own tools.</summary>
    public string Plugin => Path.Combine(build.Value, "librecovery_plugin.so");

    /// <summary>host/environment.cc</summary>
    public string EnvironmentProgram => environment.Value;

    string Build()
    {
        var directory = Path.Combine(place.Path, "build");
        Command.Run("cmake", "-S", Path.Combine(Repository.Examples, "rocksdb-cpp"), "-B", directory,
            "-DCMAKE_PREFIX_PATH=" + Repository.Dist, "-DCMAKE_CXX_FLAGS=-Wall -Wextra -Werror").MustSucceed();
        Command.Run("cmake", "--build", directory).MustSucceed();
        return directory;
    }

    string BuildEnvironment()
    {
        var program = Path.Combine(place.Path, "environment");
        Command.Run("g++", "-std=c++17", "-Wall", "-Wextra", "-Werror", "-I" + Path.Combine(Repository.Dist, "include"),
            Path.Combine(Repository.Root, "tests", "Dist.Tests", "host", "environment.cc"), "-o", program,
            "-L" + Repository.Dist, "-Wl,-rpath," + Repository.Dist, "-lrecovery_rocksdb", "-l:librocksdb.so")
            .MustSucceed();
        return program;
    }

    public void Dispose() => place.Dispose();
}
