using System.Diagnostics;
using RecoveryVfs.Cli.Replicate;
using RecoveryVfs.PageStore.Stores;

namespace RecoveryVfs.Replicate.Tests;

/// <summary>Directories whose databases come and go, as a config file names them.</summary>
public sealed class DirectoryTests : IDisposable
{
    readonly Scratch scratch = new();

    public void Dispose() => scratch.Dispose();

    async Task<ReplicaRun> StartAsync(string directory, TextWriter? log = null)
    {
        File.WriteAllText(scratch.At("recovery.yml"), $"""
            remote: file://{scratch.At("remote")}
            store: {scratch.At("mirror")}
            sync-interval: 50
            dbs:
              - dir: {scratch.At("tenants")}
                pattern: "*.db"
                {directory}
            """);
        var settings = ConfigFile.Read(scratch.At("recovery.yml"), expand: true);
        return await ReplicaRun.StartAsync(settings.Groups,
            new EventLines(false, log ?? TextWriter.Null, TimeProvider.System), waitForLook: true, default);
    }

    void Make(string name, int rows)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(scratch.At("tenants/" + name))!);
        using var app = scratch.Open("tenants/" + name, rows % 2 == 0 ? "PRAGMA journal_mode=WAL"
            : "PRAGMA journal_mode=DELETE", "CREATE TABLE t(a)");
        for (var i = 0; i < rows; i++) app.Run("INSERT INTO t VALUES (1)");
    }

    static IEnumerable<string> Names(ReplicaRun run) => run.Status.Single().Databases.Select(d => d.Name).Order();

    static async Task UntilAsync(Func<bool> isSo, string what)
    {
        for (var started = Stopwatch.GetTimestamp(); !isSo();)
        {
            Assert.True(Stopwatch.GetElapsedTime(started) < TimeSpan.FromMinutes(2), $"{what} never came true");
            await Task.Delay(20); // It is seen by its effect only.
        }
    }

    async Task<string> RestoredAsync(string name)
    {
        var path = scratch.At("restored-" + name);
        await Recovery.RestoreFileAsync("file://" + scratch.At("remote"), path, new() { Database = name });
        using var restored = scratch.Open("restored-" + name);
        return restored.Text("SELECT count(*) FROM t");
    }

    [Fact]
    public async Task What_is_there_is_replicated_by_its_place_and_what_is_no_database_is_left_alone()
    {
        Make("a.db", 2);
        Make("b/c.db", 3);
        File.WriteAllText(scratch.At("tenants/notes.db"), "no database");
        Make("other.sqlite", 1);
        await using (var run = await StartAsync("recursive: true"))
        {
            Assert.Equal(["a.db", "b~c.db"], Names(run));
            await run.FlushAsync();
        }
        Assert.Equal(("2", "3"), (await RestoredAsync("a.db"), await RestoredAsync("b~c.db")));
    }

    [Fact]
    public async Task A_directory_that_is_not_recursive_ends_at_its_own_files()
    {
        Make("a.db", 2);
        Make("b/c.db", 3);
        await using var run = await StartAsync("recursive: false");
        Assert.Equal(["a.db"], Names(run));
    }

    [Fact]
    public async Task What_comes_while_it_is_watched_is_replicated_and_what_goes_stays_restorable()
    {
        Make("a.db", 1);
        Make("gone.db", 2);
        await using (var run = await StartAsync("watch: true"))
        {
            await run.FlushAsync();
            for (var i = 0; i < 8; i++) Make($"new-{i}.db", i);
            File.Delete(scratch.At("tenants/gone.db"));
            foreach (var suffix in (string[])["-wal", "-shm"]) File.Delete(scratch.At("tenants/gone.db" + suffix));
            await UntilAsync(() => Names(run).Count() == 9 && !Names(run).Contains("gone.db"), "8 come and one goes");
            await run.FlushAsync();
            Assert.True(run.Status.Single().IsReady, run.Status.Single().WhyNotReady);
        }
        for (var i = 0; i < 8; i++) Assert.Equal($"{i}", await RestoredAsync($"new-{i}.db"));
        Assert.Equal(("1", "2"), (await RestoredAsync("a.db"), await RestoredAsync("gone.db")));
    }

    [Fact]
    public async Task A_directory_that_goes_away_and_comes_back_while_it_is_watched_is_followed()
    {
        Make("a.db", 1);
        Make("b.db", 2);
        var said = new StringWriter();
        await using (var run = await StartAsync("watch: true", TextWriter.Synchronized(said)))
        {
            await run.FlushAsync();
            Directory.Delete(scratch.At("tenants"), recursive: true);
            await UntilAsync(() => !Names(run).Any(), "both go");
            Make("a.db", 5);
            Make("c.db", 4);
            await UntilAsync(() => Names(run).SequenceEqual(["a.db", "c.db"]), "one comes back with another one");
            await run.FlushAsync();
            Assert.True(run.Status.Single().IsReady, run.Status.Single().WhyNotReady);
        }
        Assert.Equal(("5", "2", "4"),
            (await RestoredAsync("a.db"), await RestoredAsync("b.db"), await RestoredAsync("c.db")));
        Assert.InRange(said.ToString().Split("There is no directory").Length - 1, 0, 1);
    }
}
