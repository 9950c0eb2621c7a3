using RecoveryVfs.RecoveryLog.Objects;

namespace RecoveryVfs.RecoveryLog.Tests.Remote;

/// <summary>Another object store, and how many reads of extents were under way at once.</summary>
internal sealed class CountingStore(IObjectStore inner) : IObjectStore
{
    int now, most;

    /// <summary>The most at any moment.</summary>
    public int Most => most;

    public string Location => inner.Location;

    public RequestCounters Counters => inner.Counters;

    public ValueTask<CreateResult> CreateAsync(string name, ObjectContent content,
        CancellationToken cancellation = default) => inner.CreateAsync(name, content, cancellation);

    public async ValueTask<ObjectDownload?> GetAsync(string name, long offsetBytes = 0, long? lengthBytes = null,
        CancellationToken cancellation = default)
    {
        if (name.EndsWith(".blocks", StringComparison.Ordinal))
            return await inner.GetAsync(name, offsetBytes, lengthBytes, cancellation);
        var under = Interlocked.Increment(ref now);
        for (var seen = most; under > seen; seen = most) Interlocked.CompareExchange(ref most, under, seen);
        try { return await inner.GetAsync(name, offsetBytes, lengthBytes, cancellation); }
        finally { Interlocked.Decrement(ref now); }
    }

    public ValueTask<ObjectInfo?> HeadAsync(string name, CancellationToken cancellation = default)
        => inner.HeadAsync(name, cancellation);

    public IAsyncEnumerable<ObjectInfo> ListAsync(string prefix, string? startAfter = null,
        CancellationToken cancellation = default) => inner.ListAsync(prefix, startAfter, cancellation);

    public ValueTask DeleteAsync(IReadOnlyCollection<string> names, CancellationToken cancellation = default)
        => inner.DeleteAsync(names, cancellation);

    public ValueTask DisposeAsync() => inner.DisposeAsync();
}
