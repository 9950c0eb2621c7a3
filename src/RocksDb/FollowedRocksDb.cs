using RecoveryVfs.PageStore.Follow;
using RecoveryVfs.PageStore.FollowedDirectories;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
using RocksDbSharp;
using Database = RocksDbSharp.RocksDb;

namespace RecoveryVfs.RocksDb;

/// <summary>
/// A RocksDB that follows the one that is recorded elsewhere: its directory is kept up to date from the remote, can be
/// read meanwhile, and can take over. Thread-safe.
/// </summary>
public sealed class FollowedRocksDb : IAsyncDisposable, IDisposable
{
    readonly DirectoryFollower follower;
    readonly StoreHome home;

    FollowedRocksDb(DirectoryFollower follower, StoreHome home, string url)
    {
        (this.follower, this.home) = (follower, home);
        Url = url;
    }

    internal static async Task<FollowedRocksDb> StartAsync(string url, string path, FollowedRocksDbOptions? followed,
        CancellationToken cancellation)
    {
        followed ??= new FollowedRocksDbOptions();
        var home = new StoreHome(StoreHome.Within(path));
        var follower = await DirectoryFollower.StartAsync(new FollowerOptions
        {
            Url = url,
            Store = new StoreOptions { Directory = home.Path },
            Interval = followed.Interval,
            PinExpiry = followed.PinExpiry,
            Parallelism = followed.Parallelism,
        }, cancellation);
        return new FollowedRocksDb(follower, home, url);
    }

    /// <summary>RocksDB's directory here.</summary>
    public string Path => DirectoryFollower.DirectoryOf(home);

    /// <summary>The remote that is followed.</summary>
    public string Url { get; }

    /// <summary>What operators watch. Its LSN is that of the newest state that can be read here.</summary>
    public FollowerState State => follower.Running.State;

    /// <summary>
    /// Completes when everything can be read here that could be restored from the remote at some time after this call.
    /// Throws when it gave up.
    /// </summary>
    public Task CaughtUpAsync(CancellationToken cancellation = default) => follower.Running.CaughtUpAsync(cancellation);

    /// <summary>Completes when a state at or after an LSN can be read here. Throws when it gave up.</summary>
    public Task WaitForAsync(ulong lsn, CancellationToken cancellation = default) =>
        follower.Running.WaitForAsync(lsn, cancellation);

    /// <summary>
    /// Opens the newest state that is here, for reading, with the column families that it has (all of them, unless some
    /// are named). It stays that state: later ones are opened anew. While it is open, the follower cannot be promoted.
    /// </summary>
    /// <param name="options">As the writer's, where it uses a comparator or a merge operator.</param>
    /// <param name="families">The column families and their options; null is all, with usual ones.</param>
    public FollowedState Read(DbOptions? options = null, ColumnFamilies? families = null)
    {
        RecordedRocksDb.Prepare();
        options ??= new DbOptions();
        // All tables are open from the beginning: the follower may take away those that later states lack. RocksDB's
        // own log of messages goes beside ours, and each opening begins another.
        options.SetMaxOpenFiles(-1);
        options.SetDbLogDir(Messages);
        var (lsn, db) = follower.Read(at =>
        {
            EmptyMessages();
            return (at, Database.OpenReadOnly(options, Path, families ?? AllFamilies(options), false));
        }, out var ended);
        return new FollowedState(db, lsn, ended);
    }

    string Messages => System.IO.Path.Combine(home.Path, "messages");

    ColumnFamilies AllFamilies(DbOptions options)
    {
        var families = new ColumnFamilies();
        foreach (var name in Database.ListColumnFamilies(options, Path))
            if (name != ColumnFamilies.DefaultName) families.Add(name, new ColumnFamilyOptions());
        return families;
    }

    void EmptyMessages()
    {
        Directory.CreateDirectory(Messages);
        foreach (var earlier in Directory.EnumerateFiles(Messages)) File.Delete(earlier);
    }

    /// <summary>
    /// Takes the remote over: reads to the end of its log, and ends the other writer's tenure there. The directory is
    /// one that <see cref="RecordedRocksDb.Open(DbOptions, string, RecordedRocksDbOptions)"/> writes then, to this
    /// remote. Refuses while somebody reads here; when it throws, the directory is a follower's as before. What the
    /// other writer shipped of a state without shipping its tables is not here.
    /// </summary>
    public Task<Promotion> PromoteAsync(CancellationToken cancellation = default) =>
        follower.Running.PromoteAsync(cancellation);

    /// <summary>Stops following; the directory stays a follower's. Waits for readers to end.</summary>
    public ValueTask DisposeAsync() => follower.DisposeAsync();

    /// <summary>The same for whoever cannot wait asynchronously.</summary>
    public void Dispose() => DisposeAsync().AsTask().GetAwaiter().GetResult();
}
