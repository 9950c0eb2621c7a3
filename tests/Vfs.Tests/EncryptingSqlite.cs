using System.Diagnostics;
using System.Runtime.CompilerServices;

namespace RecoveryVfs.Tests;

/// <summary>
/// Builds of SQLite that encrypt, compiled from the sources that npm packages bring. They come once into build/, which
/// git ignores.
/// </summary>
static class EncryptingSqlite
{
    static readonly Dictionary<string, Lazy<Task<string>>> libraries = new()
    {
        ["SQLCipher"] = new(() => Task.Run(() => Make(
            "@journeyapps/sqlcipher", "6.0.0", "package/deps/sqlcipher-amalgamation/sqlite3.c",
            [
                "-D_GNU_SOURCE", "-include", "stdint.h", "-DSQLITE_HAS_CODEC", "-DSQLITE_TEMP_STORE=2",
                "-DSQLCIPHER_CRYPTO_OPENSSL", "-DSQLITE_EXTRA_INIT=sqlcipher_extra_init",
                "-DSQLITE_EXTRA_SHUTDOWN=sqlcipher_extra_shutdown"
            ],
            "-lcrypto"))),
        ["SQLite3MultipleCiphers"] = new(() => Task.Run(() => Make(
            "better-sqlite3-multiple-ciphers", "12.11.1", "package/deps/sqlite3/sqlite3.c", [], "-lpthread"))),
    };

    /// <summary>The library of a build. All are compiled at once when the first is asked for.</summary>
    public static async Task<string> LibraryOfAsync(string name)
    {
        foreach (var library in libraries.Values) _ = library.Value;
        return await libraries[name].Value;
    }

    static string Make(string package, string version, string source, string[] defines, string needed,
        [CallerFilePath] string here = "")
    {
        var directory = Path.GetFullPath(Path.Combine(Path.GetDirectoryName(here)!, "../../build/encrypting",
            $"{package.TrimStart('@').Replace('/', '-')}-{version}"));
        var library = Path.Combine(directory, "libsqlite.so");
        if (File.Exists(library)) return library;
        Directory.CreateDirectory(directory);
        Run("npm", "pack", "--silent", "--pack-destination", directory, $"{package}@{version}");
        Run("tar", "xzf", Directory.GetFiles(directory, "*.tgz").Single(), "-C", directory);
        var made = Path.Combine(directory, "made.so");
        // Not optimized: the compiler takes longer than the tests do.
        Run("gcc", ["-O0", "-w", "-fPIC", "-shared", "-DNDEBUG", .. defines, Path.Combine(directory, source), "-o",
            made, needed, "-lm"]);
        File.Move(made, library, overwrite: true);
        return library;
    }

    static void Run(string program, params string[] arguments)
    {
        using var process = Process.Start(new ProcessStartInfo(program, arguments) { RedirectStandardError = true })!;
        var errors = process.StandardError.ReadToEnd();
        process.WaitForExit();
        if (process.ExitCode != 0)
            throw new InvalidOperationException($"{program} {string.Join(' ', arguments)}: {errors}");
    }
}
