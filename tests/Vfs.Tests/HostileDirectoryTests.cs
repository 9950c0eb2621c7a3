using System.Diagnostics;
using RecoveryVfs.Operations;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Remote.State;
using RecoveryVfs.Rollbacks;

namespace RecoveryVfs.Tests;

/// <summary>
/// Directories in which somebody has put pipes, links and endless files where a store, or what is made beside it, has
/// its own: what was left of a dead machine, a shared directory. Nobody waits, nothing is written elsewhere.
/// </summary>
public sealed class HostileDirectoryTests : IDisposable
{
    readonly TestStore store = new("linger=0");

    string Remote => "file://" + store.PathOf("remote");

    public HostileDirectoryTests()
    {
        store.Open(options: "remote=" + Uri.EscapeDataString(Remote))
            .Do("CREATE TABLE t(v); INSERT INTO t VALUES (7); PRAGMA recovery_sync=remote");
        store.Close();
    }

    public void Dispose() => store.Dispose();

    static void Run(string program, params string[] arguments)
    {
        using var process = Process.Start(program, arguments);
        process.WaitForExit();
        Assert.Equal(0, process.ExitCode);
    }

    static void Plant(string kind, string path)
    {
        File.Delete(path);
        switch (kind)
        {
            case "pipe": Run("mkfifo", path); break;
            case "link": File.CreateSymbolicLink(path, "/dev/zero"); break;
            default:
                using (var file = File.Create(path)) file.SetLength(3L << 30);
                break;
        }
    }

    /// <summary>Ends, with what was asked for or a message.</summary>
    static async Task MustEnd(string what, Func<Task> act)
    {
        var acting = Task.Run(act);
        Assert.True(await Task.WhenAny(acting, Task.Delay(TimeSpan.FromMinutes(3))) == acting, $"{what}: it hangs.");
        try
        {
            await acting;
        }
        catch (Exception e) when (e is RecoveryException or IOException or UnauthorizedAccessException)
        {
            Assert.NotEmpty(e.Message);
        }
    }

    public static TheoryData<string> Kinds => ["pipe", "link", "endless"];

    [Theory, MemberData(nameof(Kinds))]
    public async Task What_is_left_of_a_machine_is_looked_at_whatever_lies_in_it(string kind)
    {
        var segment = Path.GetRelativePath(store.PathOf(".recovery"),
            Directory.GetFiles(store.PathOf(".recovery/log"), "*.log").Order().Last());
        foreach (var name in (string[])["LOCK", "author", "replica", "rocksdb", "remote", "remote-wanted", "following",
            "verified", "rollbacks", "config", "lazy", "log/durable", segment, "log/spare-000007"])
        {
            var old = store.PathOf($"old-{kind}-{name.Replace('/', '-')}");
            Copy(store.PathOf(".recovery"), Path.Combine(old, ".recovery"));
            Plant(kind, Path.Combine(old, ".recovery", name));
            await MustEnd($"{kind} {name}", () => Recovery.RestoreFileAsync(Remote, old + ".db",
                new() { FromLocal = old }));
            await MustEnd($"{kind} {name}", () =>
            {
                var found = StoreDirectory.Find(old);
                _ = (found.Holder(), found.IsReplica, found.IsOfRocksDb, found.RemoteUrl);
                found.ReadLog(static _ => { }, static (in _) => { });
                return Task.CompletedTask;
            });
            await MustEnd($"{kind} {name}", () =>
            {
                RemoteVerification.Load(Path.Combine(old, ".recovery"));
                if (kind != "endless") new RollbackList(Path.Combine(old, ".recovery")).Read();
                return Task.CompletedTask;
            });
        }
    }

    static void Copy(string from, string to)
    {
        foreach (var file in Directory.EnumerateFiles(from, "*", SearchOption.AllDirectories))
        {
            var copy = Path.Combine(to, Path.GetRelativePath(from, file));
            Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
            File.Copy(file, copy);
        }
    }

    [Fact]
    public async Task A_pipe_in_a_store_is_no_part_of_its_branch()
    {
        Run("mkfifo", store.PathOf(".recovery/hints-pipe"));
        await MustEnd("a branch", () =>
        {
            LocalBranch.Make(StoreDirectory.Find(store.Directory), store.PathOf("branch"));
            return Task.CompletedTask;
        });
        Assert.False(File.Exists(store.PathOf("branch/.recovery/hints-pipe")));
        Assert.True(Directory.Exists(store.PathOf("branch/.recovery/pages")));
    }

    /// <summary>The name under which the copy is made was known before.</summary>
    [Fact]
    public void An_export_writes_through_no_link_that_lies_beside_it()
    {
        File.WriteAllText(store.PathOf("precious"), "mine");
        File.CreateSymbolicLink(store.PathOf("copy.db.partial"), store.PathOf("precious"));
        Recovery.Export(store.PathOf("a.db"), store.PathOf("copy.db"));
        Assert.Equal("mine", File.ReadAllText(store.PathOf("precious")));
        Assert.True(FileNode.At(store.PathOf("copy.db"))!.Value.IsRegular);
        using var plain = new TestStore(vfs: null);
        File.Copy(store.PathOf("copy.db"), plain.PathOf("copy.db"));
        Assert.Equal("7", plain.Open("copy.db").Do("SELECT v FROM t"));
    }

    [Fact]
    public void What_is_made_aside_is_made_in_nobody_elses_directory()
    {
        var shared = Directory.CreateDirectory(store.PathOf("shared")).FullName;
        Run("chmod", "777", shared);
        var (victim, theirs) = (store.PathOf("made-by-a-link"), store.PathOf("theirs"));
        File.CreateSymbolicLink(Path.Combine(shared, ".a.db.restoring.lock"), victim);
        var refused = Assert.Throws<RecoveryException>(() => new Staging(shared, "a.db").Dispose());
        Assert.Equal(RecoveryError.Untrusted, refused.Error);
        Assert.False(File.Exists(victim));
        File.Delete(Path.Combine(shared, ".a.db.restoring.lock"));
        // A link in its place is taken away, and what it leads to stays.
        File.WriteAllText(Path.Combine(Directory.CreateDirectory(theirs).FullName, "precious"), "mine");
        Directory.CreateSymbolicLink(Path.Combine(shared, ".a.db.restoring"), theirs);
        using (var staging = new Staging(shared, "a.db"))
            Assert.Equal(0x1C0, FileNode.At(staging.Directory)!.Value.Rights);
        Assert.Equal("mine", File.ReadAllText(Path.Combine(theirs, "precious")));
    }
}
