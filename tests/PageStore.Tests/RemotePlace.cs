using RecoveryVfs.PageStore.Replicas;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.Read;
using RecoveryVfs.RecoveryLog.Remote.Write;
using RecoveryVfs.TestServers;

namespace RecoveryVfs.PageStore.Tests;

/// <summary>A new remote on some object store, and what tests do to it.</summary>
public sealed class RemotePlace
{
    readonly string url;
    readonly Func<bool, IObjectStore> open;

    internal RemotePlace(string url, Func<bool, IObjectStore> open) => (this.url, this.open) = (url, open);

    public string Url => url;

    /// <summary>The store's connection to the remote can be cut and mended.</summary>
    public bool IsAway { get; set; }

    internal RemoteOptions Options => new()
    {
        Url = url,
        SyncInterval = TimeSpan.FromMilliseconds(20),
        Open = _ => new CutOffStore(open(false), () => IsAway),
    };

    /// <summary>A way to the remote that is never cut.</summary>
    internal IObjectStore Open() => open(false);

    internal async Task<RestorePlan> PlanAsync(IObjectStore objects, RestoreTarget target = default) =>
        await RestorePlanner.PlanAsync(new RemoteContext { Store = objects }, target);

    internal async Task<RestoreResult> RestoreAsync(StoreOptions into, RestoreTarget target = default)
    {
        await using var objects = Open();
        return await StoreRestore.RestoreAsync(await PlanAsync(objects, target), into);
    }

    /// <summary>Names of the objects that start so.</summary>
    public async Task<List<string>> NamesAsync(string prefix)
    {
        await using var objects = Open();
        var names = new List<string>();
        await foreach (var entry in objects.ListAsync(prefix)) names.Add(entry.Name);
        return names;
    }

    /// <summary>Flips a bit in the middle of an object.</summary>
    public async Task DamageAsync(string name)
    {
        await using var objects = Open();
        var bytes = (await objects.ReadWholeAsync(name, 256 << 20))!;
        bytes[bytes.Length / 2] ^= 1;
        await objects.DeleteAsync([name]);
        Assert.Equal(CreateResult.Created, await objects.CreateAsync(name, bytes));
    }
}

/// <summary>Where remotes come from: a directory, or a real S3 server.</summary>
public interface IRemotePlaces
{
    Task<RemotePlace> NewAsync();
}

/// <summary>Directories.</summary>
public sealed class DirectoryPlaces : IRemotePlaces, IDisposable
{
    readonly string root = System.IO.Directory.CreateTempSubdirectory("recovery-places-").FullName;
    int count;

    public Task<RemotePlace> NewAsync()
    {
        var url = new Uri(Path.Combine(root, $"{Interlocked.Increment(ref count)}")).AbsoluteUri;
        return Task.FromResult(new RemotePlace(url, readOnly => RemoteUrl.Parse(url, _ => null).Open(readOnly)));
    }

    public void Dispose() => System.IO.Directory.Delete(root, recursive: true);
}

/// <summary>Buckets of a real S3 server.</summary>
public sealed class BucketPlaces(S3Server server) : IRemotePlaces
{
    public S3Server Server => server;

    public async Task<RemotePlace> NewAsync()
    {
        var url = $"s3://{await server.NewBucketAsync()}/a/prefix?endpoint={server.Endpoint}";
        return new RemotePlace(url,
            _ => new S3ObjectStore(RemoteUrl.Parse(url, _ => null), TimeProvider.System, S3Server.Credentials));
    }
}

/// <summary>An object store behind a connection that can be cut.</summary>
sealed class CutOffStore(IObjectStore inner, Func<bool> isCut) : IObjectStore
{
    public string Location => inner.Location;

    public RequestCounters Counters => inner.Counters;

    IObjectStore Reached => isCut()
        ? throw new ObjectStoreException(ObjectStoreError.Unavailable, $"{Location} cannot be reached (cut by a test)")
        : inner;

    // Cut while the request is under way: it may have been carried out, and nobody knows.
    async ValueTask<T> AnswerAsync<T>(ValueTask<T> answer)
    {
        var result = await answer;
        return isCut()
            ? throw new ObjectStoreException(ObjectStoreError.Unknown,
            $"The answer of {Location} was lost (cut by a test)")
            : result;
    }

    public ValueTask<CreateResult> CreateAsync(string name, ObjectContent content, CancellationToken cancellation) =>
        AnswerAsync(Reached.CreateAsync(name, content, cancellation));

    public ValueTask<ObjectDownload?> GetAsync(string name, long offsetBytes, long? lengthBytes,
        CancellationToken cancellation) =>
        Reached.GetAsync(name, offsetBytes, lengthBytes, cancellation);

    public ValueTask<ObjectInfo?> HeadAsync(string name, CancellationToken cancellation)
        => Reached.HeadAsync(name, cancellation);

    public IAsyncEnumerable<ObjectInfo> ListAsync(string prefix, string? startAfter, CancellationToken cancellation) =>
        Reached.ListAsync(prefix, startAfter, cancellation);

    public ValueTask DeleteAsync(IReadOnlyCollection<string> names, CancellationToken cancellation)
        => Reached.DeleteAsync(names, cancellation);

    public ValueTask DisposeAsync() => inner.DisposeAsync();
}
