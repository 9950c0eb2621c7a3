using System.Collections.Concurrent;
using Microsoft.Data.Sqlite;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.Tests;

/// <summary>What the program does to whole stores and databases, done from .NET.</summary>
public sealed class WholeStoreTests : IDisposable
{
    readonly TestStore store = new();

    public void Dispose() => store.Dispose();

    string Remote => "file://" + store.PathOf("remote");

    string Options => "sync-interval=20&remote=" + Uri.EscapeDataString(Remote);

    string Data => store.PathOf("data");

    /// <summary>A store with two databases, all of it restorable; returns the LSN after the first row.</summary>
    ulong Write()
    {
        Directory.CreateDirectory(Data);
        var a = store.Open("data/a.db", Options);
        a.Do("CREATE TABLE t(x)");
        a.Do("INSERT INTO t VALUES('one')");
        a.Do("PRAGMA recovery_sync");
        var lsn = ulong.Parse(a.Do("PRAGMA recovery_lsn"));
        a.Do("INSERT INTO t VALUES('two')");
        store.Open("data/b.db", Options).Do("CREATE TABLE t(x); INSERT INTO t VALUES(1)");
        return lsn;
    }

    static string Plain(string file, string sql)
    {
        using var plain = new SqliteConnection($"Data Source={file};Pooling=false");
        plain.Open();
        return plain.Do(sql);
    }

    sealed class Told : IProgress<RecoveryProgress>
    {
        public ConcurrentQueue<RecoveryProgress> All { get; } = new();

        public void Report(RecoveryProgress value) => All.Enqueue(value);
    }

    [Theory]
    [InlineData("delete"), InlineData("wal")]
    public async Task A_program_that_leaves_pooled_connections_open_has_shipped_all_when_it_ends(string mode)
    {
        Directory.CreateDirectory(Data);
        Assert.Equal(mode + "\n\n\n\n", Opener.InProcess([],
        [
            Opener.LeaveOpen,
            store.UriOf("data/a.db", "sync-interval=600000&remote=" + Uri.EscapeDataString(Remote)),
            "PRAGMA journal_mode=" + mode, "CREATE TABLE t(x)", "INSERT INTO t VALUES('seven')"
        ]));
        await Recovery.RestoreFileAsync(Remote, store.PathOf("plain.db"), new RestoreOptions { Database = "a.db" });
        Assert.Equal("seven", Plain(store.PathOf("plain.db"), "SELECT x FROM t"));
    }

    [Fact]
    public async Task A_store_comes_back_at_its_newest_state_and_at_an_earlier_one()
    {
        var lsn = Write();
        var synced = await Recovery.SyncAsync(Data);
        Assert.Equal((Remote, true), (synced.Remote, synced.Restorable));
        Assert.True(synced.ShippedLsn >= synced.Lsn && synced.Lsn > lsn);
        store.Close();

        var told = new Told();
        var newest = await Recovery.RestoreAsync(Remote, store.PathOf("new"), new RestoreOptions { Verify = true },
            told);
        // Closing has brought pages into files, and those are records, too.
        Assert.True(newest.Lsn >= synced.Lsn);
        Assert.Equal(["a.db", "b.db"], newest.Databases.Order());
        Assert.Contains(told.All, p => p is { Step: "restoring", Done: > 0 } && p.Done <= p.Total);
        Assert.Equal("one two", store.Open("new/a.db", "remote=none").Do("SELECT x FROM t"));

        var earlier = await Recovery.RestoreAsync(Remote, store.PathOf("old"), new RestoreOptions { Lsn = lsn });
        Assert.Equal(lsn, earlier.Lsn);
        Assert.Equal("one", store.Open("old/a.db", "remote=none").Do("SELECT x FROM t"));
        var refused =
            await Assert.ThrowsAsync<RecoveryException>(() => Recovery.RestoreAsync(Remote, store.PathOf("old")));
        Assert.Equal((RecoveryError.Invalid, earlier.Place), (refused.Error, refused.Path));
    }

    [Fact]
    public async Task A_cancelled_restore_leaves_nothing()
    {
        Write();
        await Recovery.SyncAsync(Data);
        using var cancelling = new CancellationTokenSource();
        var told = new Progress<RecoveryProgress>();
        await cancelling.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(
            () => Recovery.RestoreAsync(Remote, store.PathOf("new"), progress: told, cancellation: cancelling.Token));
        Assert.False(Directory.Exists(store.PathOf("new/.recovery")));
        await Recovery.RestoreAsync(Remote, store.PathOf("new"));
    }

    [Fact]
    public async Task One_database_comes_back_as_a_plain_file_and_is_never_overwritten()
    {
        Write();
        await Recovery.SyncAsync(Data);
        var file = store.PathOf("plain.db");
        var which = await Assert.ThrowsAsync<RecoveryException>(() => Recovery.RestoreFileAsync(Remote, file));
        Assert.Equal(RecoveryError.Invalid, which.Error);
        var restored = await Recovery.RestoreFileAsync(Remote, file, new RestoreOptions { Database = "a.db" });
        Assert.Equal((file, "a.db"), (restored.Place, Assert.Single(restored.Databases)));
        Assert.Equal("one two", Plain(file, "SELECT x FROM t"));
        var there = await Assert.ThrowsAsync<RecoveryException>(
            () => Recovery.RestoreFileAsync(Remote, file, new RestoreOptions { Database = "b.db" }));
        Assert.Equal((RecoveryError.Invalid, file), (there.Error, there.Path));
    }

    [Fact]
    public async Task A_closed_store_is_shipped_by_a_sync()
    {
        Directory.CreateDirectory(Data);
        store.Open("data/a.db", "remote=none").Do("CREATE TABLE t(x); INSERT INTO t VALUES('late')");
        store.Close();
        var synced = await Recovery.SyncAsync(Data, new SyncOptions { Remote = Remote });
        Assert.Equal(synced.Lsn, synced.ShippedLsn);
        Assert.Equal(RecoveryError.NotFound,
            (await Assert.ThrowsAsync<RecoveryException>(() => Recovery.SyncAsync(store.PathOf("no")))).Error);
        await Recovery.RestoreAsync(Remote, store.PathOf("new"));
        Assert.Equal("late", store.Open("new/a.db", "remote=none").Do("SELECT x FROM t"));
    }

    [Fact]
    public async Task Status_tells_of_the_store_and_its_remote_while_it_is_in_use()
    {
        Write();
        await Recovery.SyncAsync(Data);
        var status = await Recovery.StatusAsync(Data);
        Assert.Equal(("ok", 0, 0ul), (status.State, status.UnshippedCommits, status.LagRecords));
        Assert.Equal((2, Remote), (status.Databases, status.RemoteUrl));
        Assert.Contains($"pid {Environment.ProcessId}", status.OpenIn);
        var remote = await Recovery.RemoteStatusAsync(Remote);
        Assert.Equal((status.Lsn, status.LogId), (remote.LastLsn, remote.LogId));
        Assert.Equal(RecoveryError.NotFound,
            (await Assert.ThrowsAsync<RecoveryException>(()
                => Recovery.RemoteStatusAsync("file://" + store.PathOf("no")))).Error);
    }

    [Fact]
    public async Task A_snapshot_names_a_state_until_it_is_removed()
    {
        var lsn = Write();
        await Recovery.SyncAsync(Data);
        var expires = DateTimeOffset.UtcNow.AddDays(7);
        var put = await Recovery.SnapshotAsync(Remote, "before",
            new SnapshotOptions { Lsn = lsn, Expires = expires, Note = "why" });
        Assert.Equal(new Snapshot("before", lsn, false, expires, "why"), put);
        var newest = await Recovery.SnapshotAsync(Data, "now");
        Assert.True(newest.Lsn > lsn);
        Assert.Equal(["before", "now"], (await Recovery.SnapshotsAsync(Remote)).Select(s => s.Name));
        Assert.Equal(RecoveryError.Busy,
            (await Assert.ThrowsAsync<RecoveryException>(()
            => Recovery.SnapshotAsync(Remote, "now", new SnapshotOptions { Lsn = lsn }))).Error);
        Assert.Equal(newest, await Recovery.RemoveSnapshotAsync(Remote, "now"));
        Assert.Equal(RecoveryError.NotFound,
            (await Assert.ThrowsAsync<RecoveryException>(() => Recovery.RemoveSnapshotAsync(Remote, "now"))).Error);
        Assert.Equal(RecoveryError.Invalid,
            (await Assert.ThrowsAsync<RecoveryException>(() => Recovery.SnapshotAsync(Remote, "a/b"))).Error);
    }

    [Fact]
    public async Task A_database_goes_in_and_out_with_progress()
    {
        var (plain, out_) = (store.PathOf("plain.db"), store.PathOf("out.db"));
        Plain(plain, "CREATE TABLE t(x); WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 3000) INSERT "
            + "INTO t SELECT randomblob(2000) FROM n");
        var told = new Told();
        await Recovery.ImportAsync(plain, store.PathOf("a.db"), told);
        Assert.Equal("3000", store.Open().Do("SELECT count(*) FROM t"));
        Assert.Contains(told.All, p => p.Step == "importing" && p.Done == p.Total && p.Total > 1000);
        await Recovery.ExportAsync(store.PathOf("a.db"), out_, told);
        Assert.Contains(told.All, p => p.Step == "exporting" && p.Done == p.Total && p.Total > 1000);
        Assert.Equal("3000", Plain(out_, "SELECT count(*) FROM t"));
        await Recovery.CloseIdleStoresAsync();
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_cancelled_import_or_export_leaves_what_was_there(bool inPlace)
    {
        var plain = store.PathOf("plain.db");
        var into = inPlace ? plain : store.PathOf("a.db");
        Plain(plain, "CREATE TABLE t(x); WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 3000) INSERT "
            + "INTO t SELECT randomblob(2000) FROM n");
        await CancelledAsync((progress, stop) => Recovery.ImportAsync(plain, into, progress, stop));
        Assert.Equal("3000", Plain(plain, "SELECT count(*) FROM t"));
        Assert.Equal(inPlace, File.Exists(into));
        Assert.False(File.Exists(plain + ".plain"));
        await Recovery.ImportAsync(plain, into);
        await CancelledAsync((progress, stop) => Recovery.ExportAsync(into, store.PathOf("out.db"), progress, stop));
        Assert.Empty(Directory.EnumerateFiles(store.Directory, "out.db*"));
        Assert.Equal("3000", store.Open(Path.GetFileName(into)).Do("SELECT count(*) FROM t"));
    }

    /// <summary>Cancels at the first word of progress.</summary>
    static async Task CancelledAsync(Func<IProgress<RecoveryProgress>, CancellationToken, Task> run)
    {
        using var cancelling = new CancellationTokenSource();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(()
            => run(new Cancelling(cancelling), cancelling.Token));
    }

    sealed class Cancelling(CancellationTokenSource source) : IProgress<RecoveryProgress>
    {
        public void Report(RecoveryProgress value) => source.Cancel();
    }
}
