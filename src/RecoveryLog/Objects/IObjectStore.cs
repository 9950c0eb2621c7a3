namespace RecoveryVfs.RecoveryLog.Objects;

/// <summary>
/// Named, immutable byte strings under one prefix: all that a remote needs. An object is created once, whole, and never
/// overwritten; it is read in whole or in part, listed by name, and deleted.
/// </summary>
/// <remarks>
/// Contracts, for every implementation:
/// <list type="bullet">
/// <item>Names are relative to the prefix: segments of <c>[A-Za-z0-9._~-]</c> divided by <c>/</c>.</item>
/// <item><see cref="CreateAsync"/> has exactly one winner for a name, whoever races, and an object is never seen in
/// part.</item>
/// <item>An object that was created is found by <see cref="GetAsync"/> and <see cref="HeadAsync"/> at once. A listing
/// may lag.</item>
/// <item>Failures are <see cref="ObjectStoreException"/>s with a kind; nothing is retried inside. A cancelled call
/// throws
/// <see cref="OperationCanceledException"/>, and its outcome is then unknown.</item>
/// <item>All methods may be called at the same time from many threads. Memory used by a call does not depend on the
/// object's size.</item>
/// </list>
/// </remarks>
internal interface IObjectStore : IAsyncDisposable
{
    /// <summary>Where this is, for people: server, bucket and prefix, or directory. Holds no secrets.</summary>
    string Location { get; }

    /// <summary>Requests and bytes so far, by kind.</summary>
    RequestCounters Counters { get; }

    /// <summary>
    /// Creates an object if there is none of that name. Durable when it returns <see cref="CreateResult.Created"/>.
    /// </summary>
    ValueTask<CreateResult> CreateAsync(string name, ObjectContent content, CancellationToken cancellation = default);

    /// <summary>
    /// Opens an object from <paramref name="offsetBytes"/> on (to its end, or for <paramref name="lengthBytes"/>), or
    /// returns null when there is none. The stream may end early when the connection breaks: count, or use
    /// <see cref="ObjectReads"/>.
    /// </summary>
    ValueTask<ObjectDownload?> GetAsync(string name, long offsetBytes = 0, long? lengthBytes = null,
        CancellationToken cancellation = default);

    /// <summary>An object's size and time, or null when there is none.</summary>
    ValueTask<ObjectInfo?> HeadAsync(string name, CancellationToken cancellation = default);

    /// <summary>
    /// Objects whose names start with <paramref name="prefix"/> and come after <paramref name="startAfter"/>, in
    /// ordinal order of names, fetched page by page as they are consumed. May miss what was created, and show what was
    /// deleted, a moment ago.
    /// </summary>
    IAsyncEnumerable<ObjectInfo> ListAsync(string prefix, string? startAfter = null,
        CancellationToken cancellation = default);

    /// <summary>
    /// Deletes objects; names that do not exist count as deleted. When it throws, any part of them may be gone.
    /// </summary>
    ValueTask DeleteAsync(IReadOnlyCollection<string> names, CancellationToken cancellation = default);
}

/// <summary>How a conditional create ended.</summary>
internal enum CreateResult
{
    /// <summary>The object was created, by this call.</summary>
    Created,
    /// <summary>
    /// There is an object of that name already; nothing was changed. It may stem from an earlier call whose answer was
    /// lost.
    /// </summary>
    AlreadyExists,
}

/// <summary>What a listing or a head request tells of an object.</summary>
/// <param name="Name">The name, relative to the store's prefix.</param>
/// <param name="SizeBytes">The size.</param>
/// <param name="Modified">When it was created, by the object store's own clock.</param>
internal readonly record struct ObjectInfo(string Name, long SizeBytes, DateTimeOffset Modified);

/// <summary>An object being read. Dispose it to give the connection back.</summary>
internal sealed class ObjectDownload(Stream body, long lengthBytes, long objectBytes) : IAsyncDisposable
{
    /// <summary>The bytes asked for, read forward once.</summary>
    public Stream Body { get; } = body;

    /// <summary>How many bytes <see cref="Body"/> should give.</summary>
    public long LengthBytes { get; } = lengthBytes;

    /// <summary>The size of the whole object.</summary>
    public long ObjectBytes { get; } = objectBytes;

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => Body.DisposeAsync();
}
