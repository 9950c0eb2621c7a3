using System.Runtime.CompilerServices;
using RecoveryVfs.RecoveryLog.Objects;

namespace RecoveryVfs.RecoveryLog.Remote.Archives;

/// <summary>
/// Snapshot files as the remote that they were made of: a full one, and those that go on from it. Whatever restores,
/// verifies or looks into a remote does so with them. Only to be read.
/// </summary>
internal sealed class ArchiveObjectStore : IObjectStore
{
    readonly IReadOnlyList<ArchiveFile> files;
    readonly SortedDictionary<string, (ArchiveFile File, long Offset, long SizeBytes)> objects =
        new(StringComparer.Ordinal);

    ArchiveObjectStore(IReadOnlyList<ArchiveFile> files)
    {
        this.files = files;
        foreach (var file in files)
            foreach (var (name, place) in file.Objects) objects.TryAdd(name, (file, place.Offset, place.SizeBytes));
        Location = files[^1].Path;
    }

    /// <summary>The files, in the order in which they go on from one another.</summary>
    public IReadOnlyList<ArchiveFile> Files => files;

    /// <summary>The state that the last one is of.</summary>
    public ulong Lsn => files[^1].Description.Lsn;

    public string Location { get; }

    public RequestCounters Counters { get; } = new();

    /// <summary>
    /// Takes files that were opened, in any order; they are this object's from now on. Throws Invalid when they do not
    /// go on from one another.
    /// </summary>
    public static ArchiveObjectStore Of(IReadOnlyList<ArchiveFile> opened)
    {
        var left = opened.ToList();
        var full = left.FindAll(f => f.Description.Base is null);
        if (full.Count != 1)
            throw new RecoveryException(RecoveryError.Invalid,
                full.Count == 0
                    ? $"{left[0].Path} goes on from another snapshot ({left[0].Description.Base![..16]}..), which was "
                        + "not given."
                    : $"{full[0].Path} and {full[1].Path} are both full snapshots.",
                "Give one full snapshot, and those that go on from it.");
        List<ArchiveFile> chain = [full[0]];
        left.Remove(full[0]);
        while (left.Find(f => f.Description.Base == chain[^1].Identity) is { } next)
        {
            chain.Add(next);
            left.Remove(next);
        }
        return left.Count == 0 ? new ArchiveObjectStore(chain)
            : throw new RecoveryException(RecoveryError.Invalid,
                $"{left[0].Path} does not go on from {chain[^1].Path}: it needs a snapshot "
                    + $"{left[0].Description.Base![..16]}.., which was not given.",
                "Give all that lies between, or leave it out.");
    }

    public ValueTask<CreateResult> CreateAsync(string name, ObjectContent content,
        CancellationToken cancellation = default) => throw ReadOnly();

    public ValueTask DeleteAsync(IReadOnlyCollection<string> names, CancellationToken cancellation = default)
        => throw ReadOnly();

    static NotSupportedException ReadOnly() => new("Snapshot files are only read.");

    public ValueTask<ObjectDownload?> GetAsync(string name, long offsetBytes = 0, long? lengthBytes = null,
        CancellationToken cancellation = default)
    {
        if (!objects.TryGetValue(name, out var found)) return new((ObjectDownload?)null);
        var length = Math.Clamp(found.SizeBytes - offsetBytes, 0, lengthBytes ?? long.MaxValue);
        return new(new ObjectDownload(new Part(found.File, found.Offset + offsetBytes, length), length,
            found.SizeBytes));
    }

    public ValueTask<ObjectInfo?> HeadAsync(string name, CancellationToken cancellation = default)
        => new(objects.TryGetValue(name, out var found) ? InfoOf(name, found) : (ObjectInfo?)null);

    public async IAsyncEnumerable<ObjectInfo> ListAsync(string prefix, string? startAfter = null,
        [EnumeratorCancellation] CancellationToken cancellation = default)
    {
        await Task.CompletedTask;
        foreach (var (name, found) in objects)
            if (name.StartsWith(prefix, StringComparison.Ordinal)
                && (startAfter is null || string.CompareOrdinal(name, startAfter) > 0))
                yield return InfoOf(name, found);
    }

    static ObjectInfo InfoOf(string name, (ArchiveFile File, long Offset, long SizeBytes) found)
        => new(name, found.SizeBytes, found.File.Description.Created);

    public ValueTask DisposeAsync()
    {
        foreach (var file in files) file.Dispose();
        return default;
    }

    /// <summary>Bytes of a file, read forward.</summary>
    sealed class Part(ArchiveFile file, long offset, long length) : Stream
    {
        long done;

        public override bool CanRead => true;
        public override bool CanSeek => false;
        public override bool CanWrite => false;
        public override long Length => length;
        public override long Position { get => done; set => throw new NotSupportedException(); }

        public override int Read(Span<byte> buffer)
        {
            var got = RandomAccess.Read(file.Handle, buffer[..(int)Math.Min(buffer.Length, length - done)],
                offset + done);
            done += got;
            return got;
        }

        public override int Read(byte[] buffer, int at, int count) => Read(buffer.AsSpan(at, count));

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
            => new(Read(buffer.Span));

        public override Task<int> ReadAsync(byte[] buffer, int at, int count, CancellationToken cancellationToken)
            => Task.FromResult(Read(buffer.AsSpan(at, count)));

        public override void Flush() { }
        public override long Seek(long to, SeekOrigin origin) => throw new NotSupportedException();
        public override void SetLength(long value) => throw new NotSupportedException();
        public override void Write(byte[] buffer, int at, int count) => throw new NotSupportedException();
    }
}
