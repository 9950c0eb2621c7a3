using System.Runtime.CompilerServices;
using RecoveryVfs.RecoveryLog.Objects;

namespace RecoveryVfs.Bench;

/// <summary>An object store each of whose requests takes so long before it is begun; reads are counted.</summary>
internal sealed class SlowStore(IObjectStore store, TimeSpan delay, Action read) : IObjectStore
{
    public string Location => store.Location;

    public RequestCounters Counters => store.Counters;

    public async ValueTask<CreateResult> CreateAsync(string name, ObjectContent content,
        CancellationToken cancellation = default)
    {
        await Task.Delay(delay, cancellation);
        return await store.CreateAsync(name, content, cancellation);
    }

    public async ValueTask<ObjectDownload?> GetAsync(string name, long offsetBytes = 0, long? lengthBytes = null,
        CancellationToken cancellation = default)
    {
        read();
        await Task.Delay(delay, cancellation);
        return await store.GetAsync(name, offsetBytes, lengthBytes, cancellation);
    }

    public async ValueTask<ObjectInfo?> HeadAsync(string name, CancellationToken cancellation = default)
    {
        read();
        await Task.Delay(delay, cancellation);
        return await store.HeadAsync(name, cancellation);
    }

    public async IAsyncEnumerable<ObjectInfo> ListAsync(string prefix, string? startAfter = null,
        [EnumeratorCancellation] CancellationToken cancellation = default)
    {
        read();
        await Task.Delay(delay, cancellation);
        await foreach (var found in store.ListAsync(prefix, startAfter, cancellation)) yield return found;
    }

    public async ValueTask DeleteAsync(IReadOnlyCollection<string> names, CancellationToken cancellation = default)
    {
        await Task.Delay(delay, cancellation);
        await store.DeleteAsync(names, cancellation);
    }

    public ValueTask DisposeAsync() => store.DisposeAsync();
}
