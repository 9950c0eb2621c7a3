using System.IO.Compression;

namespace RecoveryVfs.Dist.Tests;

/// <summary>
/// What <c>./build.sh dist --arch arm64</c> has made, run by qemu in Debian's arm64 libraries: it is whole, writes,
/// survives a kill, ships and comes back. How fast it is, and what that machine's memory model makes of threads, only
/// such a machine can tell.
/// </summary>
[Trait("Kind", "Arm64")]
public sealed class Arm64Tests
{
    static readonly string built = Path.Combine(Repository.Root, "dist", "linux-arm64");
    static readonly string debian = Path.Combine(Repository.Root, "build", "root-arm64");

    static string[] Emulated(string program, params string[] arguments) => ["-L", debian, program, .. arguments];

    /// <summary>A trial starts a process, which this machine cannot do with a program of that one.</summary>
    static Outcome Recovery(params string[] arguments)
        => Command.RunWith(new() { ["RECOVERY_TRIAL"] = "off" }, "qemu-aarch64-static",
            Emulated(Path.Combine(built, "recovery"), arguments)).MustSucceed();

    /// <summary>Debian's shell for arm64, with the extension, in a database that ships to a directory.</summary>
    static string[] Shell(StoreDirectory store, params string[] statements)
        => Emulated(Path.Combine(debian, "usr", "bin", "sqlite3"), ["-batch", "-bail", "-cmd",
            ".load " + Path.Combine(built, "recovery"), "-cmd",
            $".open '{store.Uri}&remote=file://{store.Path}/remote'", ":memory:", .. statements]);

    [Fact]
    public void A_killed_writers_commits_are_there_ship_and_come_back()
    {
        using var store = new StoreDirectory();
        var returned = 0;
        using (var writer = Command.Start([], "qemu-aarch64-static", Shell(store)))
        {
            writer.StandardInput.WriteLine("CREATE TABLE t(x); PRAGMA recovery_sync;");
            Assert.NotNull(writer.StandardOutput.ReadLine());
            for (; returned < 100; returned++)
            {
                writer.StandardInput.WriteLine($"INSERT INTO t VALUES ({returned}); SELECT max(x) FROM t;");
                Assert.Equal($"{returned}", writer.StandardOutput.ReadLine());
            }
            writer.Kill();
            writer.WaitForExit();
        }
        var found = Command.Run("qemu-aarch64-static", Shell(store, "SELECT count(*), sum(x) FROM t",
            "PRAGMA integrity_check", "PRAGMA recovery_sync")).MustSucceed().Lines;
        Assert.Equal(["100|4950", "ok"], found[..2]);

        var remote = $"file://{store.Path}/remote";
        Assert.Equal("Everything verifies", Recovery("verify", remote).Output[..19]);
        Recovery("restore", remote, Path.Combine(store.Path, "place"));
        var plain = Path.Combine(store.Path, "plain.db");
        Recovery("export", Path.Combine(store.Path, "place", "app.db"), plain);
        Assert.Equal("100|4950\nok", Command.Run("sqlite3", plain,
            "SELECT count(*), sum(x) FROM t; PRAGMA integrity_check").MustSucceed().Output.Trim());
    }

    [Fact]
    public void What_another_machine_shipped_is_read()
    {
        using var place = new StoreDirectory();
        ZipFile.ExtractToDirectory(Path.Combine(Repository.Root, "tests", "Vfs.Tests", "earlier", "14bcb3e.zip"),
            place.Path);
        Assert.Equal("Everything verifies",
            Recovery("verify", $"file://{place.Path}/closed/remote").Output[..19]);
    }

    [Fact]
    public void Checksums_are_made_by_the_processors_instruction()
        => Assert.Contains("CRC-32C by instruction", Command.Run("qemu-aarch64-static",
            Emulated(Path.Combine(debian, "lib", "ld-linux-aarch64.so.1"),
            Path.Combine(built, "librecovery_native.so"))).Errors);

    [Fact]
    public void The_packages_carry_the_libraries_of_both_machines()
    {
        IEnumerable<string> Natives(string package, string runtime)
        {
            using var file = ZipFile.OpenRead(Directory.GetFiles(Path.Combine(built, "packages"),
                $"{package}.?.*.nupkg").Single());
            return [.. file.Entries.Select(entry => entry.FullName).Order(StringComparer.Ordinal)
                .Where(name => name.StartsWith($"runtimes/{runtime}/native/", StringComparison.Ordinal))
                .Select(name => name.Split('/')[^1])];
        }

        foreach (var (package, library) in (ReadOnlySpan<(string, string)>)
            [("RecoveryVfs.PageStore", "librecovery_native.so"), ("RecoveryVfs.RocksDb", "librocksdb.so")])
        {
            var libraries = Natives(package, "linux-arm64");
            Assert.Contains(library, libraries);
            Assert.Equal(Natives(package, "linux-x64"), libraries);
        }
    }
}
