using System.Diagnostics;
using Microsoft.Data.Sqlite;
using RecoveryVfs.PageStore.Replicas;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.Read;

namespace RecoveryVfs.Replicate.Tests;

/// <summary>Replicators as programs use them, against a directory as the remote.</summary>
public sealed class ReplicatorTests : IDisposable
{
    const string Table = "CREATE TABLE t(a INTEGER PRIMARY KEY, b)",
        Insert = "INSERT INTO t(b) VALUES (randomblob(500))";

    readonly Scratch scratch = new();

    public void Dispose() => scratch.Dispose();

    string Path => scratch.At("app.db");

    string Url => "file://" + scratch.At("remote");

    static readonly ReplicatorOptions Fast =
        new() { Recovery = new() { SyncInterval = TimeSpan.FromMilliseconds(50) } };

    Task<SqliteReplicator> StartAsync(ReplicatorOptions? options = null)
        => SqliteReplicator.StartAsync(Path, Url, options ?? Fast);

    /// <summary>Rows of the newest state in the remote.</summary>
    async Task<string> RestoredAsync(string name = "app.db", string query = "SELECT count(*) FROM t")
    {
        await using var objects = RemoteUrl.Parse(Url).Open(readOnly: true);
        var plan = await RestorePlanner.PlanAsync(new RemoteContext { Store = objects }, RestoreTarget.Newest);
        var directory = scratch.At("restored-" + Guid.NewGuid());
        await StoreRestore.RestoreAsync(plan, new StoreOptions { Directory = directory });
        using var store = PageStore.Writing.Store.Open(new StoreOptions { Directory = directory });
        PlainCopy.Write(store.Find(name)!, directory + ".db");
        using var connection = scratch.Open(System.IO.Path.GetFileName(directory) + ".db");
        return connection.Text(query);
    }

    [Theory]
    [InlineData("wal")]
    [InlineData("delete")]
    public async Task What_was_committed_before_a_flush_is_restored(string mode)
    {
        using var app = scratch.Open("app.db", $"PRAGMA journal_mode={mode}", Table);
        await using var replicator = await StartAsync();
        for (var i = 0; i < 5; i++)
        {
            app.Run(Insert);
            await replicator.FlushAsync();
            Assert.Equal($"{i + 1}", await RestoredAsync());
        }
        Assert.True(replicator.Status.IsReady, replicator.Status.WhyNotReady);
    }

    [Fact]
    public async Task A_change_is_noticed_without_anybody_asking()
    {
        using var app = scratch.Open("app.db", "PRAGMA journal_mode=WAL", Table);
        await using var replicator = await StartAsync();
        var before = replicator.Status.Lsn;
        var started = Stopwatch.GetTimestamp();
        app.Run(Insert);
        // The idle look comes after five seconds.
        while (replicator.Status.Databases[0].Transactions == 0)
        {
            Assert.True(Stopwatch.GetElapsedTime(started) < TimeSpan.FromMinutes(1));
            await Task.Delay(5); // The status is all that says so; whoever is slow is waited for.
        }
        Assert.True(replicator.Status.Lsn > before);
    }

    [Fact]
    public async Task After_a_clean_stop_it_goes_on_where_it_was_and_takes_each_transaction()
    {
        using var app = scratch.Open("app.db", "PRAGMA journal_mode=WAL", Table, Insert);
        await using (await StartAsync()) app.Run(Insert);
        for (var i = 0; i < 7; i++) app.Run(Insert);
        await using var again = await StartAsync();
        var status = Assert.Single(again.Status.Databases);
        Assert.Equal((7, 0), (status.Transactions, status.Joins));
    }

    [Fact]
    public async Task Several_databases_share_one_mirror_and_one_remote()
    {
        using var one = scratch.Open("one.db", "PRAGMA journal_mode=WAL", Table, Insert);
        using var two = scratch.Open("two.db", Table, Insert, Insert);
        await using var replicator =
            await SqliteReplicator.StartAsync([new(scratch.At("one.db")), new(scratch.At("two.db"), "second")], Url,
            Fast with { Store = scratch.At("mirror") });
        await replicator.FlushAsync();
        Assert.Equal(("1", "2"), (await RestoredAsync("one.db"), await RestoredAsync("second")));
    }

    [Fact]
    public async Task When_both_are_gone_the_database_and_its_mirror_come_back()
    {
        using (scratch.Open("app.db", "PRAGMA journal_mode=WAL", Table, Insert))
        await using (var replicator = await StartAsync()) await replicator.FlushAsync();
        Directory.Delete(MirrorOpening.Beside(Path), recursive: true);
        Assert.Equal(RecoveryError.Busy, (await Assert.ThrowsAsync<RecoveryException>(() => StartAsync())).Error);
        foreach (var suffix in (string[])["", "-wal", "-shm"]) File.Delete(Path + suffix);
        await using var again = await StartAsync(Fast with { RestoreIfMissing = true });
        using var app = scratch.Open("app.db");
        Assert.Equal("1", app.Text("SELECT count(*) FROM t"));
        app.Run(Insert);
        await again.FlushAsync();
        Assert.Equal("2", await RestoredAsync());
    }

    [Fact]
    public async Task A_take_over_brings_the_mirror_back_and_joins_what_it_lacks()
    {
        using var app = scratch.Open("app.db", "PRAGMA journal_mode=WAL", Table, Insert);
        await using (var replicator = await StartAsync()) await replicator.FlushAsync();
        Directory.Delete(MirrorOpening.Beside(Path), recursive: true);
        app.Run(Insert);
        await using var again = await StartAsync(Fast with { TakeOver = true });
        await again.FlushAsync();
        Assert.Equal("2", await RestoredAsync());
        Assert.Equal(1, again.Status.Databases[0].Joins);
    }

    [Fact]
    public async Task A_database_that_nobody_may_write_to_for_a_while_is_behind_and_then_in_step_again()
    {
        using var app = scratch.Open("app.db", Table, Insert);
        await using var replicator = await StartAsync(Fast with { LockPatience = TimeSpan.FromMilliseconds(20) });
        app.Run("PRAGMA locking_mode=EXCLUSIVE");
        app.Run(Insert);
        Assert.Equal(RecoveryError.Busy, (await Assert.ThrowsAsync<RecoveryException>(() => replicator.FlushAsync()))
            .Error);
        Assert.False(replicator.Status.IsReady);
        app.Run("PRAGMA locking_mode=NORMAL");
        app.Text("SELECT count(*) FROM t");
        await replicator.FlushAsync();
        Assert.True(replicator.Status.IsReady, replicator.Status.WhyNotReady);
        Assert.Equal("2", await RestoredAsync());
    }

    [Fact]
    public async Task What_was_written_without_SQLite_is_found_by_comparing_now_and_then()
    {
        using (scratch.Open("app.db", "PRAGMA journal_mode=WAL", Table, Insert)) { }
        var found = new TaskCompletionSource<string>();
        await using var replicator = await StartAsync(Fast with
        {
            CompareInterval = TimeSpan.FromMilliseconds(1),
            IdleInterval = TimeSpan.FromMilliseconds(10),
            Events = e =>
            {
                if (e.Kind == ReplicationEventKind.Joined && e.Message.StartsWith("page ", StringComparison.Ordinal))
                    found.TrySetResult(e.Message);
            },
        });
        // Another process: closing the file here would end the replicator's locks on it.
        scratch.Python($"f = open('{Path}', 'r+b'); f.seek(4096 + 2000); f.write(b'rot')");
        Assert.Contains("page 2", await found.Task.WaitAsync(TimeSpan.FromMinutes(1)), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("directory", RecoveryError.Invalid, "is a directory")]
    [InlineData("text", RecoveryError.Invalid, "no SQLite database")]
    [InlineData("encrypted", RecoveryError.Invalid, "encrypted")]
    [InlineData("stub", RecoveryError.Invalid, "RecoveryVfs database already")]
    [InlineData("nowhere/app.db", RecoveryError.NotFound, "no directory")]
    public async Task What_cannot_be_replicated_is_refused_and_nothing_is_made_beside_it(string name,
        RecoveryError error, string said)
    {
        Directory.CreateDirectory(scratch.At("directory"));
        File.WriteAllText(scratch.At("text"), new string('x', 5000));
        var bytes = new byte[8192];
        new Random(1).NextBytes(bytes);
        File.WriteAllBytes(scratch.At("encrypted"), bytes);
        File.WriteAllText(scratch.At("stub"), "This is a RecoveryVfs database.\nstore: .recovery\ndatabase: stub\n");
        var before = Directory.GetFileSystemEntries(scratch.Directory).Order().ToArray();
        var thrown = await Assert.ThrowsAsync<RecoveryException>(()
            => SqliteReplicator.StartAsync(scratch.At(name), Url));
        Assert.Equal(error, thrown.Error);
        Assert.Contains(said, thrown.Message, StringComparison.Ordinal);
        Assert.Equal(before, Directory.GetFileSystemEntries(scratch.Directory).Order());
    }

    [Fact]
    public async Task An_adopted_mirror_is_the_store_of_the_path_and_nothing_is_uploaded_again()
    {
        using (var app = scratch.Open("app.db", "PRAGMA journal_mode=WAL", Table))
        {
            for (var i = 0; i < 300; i++) app.Run("INSERT INTO t(b) VALUES (randomblob(3000))");
            await using var replicator = await StartAsync();
            await replicator.FlushAsync();
        }
        using (var other =
            scratch.StartPython(
            $"import sqlite3, sys; c = sqlite3.connect('{Path}'); c.execute('{Insert}'); c.commit(); print('open', "
                + "flush=True); sys.stdin.read()"))
        {
            Assert.Equal("open", other.StandardOutput.ReadLine());
            Assert.Equal(RecoveryError.Busy,
                Assert.Throws<RecoveryException>(() => MirrorAdoption.Run(Path, MirrorOpening.Beside(Path))).Error);
            other.StandardInput.Close();
            other.WaitForExit();
        }
        var before = Shipped();
        var (aside, _) = MirrorAdoption.Run(Path, MirrorOpening.Beside(Path));
        Assert.True(File.Exists(aside));
        Recovery.Register();
        using (var connection =
            new SqliteConnection($"Data Source=file:{Path}?vfs=recovery&sync-interval=20;Pooling=False"))
        {
            connection.Open();
            Assert.Equal("301", connection.Text("SELECT count(*) FROM t"));
            connection.Run(Insert);
            connection.Text("PRAGMA recovery_sync");
        }
        Recovery.CloseIdleStores();
        Assert.Equal("302", await RestoredAsync());
        Assert.True(Shipped() - before < 300_000, $"{Shipped() - before} bytes more");

        long Shipped() => new DirectoryInfo(scratch.At("remote")).EnumerateFiles("*", SearchOption.AllDirectories)
            .Sum(f => f.Length);
    }
}
