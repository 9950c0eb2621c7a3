using System.Diagnostics;
using System.Globalization;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.Testing;
using Xunit.Abstractions;

namespace RecoveryVfs.Tests;

/// <summary>
/// Stores of their own that are made of one that another process is writing: each is one whole commit, not older than
/// what had returned, and goes its own way; whatever the writer does meanwhile, and however it ends.
/// </summary>
public sealed class BranchBesideTests : IDisposable
{
    readonly TestStore store = new();
    readonly ITestOutputHelper output;
    int made;

    public BranchBesideTests(ITestOutputHelper output)
    {
        this.output = output;
        Directory.CreateDirectory(store.PathOf("app"));
    }

    public void Dispose() => store.Dispose();

    [Theory]
    [InlineData("")]
    [InlineData("pages=memory")]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void Each_is_one_commit_of_what_another_process_writes(string options)
        => Seeds.RunFor(2, Random.Shared.Next(), (seed, end) => BranchBeside(seed, options, end));

    void BranchBeside(int seed, string options, long end)
    {
        using var counted = RandomWriter.Counter(store.PathOf("counter"));
        using var counter = counted.CreateViewAccessor();
        var (branches, longest, seen) = (0, TimeSpan.Zero, 0L);
        for (var round = 0; round == 0 || Environment.TickCount64 < end; round++)
        {
            using var writer = Start(seed + round, options);
            try
            {
                do
                {
                    var returned = counter.ReadInt64(0);
                    var started = Stopwatch.GetTimestamp();
                    var directory = Branch();
                    if (Stopwatch.GetElapsedTime(started) is var took && took > longest) longest = took;
                    // One may have been on its way.
                    var newest = counter.ReadInt64(0) + 1;
                    var found = GoOn(directory);
                    Assert.True(returned <= found && found <= newest,
                        $"the branch has commit {found}; {returned} had returned before it, and {newest} after it");
                    branches++;
                }
                while (Environment.TickCount64 < end - 1500);
                Assert.False(writer.HasExited, "the writer failed");
            }
            finally
            {
                writer.Kill();
                writer.WaitForExit();
            }
            // Dead, and not cleaned up after.
            seen = GoOn(Branch());
            Assert.True(seen >= counter.ReadInt64(0));
        }
        output.WriteLine($"seed={seed}: {branches} branches, the longest took {longest.TotalMilliseconds:f0} ms");
        // What branches did was theirs.
        using (var after = store.Open(options: options))
        {
            Assert.Equal(seen, RandomWriter.Check(after));
            Assert.Equal("ok", after.Do("PRAGMA recovery_verify"));
        }
        store.Close();
    }

    Process Start(int seed, string options)
    {
        var writer = Process.Start(
            new ProcessStartInfo("dotnet",
            [typeof(RandomWriter).Assembly.Location, store.Directory, seed.ToString(CultureInfo.InvariantCulture),
            store.PathOf("counter"), options])
            {
                RedirectStandardOutput = true,
            })!;
        Assert.Equal("ready", writer.StandardOutput.ReadLine());
        return writer;
    }

    string Branch()
    {
        var directory = $"branch{made++}";
        Recovery.BranchAsync(store.Directory, store.PathOf(directory)).GetAwaiter().GetResult();
        return directory;
    }

    /// <summary>Looks at a branch, and writes a lot there; returns the commit that it was made of.</summary>
    long GoOn(string directory)
    {
        long found;
        using (var branch = store.Open($"{directory}/a.db", timeoutSeconds: 60))
        {
            found = RandomWriter.Check(branch);
            Assert.Equal("ok", branch.Do("PRAGMA recovery_verify"));
            branch.Do("CREATE TABLE own AS SELECT randomblob(3000) FROM t LIMIT 200; UPDATE t SET v = v + 1");
            branch.Do("DROP TABLE own; VACUUM; PRAGMA recovery_compact");
            Assert.Equal("ok", branch.Do("PRAGMA recovery_verify"));
        }
        Recovery.CloseIdleStores();
        Directory.Delete(store.PathOf(directory), recursive: true);
        return found;
    }

    [Fact]
    public async Task It_is_a_store_of_its_own_and_shares_what_is_sealed()
    {
        string parent;
        using (var app = store.Open("app/a.db"))
        using (var wal = store.Open("app/w.db"))
        {
            app.Do("CREATE TABLE t(x); INSERT INTO t VALUES(1); PRAGMA recovery_checkpoint; INSERT INTO t VALUES(10)");
            wal.Do("PRAGMA journal_mode=WAL; CREATE TABLE t(x); INSERT INTO t VALUES(2)");
            parent = app.Do("PRAGMA recovery_bookmark");
            var lsn = ulong.Parse(app.Do("PRAGMA recovery_lsn"), CultureInfo.InvariantCulture);
            var branch = await Recovery.BranchAsync(store.PathOf("app"), store.PathOf("two"));
            // The store's own threads record something now and then.
            Assert.InRange(branch.Lsn, lsn,
                ulong.Parse(app.Do("PRAGMA recovery_lsn"), CultureInfo.InvariantCulture));
            // Nobody is in anybody's way.
            app.Do("INSERT INTO t VALUES(100)");
            wal.Do("INSERT INTO t VALUES(200)");
        }
        var table = Directory.EnumerateFiles(store.PathOf("two/.recovery/pages"), "*.sst").First();
        Assert.True(File.Exists(table.Replace("/two/", "/app/", StringComparison.Ordinal)));
        using (var two = store.Open("two/a.db"))
        {
            Assert.Equal("11", two.Do("SELECT sum(x) FROM t"));
            Assert.Equal("none", two.Do("PRAGMA recovery_remote"));
            // What is named by a bookmark of the one is nothing of the other.
            Assert.NotEqual(parent.Split('-')[0], two.Do("PRAGMA recovery_bookmark").Split('-')[0]);
        }
        using (var two = store.Open("two/w.db")) Assert.Equal("2", two.Do("SELECT sum(x) FROM t"));
        var again = await Assert.ThrowsAsync<RecoveryException>(
            () => Recovery.BranchAsync(store.PathOf("app"), store.PathOf("two")));
        Assert.Equal(RecoveryError.Invalid, again.Error);
        var moment = await Assert.ThrowsAsync<RecoveryException>(
            () => Recovery.BranchAsync(store.PathOf("app"), store.PathOf("three"), "1"));
        Assert.Equal(RecoveryError.Invalid, moment.Error);
    }

    [Fact]
    public async Task Of_a_store_without_a_remote_it_is_shipped_whole()
    {
        var url = "file://" + store.PathOf("remote");
        using (var app = store.Open("app/a.db"))
        {
            app.Do("CREATE TABLE t(x); INSERT INTO t VALUES(1)");
            await Recovery.BranchAsync(store.PathOf("app"), url);
            app.Do("INSERT INTO t VALUES(10)");
            Assert.Equal("none", app.Do("PRAGMA recovery_remote"));
            Assert.Equal(RecoveryError.Invalid, (await Assert.ThrowsAsync<RecoveryException>(
                () => Recovery.BranchAsync(store.PathOf("app"), url))).Error);
        }
        store.Close();
        Assert.Empty(Directory.EnumerateFileSystemEntries(store.PathOf("app/.recovery"), ".branch*"));
        await Recovery.RestoreAsync(url, store.PathOf("back"));
        using var back = store.Open("back/a.db", "remote=" + Uri.EscapeDataString(url));
        back.Do("INSERT INTO t VALUES(100); PRAGMA recovery_sync");
        Assert.Equal("101", back.Do("SELECT sum(x) FROM t"));
    }

    [Fact]
    public async Task Damage_is_said_and_never_branched()
    {
        using var wal = store.Open("app/w.db", "wal-buffer=0");
        wal.Do("PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0; CREATE TABLE t(x)");
        wal.Do("INSERT INTO t VALUES(randomblob(200000)); PRAGMA recovery_checkpoint");
        var file = new FileInfo(Directory.EnumerateFiles(store.PathOf("app/.recovery/files"))
            .MaxBy(f => new FileInfo(f).Length)!);
        using (var handle = File.OpenHandle(file.FullName, access: FileAccess.Write))
            RandomAccess.Write(handle, [0xff, 0xfe, 0xfd], file.Length / 2);
        var refused = await Assert.ThrowsAsync<RecoveryException>(
            () => Recovery.BranchAsync(store.PathOf("app"), store.PathOf("two")));
        Assert.Equal(RecoveryError.Corrupt, refused.Error);
        Assert.Contains("w.db-wal", refused.Message);
        Assert.False(Directory.Exists(store.PathOf("two/.recovery")));
    }
}
