using System.Runtime.CompilerServices;

namespace RecoveryVfs.RecoveryLog.Objects;

/// <summary>
/// Objects as files of one directory, which may be shared by machines. A file is written under a temporary name, made durable, and
/// linked to its name, which fails when the name is taken: that is the conditional create.
/// </summary>
public sealed class FileObjectStore : IObjectStore
{
    const string TemporaryDirectory = ".tmp";

    /// <summary>Half-written files of writers that died are removed when they are older than this.</summary>
    static readonly TimeSpan TemporaryAge = TimeSpan.FromDays(1);

    readonly string root;
    readonly string temporary;

    /// <summary>Opens (and creates, when missing) the directory.</summary>
    public FileObjectStore(string directory, bool readOnly = false)
    {
        root = Path.GetFullPath(directory);
        temporary = Path.Combine(root, TemporaryDirectory);
        Location = new Uri(root).AbsoluteUri;
        if (!readOnly) Translate(ObjectStoreError.Unavailable, CreateDirectories);
    }

    /// <inheritdoc/>
    public string Location { get; }

    /// <inheritdoc/>
    public RequestCounters Counters { get; } = new();

    /// <inheritdoc/>
    public async ValueTask<CreateResult> CreateAsync(string name, ObjectContent content, CancellationToken cancellation = default)
    {
        ObjectName.Check(name);
        cancellation.ThrowIfCancellationRequested();
        Counters.Request(RequestKind.Create, name);
        string path = PathOf(name), temp = Path.Combine(temporary, Guid.NewGuid().ToString("n"));
        try
        {
            if (File.Exists(path)) return CreateResult.AlreadyExists;
            await WriteDurablyAsync(temp, content, cancellation);
            string parent = Path.GetDirectoryName(path)!;
            if (!Directory.Exists(parent))
            {
                Directory.CreateDirectory(parent);
                DirectoryLinks.Sync(Path.GetDirectoryName(parent)!);
            }
            if (!DirectoryLinks.TryPublish(temp, path)) return CreateResult.AlreadyExists;
            // A failure from here on leaves the outcome unknown: the name is there, but may not survive power loss.
            try { DirectoryLinks.Sync(parent); }
            catch (IOException e) { throw Failure(ObjectStoreError.Unknown, $"Syncing the directory of {path} failed", e); }
            Counters.Sent(name, content.LengthBytes);
            return CreateResult.Created;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw Failure(ErrorOf(e), $"Creating {path} failed: {e.Message}", e);
        }
        finally { File.Delete(temp); }
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
            var file = new FileStream(PathOf(name), FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete, 0,
                FileOptions.Asynchronous | FileOptions.SequentialScan);
            long size = file.Length, start = Math.Min(offsetBytes, size);
            file.Position = start;
            long length = Math.Min(lengthBytes ?? long.MaxValue, size - start);
            return new(new ObjectDownload(new BoundedReadStream(file, length, n => Counters.Received(name, n)), length, size));
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException) { return new((ObjectDownload?)null); }
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
            var file = new FileInfo(PathOf(name));
            return file.Exists ? new ObjectInfo(name, file.Length, file.LastWriteTimeUtc) : (ObjectInfo?)null;
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
            try { File.Delete(PathOf(name)); }
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
        string below = Path.Combine(root, prefix.Contains('/') ? prefix[..prefix.LastIndexOf('/')] : "");
        var names = new List<string>();
        if (!Directory.Exists(below))
            return Directory.Exists(root) ? names : throw Failure(ObjectStoreError.Missing, $"The directory {root} does not exist", null);
        foreach (string path in Directory.EnumerateFiles(below, "*", SearchOption.AllDirectories))
        {
            string name = Path.GetRelativePath(root, path);
            if (name.StartsWith(prefix, StringComparison.Ordinal) && ObjectName.IsValid(name)
                && (startAfter is null || string.CompareOrdinal(name, startAfter) > 0)) names.Add(name);
        }
        names.Sort(StringComparer.Ordinal);
        return names;
    }

    static async ValueTask WriteDurablyAsync(string path, ObjectContent content, CancellationToken cancellation)
    {
        await using var file = new FileStream(path, FileMode.CreateNew, FileAccess.Write, FileShare.None, 0, FileOptions.Asynchronous);
        if (content.Bytes is { } bytes) await file.WriteAsync(bytes, cancellation);
        else
        {
            await using var source = content.Open();
            await source.CopyToAsync(file, 128 << 10, cancellation);
        }
        if (file.Length != content.LengthBytes)
            throw new RecoveryException(RecoveryError.IoRead,
                $"The source of {path} gave {file.Length} bytes instead of {content.LengthBytes}; it changed while it was copied");
        file.Flush(flushToDisk: true);
    }

    bool CreateDirectories()
    {
        Directory.CreateDirectory(temporary);
        foreach (string left in Directory.EnumerateFiles(temporary))
            if (DateTime.UtcNow - File.GetLastWriteTimeUtc(left) > TemporaryAge) File.Delete(left);
        return true;
    }

    T Translate<T>(ObjectStoreError otherwise, Func<T> action)
    {
        try { return action(); }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            var error = ErrorOf(e);
            throw Failure(error == ObjectStoreError.Unavailable ? otherwise : error, $"Using the directory {root} failed: {e.Message}", e);
        }
    }

    static ObjectStoreError ErrorOf(Exception e) => e switch
    {
        UnauthorizedAccessException => ObjectStoreError.Denied,
        DirectoryNotFoundException => ObjectStoreError.Missing,
        IOException io when DirectoryLinks.IsNoSpace(io) => ObjectStoreError.Full,
        _ => ObjectStoreError.Unavailable,
    };

    ObjectStoreException Failure(ObjectStoreError error, string message, Exception? cause)
    {
        Counters.Failed();
        return new ObjectStoreException(error, message, cause);
    }
}
