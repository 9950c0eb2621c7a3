using System.Globalization;
using Xunit.Abstractions;

namespace RecoveryVfs.Dist.Tests;

/// <summary>
/// The SQLites that the extension is held to, each by name: Debian's 3.40.1 (the shell, Python and, in ./build.sh
/// suite, SQLite's own tests) and the newest, which npm's better-sqlite3 brings. (e_sqlite3 3.53.4 is what Vfs.Tests
/// run on.)
/// </summary>
public sealed class SqliteVersionTests(ITestOutputHelper output)
{
    [Fact]
    public void Debians_3_40_1_is_what_shell_and_Python_run()
    {
        using var store = new StoreDirectory();
        var shell = store.Shell(
            "CREATE TABLE t(x); INSERT INTO t VALUES(1); SELECT sqlite_version(); PRAGMA recovery_verify").MustSucceed()
            .Lines;
        var python = Command.Run("/usr/bin/python3",
            Path.Combine(Repository.Root, "tests", "Dist.Tests", "host", "commits.py"), Repository.Extension,
            store.Path, "5").MustSucceed().Lines;
        output.WriteLine($"shell: {shell[0]}, python: {python[0]}");
        Assert.Equal(["3.40.1", "ok"], shell);
        Assert.Equal(["version 3.40.1", "1", "2", "3", "4", "5"], python);
    }

    [Fact]
    public void Better_sqlite3_brings_a_newer_one_than_Debian()
    {
        using var store = new StoreDirectory();
        var version = Stress(store, 1, seconds: 0).Lines[0];
        output.WriteLine(version);
        Assert.True(Version.Parse(version["version ".Length..]) > new Version(3, 45), version);
    }

    [Fact, Trait(Seeds.Kind, Seeds.Random)]
    public void On_the_newest_SQLite_four_connections_see_exact_versions() => Seeds.RunFor(0, 1, (seed, end) =>
    {
        using var store = new StoreDirectory();
        var outcome = Stress(store, seed, Seeds.Soaking ? 20 : 8);
        output.WriteLine($"seed={seed} {string.Join(' ', outcome.Lines)}");
        // That much must have happened, or it tests nothing.
        foreach (var what in (string[])["commit", "read", "rollback", "vacuum", "mode", "exclusive", "integrity",
            "busy"])
            Assert.Contains($"\"{what}\":", outcome.Output);
    });

    static Outcome Stress(StoreDirectory store, int seed, int seconds)
        => Command.Run("node", NodeExample.HostProgram("stress.js"), Repository.Extension, store.Path,
        seed.ToString(CultureInfo.InvariantCulture), seconds.ToString(CultureInfo.InvariantCulture)).MustSucceed();
}
