using System.Diagnostics;
using System.Globalization;

namespace RecoveryVfs.Dist.Tests;

/// <summary>A RocksDB of a C++ program, recorded through recovery_rocksdb.h.</summary>
public sealed class RocksDbCppTests(CppPrograms programs) : IClassFixture<CppPrograms>
{
    static string Recovery => Path.Combine(Repository.Dist, "recovery");

    [Fact]
    public void The_example_builds_with_CMake_and_its_RocksDB_comes_back_and_goes_on()
    {
        using var place = new StoreDirectory();
        var remote = $"file://{place.Path}/remote";
        var (first, second) = (Path.Combine(place.Path, "first"), Path.Combine(place.Path, "second"));
        Assert.Equal(["a=1", "b=2"], Command.Run(programs.KeyValues, first, remote, "a=1", "b=2").MustSucceed().Lines);
        Directory.Delete(first, recursive: true);
        Command.Run(Recovery, "restore", remote, second).MustSucceed();
        Assert.Equal("1\n", Command.Run("ldb", $"--db={second}", "get", "a").MustSucceed().Output);
        Assert.Equal(["a=1", "b=2", "c=3"], Command.Run(programs.KeyValues, second, remote, "c=3").MustSucceed().Lines);
        Command.Run(Recovery, "verify", remote).MustSucceed();
    }

    [Fact]
    public void A_killed_program_has_lost_nothing_that_was_synced_here_or_there()
    {
        using var place = new StoreDirectory();
        var remote = $"file://{place.Path}/remote";
        var path = Path.Combine(place.Path, "kv");
        var (synced, shipped) = (0, 0);
        for (var life = 0; life < 3; life++)
        {
            (synced, shipped) = Live(path, remote, synced, shipped);
            // What the killed process left, by a RocksDB that knows nothing of us.
            Assert.True(Newest(path) >= synced);
            var restored = Path.Combine(place.Path, $"restored-{life}");
            Command.Run(Recovery, "restore", remote, restored).MustSucceed();
            Assert.InRange(Newest(restored), shipped, int.MaxValue);
        }
    }

    static int Newest(string path) => int.Parse(
        Command.Run("ldb", $"--db={path}", "get", "newest").MustSucceed().Output, CultureInfo.InvariantCulture);

    /// <summary>Writes until it has shipped something, and some more; then it is killed.</summary>
    (int Synced, int Shipped) Live(string path, string remote, int synced, int shipped)
    {
        using var process = Command.Start([], programs.KeyValues, path, remote);
        process.BeginErrorReadLine();
        for (var i = 1; i <= 40; i++)
        {
            synced++;
            Answered(process, $"newest={synced}");
            if (i != 20) continue;
            Answered(process, "sync");
            shipped = synced;
        }
        process.StandardInput.WriteLine($"newest={synced + 1}");
        process.Kill();
        process.WaitForExit();
        return (synced, shipped);
    }

    static void Answered(Process process, string line)
    {
        process.StandardInput.WriteLine(line);
        process.StandardInput.Flush();
        Assert.Equal(line, process.StandardOutput.ReadLine());
    }

    [Fact]
    public void Ldb_with_our_environment_is_recorded()
    {
        using var place = new StoreDirectory();
        var (remote, path, restored) =
            ($"file://{place.Path}/remote", Path.Combine(place.Path, "kv"), Path.Combine(place.Path, "restored"));
        Assert.Equal("OK\n", Command.Run(programs.RecordedLdb, remote, "--db=" + path, "--create_if_missing", "put",
            "a", "1").MustSucceed().Output);
        Command.Run(programs.RecordedLdb, remote, "--db=" + path, "batchput", "b", "2", "c", "3").MustSucceed();
        Command.Run(programs.RecordedLdb, remote, "--db=" + path, "compact").MustSucceed();
        RestoreAll(path, remote, restored);
        Assert.Equal(["a : 1", "b : 2", "c : 3"],
            Command.Run("ldb", "--db=" + restored, "scan").MustSucceed().Lines);
        Command.Run("ldb", "--db=" + restored, "checkconsistency").MustSucceed();
    }

    [Fact]
    public void Db_bench_of_Debian_runs_through_it()
    {
        using var place = new StoreDirectory();
        var (remote, path, restored) =
            ($"file://{place.Path}/remote", Path.Combine(place.Path, "kv"), Path.Combine(place.Path, "restored"));
        Command.RunWith(new() { ["LD_PRELOAD"] = programs.Plugin }, "db_bench", $"--env_uri=recovery:{path} {remote}",
            "--db=" + path, "--num=8000", "--threads=2", "--write_buffer_size=262144", "--num_column_families=2",
            "--use_direct_io_for_flush_and_compaction", "--rate_limiter_bytes_per_sec=50000000", "--enable_blob_files",
            "--min_blob_size=64", "--benchmarks=fillrandom,overwrite,deleterandom,readrandom,seekrandom,flush,compact")
            .MustSucceed();
        RestoreAll(path, remote, restored);
        foreach (var family in (string[])["default", "column_family_name_000001"])
        {
            var dumps = ((string[])[path, restored]).Select(directory => Command.Run("ldb", "--db=" + directory,
                "--column_family=" + family, "scan", "--hex").MustSucceed().Output).ToArray();
            Assert.True(dumps[0] == dumps[1], $"{family}: {dumps[0].Length} and {dumps[1].Length} characters");
            Assert.True(dumps[0].Length > 1000, family);
        }
    }

    /// <summary>
    /// A program that exits ships what it has left, but not for long: on a slow machine this may be some.
    /// </summary>
    static void RestoreAll(string path, string remote, string restored)
    {
        Command.Run(Recovery, "sync", path).MustSucceed();
        Command.Run(Recovery, "restore", remote, restored).MustSucceed();
    }

    [Fact]
    public void What_cannot_be_recorded_is_refused_by_name()
    {
        using var place = new StoreDirectory();
        var said = Ask(place, "options");
        foreach (var (part, name) in ((string, string)[])[("mmap", "allow_mmap_writes"), ("db_paths", "db_paths"),
            ("cf_paths", "cf_paths"), ("wal_dir", "wal_dir"), ("env", "environment already"), ("family", "cf_paths")])
        {
            Assert.StartsWith("Not implemented: This RocksDB cannot be recorded: ", said[part],
                StringComparison.Ordinal);
            Assert.Contains(name, said[part], StringComparison.Ordinal);
        }
        Assert.Equal("OK", said["own path"]);
    }

    [Fact]
    public void What_goes_past_the_options_is_refused_by_the_environment()
    {
        using var place = new StoreDirectory();
        var said = Ask(place, "behind");
        Assert.Contains("allow_mmap_writes", said["mmap behind"], StringComparison.Ordinal);
        Assert.Contains("by exactly that name", said["another name"], StringComparison.Ordinal);
        Assert.Contains("by exactly that name", said["another directory"], StringComparison.Ordinal);
        Assert.Contains("leave out db_paths and cf_paths", said["family behind"], StringComparison.Ordinal);
        Assert.Empty(Directory.GetFiles(Path.Combine(place.Path, "elsewhere")));
        Assert.Equal("OK", said["open"]);
    }

    [Fact]
    public void The_RocksDB_is_closed_before_its_environment_or_both_go_on()
    {
        using var place = new StoreDirectory();
        var said = Ask(place, "order");
        Assert.StartsWith("Invalid argument: EnvOptions.path is empty", said["path"], StringComparison.Ordinal);
        Assert.StartsWith("Invalid argument: ", said["url"], StringComparison.Ordinal);
        Assert.StartsWith("Resource busy: ", said["second env"], StringComparison.Ordinal);
        Assert.Contains("has no remote to sync with", said["sync"], StringComparison.Ordinal);
        Assert.StartsWith("Resource busy: A RocksDB is open in ", said["early"], StringComparison.Ordinal);
        Assert.Contains("was closed", said["closed"], StringComparison.Ordinal);
        foreach (var fine in (string[])["env", "record", "open", "put", "close", "again", "reopened", "flush"])
            Assert.Equal("OK", said[fine]);
        Assert.Equal("0", said["is open"]);
    }

    [Fact]
    public void A_program_may_exit_with_a_RocksDB_open()
    {
        using var place = new StoreDirectory();
        Ask(place, "exit");
        Assert.Equal(["a : 1", "b : 1"],
            Command.Run("ldb", $"--db={place.Path}/leaked", "scan").MustSucceed().Lines);
    }

    [Fact]
    public async Task A_writer_that_was_taken_over_is_told_so_in_full()
    {
        using var place = new StoreDirectory();
        var remote = $"file://{place.Path}/remote";
        using var first = Command.Start([], programs.EnvironmentProgram, place.Path, "fencing");
        var errors = first.StandardError.ReadToEndAsync();
        for (string? line; (line = first.StandardOutput.ReadLine()) != "ready";)
            Assert.EndsWith(": OK", line, StringComparison.Ordinal);
        var second = Path.Combine(place.Path, "second");
        Command.Run(Recovery, "restore", remote, second).MustSucceed();
        Command.Run(programs.KeyValues, second, remote, "c=3").MustSucceed();
        first.StandardInput.WriteLine();
        first.StandardInput.Close();
        var said = first.StandardOutput.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries);
        first.WaitForExit();
        Assert.True(first.ExitCode == 0, await errors);
        Assert.Contains(said, line => line.StartsWith("shipping: IO error: IO fenced off: ", StringComparison.Ordinal));
        Assert.Contains(said, line => line.StartsWith("fenced yes: ", StringComparison.Ordinal)
            && line.Contains(": Another writer (", StringComparison.Ordinal));
    }

    /// <summary>What the program said of each case, the last time where there are several.</summary>
    Dictionary<string, string> Ask(StoreDirectory place, string part)
    {
        var said = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var line in Command.Run(programs.EnvironmentProgram, place.Path, part).MustSucceed().Lines)
            if (line.Split(": ", 2) is [var name, var status]) said[name] = status;
        return said;
    }
}
