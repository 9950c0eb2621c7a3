using System.Diagnostics;
using System.Globalization;

namespace RecoveryVfs.Tail.Tests;

/// <summary>What a follower's process may take, and what it may not be allowed to do.</summary>
public sealed class FollowerProcesses : IDisposable
{
    const int MegabyteRows = 48, Updates = 600;
    // The caches (pages 64, RocksDB's tables and keys 128) and 256: overlay 64, pending commits 32, segments fetched
    // ahead 32, .NET itself, and what malloc keeps. Less than there is to read.
    const long MemoryMbMax = 448;

    readonly Site site = new();

    public void Dispose() => site.Dispose();

    [Fact]
    public void The_memory_of_a_follower_does_not_grow_with_what_it_has_to_read()
    {
        using var writer = site.Writer();
        writer.Do("PRAGMA synchronous=OFF; CREATE TABLE t(id INTEGER PRIMARY KEY, v BLOB)");
        site.Wait(writer);
        Follow("true");
        for (var i = 0; i < Updates; i++)
            writer.Do($"INSERT OR REPLACE INTO t VALUES ({i % MegabyteRows}, randomblob(1000000))");
        writer.Do("PRAGMA recovery_sync=remote");
        var peak = Follow("grep VmHWM /proc/$PPID/status").Split((char[]?)null, StringSplitOptions.RemoveEmptyEntries);
        var megabytes = long.Parse(peak[Array.IndexOf(peak, "VmHWM:") + 1], CultureInfo.InvariantCulture) >> 10;
        Assert.InRange(megabytes, 1, MemoryMbMax);
    }

    string Follow(string companion)
    {
        var (code, output, errors) =
            Run("dotnet", [Program, site.Url, "--into", site.PathOf("kept"), "--exec", companion]);
        Assert.True(code == 0, errors);
        return output;
    }

    static string Program => Path.Combine(AppContext.BaseDirectory, "recovery-tail.dll");

    static (int Code, string Output, string Errors) Run(string program, string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true
        };
        start.Environment["HOME"] = Path.GetTempPath();
        using var process = Process.Start(start)!;
        var errors = process.StandardError.ReadToEndAsync();
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output, errors.Result);
    }

    [Fact]
    public void A_user_who_may_only_read_the_remotes_directory_can_follow_it_and_not_take_it_over()
    {
        // A directory for a group: what comes into it, the group may read, and nobody else.
        Directory.CreateDirectory(site.PathOf("bucket"));
        if (Environment.UserName == "root") Run("chgrp", ["65534", site.PathOf("bucket")]);
        Run("chmod", ["2750", site.PathOf("bucket")]);
        using var writer = site.Writer();
        writer.Do("CREATE TABLE t(a); INSERT INTO t VALUES (1)");
        site.Wait(writer);
        Run("chmod", ["a+rx", site.PathOf("")]);
        Directory.CreateDirectory(site.PathOf("kept"));
        Run("chmod", ["a+rwx", site.PathOf("kept")]);
        // Root may write anywhere: then it is somebody else who follows.
        string[] other = Environment.UserName == "root"
            ? ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
            : ["env"];
        if (Environment.UserName != "root") Run("chmod", ["-R", "a-w", site.PathOf("bucket")]);
        var files = Directory.GetFiles(site.PathOf("bucket"), "*", SearchOption.AllDirectories).Order().ToArray();
        var (code, output, errors) =
            Run(other[0], [.. other[1..], "dotnet", Program, site.Url, "--into", site.PathOf("kept"), "--once"]);
        Assert.True(code == 0, errors);
        Assert.Contains("caught up at LSN", output);
        Assert.Equal(files, Directory.GetFiles(site.PathOf("bucket"), "*", SearchOption.AllDirectories).Order());
        (code, _, errors) =
            Run(other[0], [.. other[1..], "dotnet", Program, site.Url, "--into", site.PathOf("kept"), "--promote"]);
        Assert.NotEqual(0, code);
        Assert.Contains("was not promoted", errors);
        Run("chmod", ["-R", "u+w", site.PathOf("bucket")]);
        writer.Do("PRAGMA recovery_durability=remote; INSERT INTO t VALUES (2)");
    }
}
