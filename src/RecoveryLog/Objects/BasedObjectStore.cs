using System.Text.Json;
using System.Text.Json.Serialization;

namespace RecoveryVfs.RecoveryLog.Objects;

/// <summary>
/// The object <c>base.json</c>: objects of a prefix that are not here are read from another place beside this one. It
/// never changes.
/// </summary>
internal sealed record BaseObject
{
    /// <summary>Its name.</summary>
    public const string Name = "base.json";

    /// <summary>The newest version this software knows.</summary>
    public const int Version = 1;

    const int MaxBytes = 64 << 10;

    /// <summary>The format's version.</summary>
    [JsonPropertyName("format")] public int Format { get; init; } = Version;

    /// <summary>The other place, seen from here (<see cref="RemoteUrl.NameOf"/>).</summary>
    [JsonPropertyName("place")] public required string Place { get; init; }

    /// <summary>Which names: those that begin with this.</summary>
    [JsonPropertyName("names")] public required string Names { get; init; }

    /// <summary>The bytes of the object.</summary>
    public byte[] ToBytes() => JsonSerializer.SerializeToUtf8Bytes(this, BaseObjectJson.Default.BaseObject);

    /// <summary>Fetches it; null when there is none.</summary>
    public static async ValueTask<BaseObject?> FetchAsync(IObjectStore store, CancellationToken cancellation)
    {
        if (await store.ReadWholeAsync(Name, MaxBytes, cancellation) is not { } bytes) return null;
        BaseObject? read = null;
        try { read = JsonSerializer.Deserialize(bytes, BaseObjectJson.Default.BaseObject); }
        catch (JsonException)
        {
            // Said below.
        }
        if (read?.Format == Version && read.Place is not null && read.Names is { Length: > 0 }) return read;
        throw new RecoveryException(read?.Format > Version ? RecoveryError.TooNew : RecoveryError.Corrupt,
            $"The object {Name} in {store.Location} "
                + (read?.Format > Version
                    ? $"is of version {read.Format}; this software knows {Version}"
                    : "is damaged"),
            "Check the remote; use the newest version of RecoveryVfs")
        { Path = Name };
    }
}

/// <summary>Generated (de)serialization: works without reflection, so under NativeAOT too.</summary>
[JsonSerializable(typeof(BaseObject))]
sealed partial class BaseObjectJson : JsonSerializerContext;

/// <summary>
/// An object store that may stand on another: what <see cref="BaseObject"/> says of names is believed when one of them
/// is asked for and is not here. Only reading goes there; nothing is ever created, listed or deleted in a base. A store
/// without one costs a request more for a missing object, once.
/// </summary>
internal sealed class BasedObjectStore(IObjectStore own, RemoteUrl url, TimeProvider time) : IObjectStore
{
    /// <summary>
    /// The names that can lie in a base: those of things that are never created later under the same name. A reader of
    /// a log asks all the time for what is not there yet.
    /// </summary>
    public const string Names = "extents/";

    /// <summary>How deep bases may stand on one another.</summary>
    public const int DepthMax = 64;

    readonly SemaphoreSlim finding = new(1);
    int depth;
    bool isKnown;
    IObjectStore? below;

    public string Location => own.Location;

    public RequestCounters Counters => own.Counters;

    public ValueTask<CreateResult> CreateAsync(string name, ObjectContent content,
        CancellationToken cancellation = default) => own.CreateAsync(name, content, cancellation);

    public async ValueTask<ObjectDownload?> GetAsync(string name, long offsetBytes = 0, long? lengthBytes = null,
        CancellationToken cancellation = default)
    {
        var found = await own.GetAsync(name, offsetBytes, lengthBytes, cancellation);
        if (found is not null || await BelowAsync(name, cancellation) is not { } lower) return found;
        return await lower.GetAsync(name, offsetBytes, lengthBytes, cancellation);
    }

    public async ValueTask<ObjectInfo?> HeadAsync(string name, CancellationToken cancellation = default)
    {
        var found = await own.HeadAsync(name, cancellation);
        if (found is not null || await BelowAsync(name, cancellation) is not { } lower) return found;
        return await lower.HeadAsync(name, cancellation);
    }

    public IAsyncEnumerable<ObjectInfo> ListAsync(string prefix, string? startAfter = null,
        CancellationToken cancellation = default) => own.ListAsync(prefix, startAfter, cancellation);

    public ValueTask DeleteAsync(IReadOnlyCollection<string> names, CancellationToken cancellation = default)
        => own.DeleteAsync(names, cancellation);

    public async ValueTask DisposeAsync()
    {
        await own.DisposeAsync();
        if (below is not null) await below.DisposeAsync();
        finding.Dispose();
    }

    async ValueTask<IObjectStore?> BelowAsync(string name, CancellationToken cancellation)
    {
        if (!name.StartsWith(Names, StringComparison.Ordinal)) return null;
        if (!Volatile.Read(ref isKnown))
        {
            await finding.WaitAsync(cancellation);
            try
            {
                if (!isKnown) below = await FindAsync(cancellation);
                Volatile.Write(ref isKnown, true);
            }
            finally
            {
                finding.Release();
            }
        }
        return below;
    }

    async ValueTask<IObjectStore?> FindAsync(CancellationToken cancellation)
    {
        if (await BaseObject.FetchAsync(own, cancellation) is not { Names: Names } found) return null;
        if (depth >= DepthMax)
            throw new RecoveryException(RecoveryError.Corrupt,
                $"{Location} stands on others that stand on one another in a circle.", "Check their base.json")
            { Path = BaseObject.Name };
        var place = url.At(found.Place);
        return new BasedObjectStore(place.OpenAlone(readOnly: true, time), place, time) { depth = depth + 1 };
    }
}
