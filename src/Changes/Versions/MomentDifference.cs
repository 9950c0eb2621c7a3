using RecoveryVfs.PageStore.Past;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.Read;
using RecoveryVfs.Rows;

namespace RecoveryVfs.Changes.Versions;

/// <summary>
/// What changed in a database between two moments. One state is restored aside, and the log between the two is applied
/// to it, so it costs the fetch and what changed.
/// </summary>
internal sealed class MomentDifference : IAsyncDisposable
{
    readonly PastStore store;
    readonly PageChanges changes;

    MomentDifference(PastStore store, DatabaseMoment from, DatabaseMoment to, PageChanges changes)
    {
        (this.store, From, To, this.changes) = (store, from, to, changes);
        Difference = new VersionDifference(From.Rows, To.Rows, Comparison);
    }

    /// <summary>The first moment that was named; it may be the later one.</summary>
    public DatabaseMoment From { get; }

    /// <summary>The second moment.</summary>
    public DatabaseMoment To { get; }

    /// <summary>Whose log it is.</summary>
    public Guid LogId => store.LogId;

    /// <summary>From the first to the second.</summary>
    public VersionDifference Difference { get; }

    /// <summary>From the second to the first: what takes it back.</summary>
    public VersionDifference Reverse() => new(To.Rows, From.Rows, Comparison);

    /// <summary>How many pages are other ones, or are there in one moment only.</summary>
    public long CountPages(CancellationToken cancellation)
    {
        var (from, to) = (From.Pages, To.Pages);
        if (from.PageSize != to.PageSize) return Math.Max(from.PageCount, to.PageCount);
        var (both, most) = (Math.Min(from.PageCount, to.PageCount), Math.Max(from.PageCount, to.PageCount));
        var (one, other) = (new byte[from.PageSize], new byte[from.PageSize]);
        long count = most - both;
        for (var page = 1u; page <= both; page++)
        {
            if (Comparison?.SurelyEqual(page) == true) continue;
            cancellation.ThrowIfCancellationRequested();
            from.Read(page, one);
            to.Read(page, other);
            if (!one.AsSpan().SequenceEqual(other)) count++;
        }
        return count;
    }

    UnwrittenPages? Comparison => From.DatabaseId == To.DatabaseId && From.Exists ? new UnwrittenPages(changes) : null;

    /// <summary>
    /// Opens both moments of a database. Throws NotFound when the remote does not have one of them, or when no database
    /// of that name was there at either.
    /// </summary>
    public static async Task<MomentDifference> OpenAsync(PastSource source, string database, RestoreTarget from,
        RestoreTarget to,
        PastOptions? options = null, CancellationToken cancellation = default)
    {
        if (IsLater(from, to))
            return await OpenAsync(source, database, to, from, isReversed: true, options, cancellation);
        return await OpenAsync(source, database, from, to, isReversed: false, options, cancellation);
    }

    /// <summary>The same, in a remote.</summary>
    public static Task<MomentDifference> OpenAsync(RemoteContext context, string database, RestoreTarget from,
        RestoreTarget to, PastOptions? options = null, CancellationToken cancellation = default) =>
        OpenAsync(new RemotePastSource(context), database, from, to, options, cancellation);

    /// <summary>Where one is an LSN and the other a time, only the log can tell.</summary>
    static bool IsLater(RestoreTarget from, RestoreTarget to) =>
        from == RestoreTarget.Newest ? to != RestoreTarget.Newest : from.Lsn > to.Lsn || from.TimeMs > to.TimeMs;

    static async Task<MomentDifference> OpenAsync(PastSource source, string database, RestoreTarget first,
        RestoreTarget second,
        bool isReversed, PastOptions? options, CancellationToken cancellation)
    {
        PastStore? store = await source.OpenAsync(first, options, cancellation);
        DatabaseMoment? earlier = null, later = null;
        try
        {
            if (!isReversed && (store.Lsn > second.Lsn || store.Time.ToUnixTimeMilliseconds() > second.TimeMs))
            {
                await store.DisposeAsync();
                store = null;
                return await OpenAsync(source, database, second, first, isReversed: true, options, cancellation);
            }
            var before = store.Databases;
            earlier = new DatabaseMoment(store.Lsn, store.Time, store.Pin(database));
            await store.AdvanceAsync(second, cancellation);
            later = new DatabaseMoment(store.Lsn, store.Time, store.Pin(database));
            if (!earlier.Exists && !later.Exists)
                throw Unknown(database, before.Union(store.Databases), source.Location);
            var changes = store.TakeChanges(later.DatabaseId);
            return isReversed
                ? new MomentDifference(store, later, earlier, changes)
                : new MomentDifference(store, earlier, later, changes);
        }
        catch
        {
            earlier?.Dispose();
            later?.Dispose();
            if (store is not null) await store.DisposeAsync();
            throw;
        }
    }

    internal static RecoveryException Unknown(string database, IEnumerable<string> there, string where)
    {
        const int most = 20;
        var names = there.Order(StringComparer.Ordinal).ToList();
        var listed = names.Count == 0
            ? "none"
            : string.Join(", ", names.Take(most)) + (names.Count > most ? $", and {names.Count - most} more" : "");
        return new RecoveryException(RecoveryError.NotFound,
            $"There is no database {database} in {where} then; there are: {listed}.");
    }

    /// <summary>Lets both moments go, and removes what was restored aside.</summary>
    public async ValueTask DisposeAsync()
    {
        From.Dispose();
        To.Dispose();
        await store.DisposeAsync();
    }
}
