using System.Diagnostics;
using RecoveryVfs.PageStore.Replicas;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.Read;
using Xunit.Abstractions;

namespace RecoveryVfs.Replicate.Tests;

/// <summary>
/// Real file systems that are full: of the mirror, of the remote, of the application. It is never blocked by the first
/// two, and whatever it has committed is restorable when there is room again.
/// </summary>
public sealed class FullDiskTests(ITestOutputHelper output) : IDisposable
{
    const string Insert = "INSERT INTO t(b) VALUES (randomblob(3000))";
    const int SqliteFull = 13;

    readonly Scratch scratch = new();
    SmallMount? disk;

    public void Dispose()
    {
        disk?.Dispose();
        scratch.Dispose();
    }

    string Url(string what) => "file://" + (what == "remote" ? scratch.At("disk/remote") : scratch.At("remote"));

    Task<SqliteReplicator> StartAsync(string what) => SqliteReplicator.StartAsync(Database(what), Url(what),
        new()
        {
            Store = scratch.At(what == "mirror" ? "disk/mirror" : "mirror"),
            Recovery = new() { SyncInterval = TimeSpan.FromMilliseconds(50) },
            ReadyBound = TimeSpan.FromSeconds(1),
        });

    string Database(string what) => scratch.At(what == "database" ? "disk/app.db" : "app.db");

    [Theory]
    [InlineData("tmpfs", "mirror", "wal")]
    [InlineData("ext4", "mirror", "delete")]
    [InlineData("ext4", "remote", "wal")]
    [InlineData("tmpfs", "database", "delete")]
    [InlineData("ext4", "database", "wal")]
    public async Task What_was_committed_is_restorable_when_there_is_room_again(string kind, string what, string mode)
    {
        disk = SmallMount.TryMount(kind, scratch.At("disk"), 160);
        if (disk is null)
        {
            output.WriteLine($"Not run: {kind} cannot be mounted here.");
            return;
        }
        var replicator = await StartAsync(what);
        using var app = scratch.Open(Path.GetRelativePath(scratch.Directory, Database(what)),
            $"PRAGMA journal_mode={mode}", "CREATE TABLE t(a INTEGER PRIMARY KEY, b)", Insert);
        await replicator.FlushAsync();
        disk.Fill();
        var committed = await WriteAsync(app, replicator, until: what == "database"
            ? static (_, refused) => refused > 3
            : static (status, _) => status.WhyNotReady is not null || status.Failed is not null);
        disk.MakeRoom();
        // A mirror that could not be sure of a commit takes no more: it says so, and is opened again.
        for (var tries = 0; ; tries++)
            try
            {
                await replicator.FlushAsync();
                break;
            }
            catch (RecoveryException e) when (tries < 5)
            {
                output.WriteLine(e.Message);
                await replicator.DisposeAsync();
                replicator = await StartAsync(what);
            }
        app.Run(Insert);
        await replicator.FlushAsync();
        Assert.True(replicator.Status.IsReady, replicator.Status.WhyNotReady);
        await replicator.DisposeAsync();
        Assert.Equal($"{committed + 2}", app.Text("SELECT count(*) FROM t"));
        Assert.Equal(app.Text("SELECT count(*) || ' ' || sum(length(hex(b))) FROM t"), await RestoredAsync(what));
    }

    /// <summary>Commits until something is so, and a little beyond. Returns how many commits came through.</summary>
    static async Task<int> WriteAsync(Microsoft.Data.Sqlite.SqliteConnection app, SqliteReplicator replicator,
        Func<ReplicatorStatus, int, bool> until)
    {
        var (committed, refused, started) = (0, 0, Stopwatch.GetTimestamp());
        for (var beyond = 0; beyond < 20;)
        {
            if (until(replicator.Status, refused)) beyond++;
            else Assert.True(Stopwatch.GetElapsedTime(started) < TimeSpan.FromMinutes(4), "the disk is never full");
            try
            {
                app.Run(Insert);
                committed++;
            }
            catch (Microsoft.Data.Sqlite.SqliteException e) when (e.SqliteErrorCode == SqliteFull)
            {
                refused++;
            }
            await Task.Delay(1);
        }
        return committed;
    }

    async Task<string> RestoredAsync(string what)
    {
        await using var objects = RemoteUrl.Parse(Url(what)).Open(readOnly: true);
        var plan = await RestorePlanner.PlanAsync(new RemoteContext { Store = objects }, RestoreTarget.Newest);
        var directory = scratch.At("restored");
        await StoreRestore.RestoreAsync(plan, new StoreOptions { Directory = directory });
        using var store = PageStore.Writing.Store.Open(new StoreOptions { Directory = directory });
        PlainCopy.Write(store.Find("app.db")!, scratch.At("restored.db"));
        using var connection = scratch.Open("restored.db");
        return connection.Text("SELECT count(*) || ' ' || sum(length(hex(b))) FROM t");
    }
}
