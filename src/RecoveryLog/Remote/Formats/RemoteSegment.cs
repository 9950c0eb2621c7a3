using System.Buffers;
using System.IO.Pipelines;
using System.Security.Cryptography;
using RecoveryVfs.RecoveryLog.Objects;

namespace RecoveryVfs.RecoveryLog.Remote.Formats;

/// <summary>
/// A segment fetched from a remote, whole and verified against its trailer. Its records can be read more than once.
/// </summary>
internal sealed class RemoteSegment : IDisposable
{
    /// <summary>Segments up to this size are held in memory; larger ones go to a spool file.</summary>
    public const int MemoryBytes = 16 << 20;

    static readonly StreamPipeReaderOptions spooledBlocks = new(bufferSize: BytePipe.BlockBytes);

    readonly RemoteSegmentHeader header;
    readonly bool isRented;
    readonly Stream? spool;
    readonly long sizeBytes;
    byte[]? bytes;

    RemoteSegment(string name, RemoteSegmentHeader header, ObjectHash hash, byte[]? bytes, bool isRented, Stream? spool,
        long sizeBytes)
    {
        (Name, this.header, Hash) = (name, header, hash);
        (this.bytes, this.isRented, this.spool, this.sizeBytes) = (bytes, isRented, spool, sizeBytes);
    }

    /// <summary>The object's name.</summary>
    public string Name { get; }

    /// <summary>What its header says.</summary>
    public RemoteSegmentHeader Header => header;

    internal ref readonly RemoteSegmentHeader HeaderRef => ref header;

    /// <summary>Its trailer.</summary>
    public ObjectHash Hash { get; }

    /// <summary>The object's size.</summary>
    public long SizeBytes => sizeBytes;

    /// <summary>Its records, from the first. Dispose what is returned before the segment.</summary>
    public SegmentRecords OpenRecords()
    {
        int body = (int)Math.Min(RemoteSegmentFormat.HeaderBytes, sizeBytes);
        long length = sizeBytes - RemoteSegmentFormat.HeaderBytes - RemoteSegmentFormat.TrailerBytes;
        if (!Header.IsCompressed && length != Header.BodyBytes)
            throw RemoteSegmentFormat.Damaged(Name, "its size is not what its header says");
        if (bytes is not null)
            return new SegmentRecords(Header, Name,
                PipeReader.Create(new ReadOnlySequence<byte>(bytes, body, (int)length)));
        var view = new SharedFileView(spool
            ?? throw new ObjectDisposedException(nameof(RemoteSegment)))
        { Position = body };
        return new SegmentRecords(Header, Name,
            PipeReader.Create(new BoundedReadStream(view, length, _ => { }), spooledBlocks));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        spool?.Dispose();
        if (Interlocked.Exchange(ref bytes, null) is { } returned && isRented) ArrayPool<byte>.Shared.Return(returned);
    }

    /// <summary>
    /// Takes a whole object's bytes. Throws Corrupt when the trailer does not match, when the header makes no sense or
    /// does not belong under the name.
    /// </summary>
    public static RemoteSegment Parse(string name, byte[] bytes)
    {
        if (bytes.Length < RemoteSegmentFormat.HeaderBytes + RemoteSegmentFormat.TrailerBytes)
            throw RemoteSegmentFormat.Damaged(name, "it is too short for a segment");
        var hash = ObjectHash.Of(bytes.AsSpan(0, bytes.Length - ObjectHash.Bytes));
        return new RemoteSegment(name, Check(name, bytes, hash, bytes.AsSpan(^ObjectHash.Bytes..)), hash, bytes,
            isRented: false, null, bytes.Length);
    }

    /// <summary>
    /// Fetches a segment, or returns null when there is none of that name. Large ones go to what
    /// <paramref name="openSpool"/> makes.
    /// </summary>
    public static async ValueTask<RemoteSegment?> FetchAsync(
        IObjectStore store, string name, Func<Stream>? openSpool, CancellationToken cancellation = default)
    {
        var fetch = new Fetch(openSpool);
        try
        {
            if (await store.StreamWholeAsync(name, fetch.TakeAsync, Resumes, cancellation) < 0) return null;
            return fetch.Finish(name);
        }
        finally { fetch.Dispose(); }
    }

    const int Resumes = 5;

    static RemoteSegmentHeader Check(string name, ReadOnlySpan<byte> start, in ObjectHash hash,
        ReadOnlySpan<byte> trailer)
    {
        // The header first: "a newer version" is a better answer than "damaged".
        var header = RemoteSegmentFormat.ReadHeader(start, name);
        if (hash != new ObjectHash(trailer))
            throw RemoteSegmentFormat.Damaged(name, "its bytes do not match its SHA-256");
        if (RemoteNames.TryParseSegment(name, out ulong named) && named != header.FirstLsn)
            throw RemoteSegmentFormat.Damaged(name,
                $"it holds the segment that starts at LSN {header.FirstLsn} (objects were swapped)");
        return header;
    }

    /// <summary>
    /// Gathers the object's bytes, in memory when they are few, and hashes all but the last 32 as they pass.
    /// </summary>
    sealed class Fetch(Func<Stream>? openSpool) : IDisposable
    {
        readonly IncrementalHash sha = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        readonly byte[] start = new byte[RemoteSegmentFormat.HeaderBytes], trailer = new byte[ObjectHash.Bytes];
        byte[]? memory;
        Stream? spool;
        long total, done;

        public ValueTask TakeAsync(long sizeBytes, PipeReader from)
        {
            total = sizeBytes;
            if (total > MemoryBytes && openSpool is not null) spool = openSpool();
            else memory = ArrayPool<byte>.Shared.Rent(checked((int)total));
            return from.DrainAsync(part => Take(part.Span));
        }

        void Take(ReadOnlySpan<byte> bytes)
        {
            if (memory is not null) bytes.CopyTo(memory.AsSpan((int)done));
            else spool!.Write(bytes);
            if (done < start.Length)
                bytes[..(int)Math.Min(bytes.Length, start.Length - done)].CopyTo(start.AsSpan((int)done));
            var hashed = (int)Math.Clamp(total - trailer.Length - done, 0, bytes.Length);
            sha.AppendData(bytes[..hashed]);
            bytes[hashed..].CopyTo(trailer.AsSpan((int)Math.Max(0, done - (total - trailer.Length))));
            done += bytes.Length;
        }

        public RemoteSegment Finish(string name)
        {
            if (total < start.Length + trailer.Length)
                throw RemoteSegmentFormat.Damaged(name, "it is too short for a segment");
            var hash = ObjectHash.Take(sha);
            var segment =
                new RemoteSegment(name, Check(name, start, hash, trailer), hash, memory, isRented: true, spool, total);
            (memory, spool) = (null, null);
            return segment;
        }

        public void Dispose()
        {
            sha.Dispose();
            spool?.Dispose();
            if (memory is not null) ArrayPool<byte>.Shared.Return(memory);
        }
    }
}
