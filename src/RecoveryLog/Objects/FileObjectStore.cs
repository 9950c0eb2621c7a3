using System.Runtime.CompilerServices;

namespace RecoveryVfs.RecoveryLog.Objects;

/// <summary>
/// Objects as files of one directory, which may be shared by machines. A file is written under a temporary name, made
/// durable, and linked to its name, which fails when the name is taken: that is the conditional create. No symbolic
/// link in it is followed (<see cref="ObjectDirectory"/>).
/// </summary>
internal sealed class FileObjectStore : IObjectStore
{
    const string TemporaryDirectory = ".tmp";

    /// <summary>Half-written files of writers that died are removed when they are older than this.</summary>
    static readonly TimeSpan TemporaryAge = TimeSpan.FromDays(1);

    readonly string root;
    readonly ObjectDirectory directory;

    /// <summary>Opens (and creates, when missing) the directory.</summary>
    public FileObjectStore(string directory, bool readOnly = false)
    {
        root = Path.GetFullPath(directory);
        this.directory = new ObjectDirectory(root);
        Location = new Uri(root).AbsoluteUri;
        if (!readOnly) Translate(ObjectStoreError.Unavailable, RemoveAbandoned);
    }

    /// <inheritdoc/>
    public string Location { get; }

    /// <inheritdoc/>
    public RequestCounters Counters { get; } = new();

    /// <inheritdoc/>
    public async ValueTask<CreateResult> CreateAsync(string name, ObjectContent content,
        CancellationToken cancellation = default)
    {
        ObjectName.Check(name);
        cancellation.ThrowIfCancellationRequested();
        Counters.Request(RequestKind.Create, name);
        try
        {
            using var place = directory.Find(name, create: true);
            if (ObjectDirectory.Exists(place)) return CreateResult.AlreadyExists;
            using var temporary = directory.Find($"{TemporaryDirectory}/{Guid.NewGuid():n}", create: true);
            try
            {
                await WriteDurablyAsync(temporary, content, cancellation);
                if (!ObjectDirectory.TryPublish(temporary, place)) return CreateResult.AlreadyExists;
            }
            finally { ObjectDirectory.Delete(temporary); }
            // A failure from here on leaves the outcome unknown: the name is there, but may not survive power loss.
            try { ObjectDirectory.Sync(place.Directory, place.Path); }
            catch (IOException e)
            {
                throw Failure(ObjectStoreError.Unknown, $"Syncing the directory of {place.Path} failed", e);
            }
            Counters.Sent(name, content.LengthBytes);
            return CreateResult.Created;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Failure(ErrorOf(e), $"Creating {PathOf(name)} failed: {e.Message}", e);
        }
    }

    /// <inheritdoc/>
    public ValueTask<ObjectDownload?> GetAsync(
        string name, long offsetBytes = 0, long? lengthBytes = null, CancellationToken cancellation = default)
    {
        ObjectName.Check(name);
        cancellation.ThrowIfCancellationRequested();
        Counters.Request(RequestKind.Get, name);
        try
        {
            if (directory.OpenRead(name) is not { } file) return new((ObjectDownload?)null);
            long size = file.Length, start = Math.Min(offsetBytes, size);
            file.Position = start;
            long length = Math.Min(lengthBytes ?? long.MaxValue, size - start);
            return new(new ObjectDownload(new BoundedReadStream(file, length, n => Counters.Received(name, n)), length,
                size));
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Failure(ErrorOf(e), $"Reading {PathOf(name)} failed: {e.Message}", e);
        }
    }

    /// <inheritdoc/>
    public ValueTask<ObjectInfo?> HeadAsync(string name, CancellationToken cancellation = default)
    {
        ObjectName.Check(name);
        Counters.Request(RequestKind.Head, name);
        return new(Translate(ObjectStoreError.Unavailable, () =>
        {
            using var file = directory.OpenRead(name);
            return file is null
                ? (ObjectInfo?)null
                : new ObjectInfo(name, file.Length, File.GetLastWriteTimeUtc(file.SafeFileHandle));
        }));
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<ObjectInfo> ListAsync(
        string prefix, string? startAfter = null, [EnumeratorCancellation] CancellationToken cancellation = default)
    {
        cancellation.ThrowIfCancellationRequested();
        Counters.Request(RequestKind.List, prefix);
        foreach (string name in Translate(ObjectStoreError.Unavailable, () => Names(prefix, startAfter)))
        {
            var file = new FileInfo(PathOf(name));
            if (file.Exists) yield return new ObjectInfo(name, file.Length, file.LastWriteTimeUtc);
        }
        await ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public ValueTask DeleteAsync(IReadOnlyCollection<string> names, CancellationToken cancellation = default)
    {
        foreach (string name in names)
        {
            ObjectName.Check(name);
            cancellation.ThrowIfCancellationRequested();
            Counters.Request(RequestKind.Delete, name);
            try
            {
                using var place = directory.Find(name);
                ObjectDirectory.Delete(place);
            }
            catch (DirectoryNotFoundException) { }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                throw Failure(ErrorOf(e), $"Deleting {PathOf(name)} failed: {e.Message}", e);
            }
        }
        return ValueTask.CompletedTask;
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    string PathOf(string name) => Path.Combine(root, name);

    List<string> Names(string prefix, string? startAfter)
    {
        // Only the deepest directory that the prefix names as a whole needs to be looked through.
        string below = prefix.Contains('/') ? prefix[..prefix.LastIndexOf('/')] : "";
        if (!Directory.Exists(Path.Combine(root, below)))
            return Directory.Exists(root)
                ? []
                : throw Failure(ObjectStoreError.Missing, $"The directory {root} does not exist", null);
        var names = directory.Files(below)
            .Where(name => name.StartsWith(prefix, StringComparison.Ordinal) && ObjectName.IsValid(name)
            && (startAfter is null || string.CompareOrdinal(name, startAfter) > 0)).ToList();
        names.Sort(StringComparer.Ordinal);
        return names;
    }

    static async ValueTask WriteDurablyAsync(ObjectDirectory.Place place, ObjectContent content,
        CancellationToken cancellation)
    {
        await using var file = ObjectDirectory.Create(place);
        if (content.Bytes is { } bytes) await file.WriteAsync(bytes, cancellation);
        else
        {
            await using var source = content.Open();
            await source.CopyToAsync(file, 128 << 10, cancellation);
        }
        if (file.Length != content.LengthBytes)
            throw new RecoveryException(RecoveryError.IoRead,
                $"The source of {place.Path} gave {file.Length} bytes instead of {content.LengthBytes}; "
                + "it changed while it was copied")
            { Path = place.Path };
        file.Flush(flushToDisk: true);
    }

    /// <summary>
    /// Only what has the form of our own temporary names is deleted, and only in a directory of our own.
    /// </summary>
    bool RemoveAbandoned()
    {
        using (directory.Find($"{TemporaryDirectory}/.", create: true)) { }
        foreach (string name in directory.Files(TemporaryDirectory))
        {
            if (!Guid.TryParseExact(Path.GetFileName(name), "n", out _)
                || Path.GetDirectoryName(name) != TemporaryDirectory)
                continue;
            using var file = directory.OpenRead(name);
            if (file is null || DateTime.UtcNow - File.GetLastWriteTimeUtc(file.SafeFileHandle) <= TemporaryAge)
                continue;
            using var place = directory.Find(name);
            ObjectDirectory.Delete(place);
        }
        return true;
    }

    T Translate<T>(ObjectStoreError otherwise, Func<T> action)
    {
        try { return action(); }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            var error = ErrorOf(e);
            throw Failure(error == ObjectStoreError.Unavailable ? otherwise : error,
                $"Using the directory {root} failed: {e.Message}", e);
        }
    }

    static ObjectStoreError ErrorOf(Exception e) => e switch
    {
        UnauthorizedAccessException => ObjectStoreError.Denied,
        DirectoryNotFoundException => ObjectStoreError.Missing,
        IOException io when ObjectDirectory.IsNoSpace(io) => ObjectStoreError.Full,
        _ => ObjectStoreError.Unavailable,
    };

    ObjectStoreException Failure(ObjectStoreError error, string message, Exception? cause)
    {
        Counters.Failed();
        return new ObjectStoreException(error, message, cause)
        {
            WayOut = error == ObjectStoreError.Denied
                ? "Give this user the rights to the directory and what is in it, or run as its owner" : null,
        };
    }
}
