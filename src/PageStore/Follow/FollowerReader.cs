using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Wals;
using RecoveryVfs.RecoveryLog.Remote.Collect;

namespace RecoveryVfs.PageStore.Follow;

/// <summary>Somebody who reads a follower. Dispose it when no version of it is pinned any more.</summary>
public sealed class FollowerReader : IDisposable
{
    readonly ReplayedStore store;
    readonly FollowedWals wals;
    IReadHost? host;

    internal FollowerReader(IReadHost host, ReplayedStore store, FollowedWals wals)
        => (this.host, this.store, this.wals) = (host, store, wals);

    /// <summary>The newest record that was applied.</summary>
    public ulong Lsn => store.LastLsn;

    /// <summary>The databases there are now, by name.</summary>
    public IReadOnlyList<string> Databases
        => [.. store.Core.Catalog.All.Where(d => d.Current.SizeBytes > 0 && !DeletedName.Is(d.Name))
            .Select(d => d.Name)];

    /// <summary>All of them, those without any commit included.</summary>
    public IReadOnlyList<string> AllDatabases
        => [.. store.Core.Catalog.All.Select(d => d.Name).Where(n => !DeletedName.Is(n))];

    /// <summary>What is known of each database.</summary>
    internal IReadOnlyList<Database> Known => store.Core.Catalog.All;

    /// <summary>Names and values for status reports.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> Status() => store.Status();

    /// <summary>
    /// Reads every page of a database, or of all, and checks the checksums; returns one line a problem.
    /// </summary>
    public IReadOnlyList<string> Verify(string? database, CancellationToken cancellation = default) =>
        store.Core.Verify(database is null ? null : store.Core.Catalog.Find(database), cancellation);

    /// <summary>
    /// Pins a database as its newest commit left it; null when there is no database of that name. A WAL-mode database
    /// is shown with what is committed in its WAL.
    /// </summary>
    public FollowedVersion? Pin(string database)
    {
        while (true)
        {
            var found = store.Core.Catalog.Find(database);
            if (found is null) return null;
            var before = wals.ViewOf(database);
            var main = found.Pin();
            var after = wals.ViewOf(database);
            // The main file of this WAL's life, and its frames as they were then or later: every page that a checkpoint
            // brought into that main file is among those frames too. A WAL that began anew in between may lack some.
            if (ReferenceEquals(before?.Frames, after?.Frames)) return new FollowedVersion(found, main, after);
            found.Unpin(main);
        }
    }

    /// <inheritdoc/>
    public void Dispose() => Interlocked.Exchange(ref host, null)?.EndRead();
}
