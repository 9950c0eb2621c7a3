using System.Runtime.CompilerServices;
using RecoveryVfs.RecoveryLog.Objects;

namespace RecoveryVfs.PageStore.Tests;

/// <summary>
/// An object store with something that happens after each read, before its answer is seen. It outlives who uses it.
/// </summary>
sealed class WatchedStore(IObjectStore store, Func<string, Task> after) : IObjectStore
{
    public string Location => store.Location;

    public RequestCounters Counters => store.Counters;

    public ValueTask<CreateResult> CreateAsync(string name, ObjectContent content,
        CancellationToken cancellation = default) => store.CreateAsync(name, content, cancellation);

    public async ValueTask<ObjectDownload?> GetAsync(string name, long offsetBytes = 0, long? lengthBytes = null,
        CancellationToken cancellation = default)
    {
        var found = await store.GetAsync(name, offsetBytes, lengthBytes, cancellation);
        await after(name);
        return found;
    }

    public ValueTask<ObjectInfo?> HeadAsync(string name, CancellationToken cancellation = default)
        => store.HeadAsync(name, cancellation);

    public async IAsyncEnumerable<ObjectInfo> ListAsync(string prefix, string? startAfter = null,
        [EnumeratorCancellation] CancellationToken cancellation = default)
    {
        await foreach (var found in store.ListAsync(prefix, startAfter, cancellation)) yield return found;
    }

    public ValueTask DeleteAsync(IReadOnlyCollection<string> names, CancellationToken cancellation = default)
        => store.DeleteAsync(names, cancellation);

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;
}
