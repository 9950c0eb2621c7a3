using System.Diagnostics;

namespace RecoveryVfs.Tests;

/// <summary>
/// A database that this user cannot write is opened for reading, as stock SQLite does; who writes learns why not.
/// </summary>
public sealed class ReadOnlyPlaceTests : IDisposable
{
    readonly TestStore store = new();

    public void Dispose() => store.Dispose();

    [Fact]
    public void On_a_disk_that_is_mounted_read_only()
        => Check("mounted read-only",
            $"mount --bind {store.Directory} {store.Directory} && mount -o remount,ro,bind {store.Directory} && exec");

    [Fact]
    public void Of_another_user()
        => Check("may not write",
            $"chmod 755 {store.Directory} && exec setpriv --reuid 65534 --regid 65534 --clear-groups");

    void Check(string reason, string run)
    {
        store.Open().Do("CREATE TABLE t(x); INSERT INTO t VALUES (7)");
        store.Close();
        var command =
            $"{run} dotnet {typeof(Opener).Assembly.Location} {Opener.Word} \"{store.UriOf("a.db")}\" \"SELECT x "
                + "FROM t\" \"INSERT INTO t VALUES (8)\"";
        var start = new ProcessStartInfo("unshare", ["-m", "sh", "-c", command])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true
        };
        start.Environment["HOME"] = store.Directory;
        using var process = Process.Start(start)!;
        var errors = process.StandardError.ReadToEndAsync();
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        // Where nobody may mount or become another user there is nothing to be seen.
        if (errors.Result.Contains("unshare failed") || errors.Result.Contains("mount: ")
            || errors.Result.Contains("setpriv: "))
            return;
        Assert.StartsWith("7\n!8\n", output); // SQLITE_READONLY
        Assert.Contains(reason, output);
        Assert.Equal("7", store.Open().Do("SELECT group_concat(x) FROM t"));
    }
}
