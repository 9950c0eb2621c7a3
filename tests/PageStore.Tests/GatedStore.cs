using System.Runtime.CompilerServices;
using RecoveryVfs.RecoveryLog.Objects;

namespace RecoveryVfs.PageStore.Tests;

/// <summary>An object store that is asked about each request before it is made: those that are cut fail.</summary>
sealed class GatedStore(IObjectStore store, Func<string, ObjectStoreError?> isCut) : IObjectStore
{
    public string Location => store.Location;

    public RequestCounters Counters => store.Counters;

    IObjectStore For(string name) => isCut(name) is { } error
        ? throw new ObjectStoreException(error, $"{Location}/{name} cannot be reached (cut by a test)")
        : store;

    public ValueTask<CreateResult> CreateAsync(string name, ObjectContent content,
        CancellationToken cancellation = default) => For(name).CreateAsync(name, content, cancellation);

    public ValueTask<ObjectDownload?> GetAsync(string name, long offsetBytes = 0, long? lengthBytes = null,
        CancellationToken cancellation = default) => For(name).GetAsync(name, offsetBytes, lengthBytes, cancellation);

    public ValueTask<ObjectInfo?> HeadAsync(string name, CancellationToken cancellation = default) =>
        For(name).HeadAsync(name, cancellation);

    public async IAsyncEnumerable<ObjectInfo> ListAsync(string prefix, string? startAfter = null,
        [EnumeratorCancellation] CancellationToken cancellation = default)
    {
        await foreach (var found in For(prefix).ListAsync(prefix, startAfter, cancellation)) yield return found;
    }

    public ValueTask DeleteAsync(IReadOnlyCollection<string> names, CancellationToken cancellation = default) =>
        For(names.FirstOrDefault() ?? "").DeleteAsync(names, cancellation);

    public ValueTask DisposeAsync() => store.DisposeAsync();
}
