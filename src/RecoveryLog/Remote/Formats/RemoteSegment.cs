using System.Security.Cryptography;

namespace RecoveryVfs.RecoveryLog.Remote;

/// <summary>A segment fetched from a remote, whole and verified against its trailer. Its records can be read more than once.</summary>
public sealed class RemoteSegment : IDisposable
{
    /// <summary>Segments up to this size are held in memory; larger ones go to a spool file.</summary>
    public const int MemoryBytes = 16 << 20;

    readonly RemoteSegmentHeader header;
    readonly byte[]? bytes;
    readonly Stream? spool;
    readonly long sizeBytes;

    RemoteSegment(string name, RemoteSegmentHeader header, ObjectHash hash, byte[]? bytes, Stream? spool, long sizeBytes)
    {
        (Name, this.header, Hash) = (name, header, hash);
        (this.bytes, this.spool, this.sizeBytes) = (bytes, spool, sizeBytes);
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
        if (bytes is not null) return new SegmentRecords(Header, Name, new MemoryContentStream(bytes.AsMemory(body, (int)length)));
        var view = new SharedFileView(spool!) { Position = body };
        return new SegmentRecords(Header, Name, new BoundedReadStream(view, length, _ => { }));
    }

    /// <inheritdoc/>
    public void Dispose() => spool?.Dispose();

    /// <summary>
    /// Takes a whole object's bytes. Throws Corrupt when the trailer does not match, when the header makes no sense or does not belong under the
    /// name.
    /// </summary>
    public static RemoteSegment Parse(string name, byte[] bytes)
    {
        if (bytes.Length < RemoteSegmentFormat.HeaderBytes + RemoteSegmentFormat.TrailerBytes)
            throw RemoteSegmentFormat.Damaged(name, "it is too short for a segment");
        var hash = ObjectHash.Of(bytes.AsSpan(0, bytes.Length - ObjectHash.Bytes));
        return new RemoteSegment(name, Check(name, bytes, hash, bytes.AsSpan(^ObjectHash.Bytes..)), hash, bytes, null, bytes.Length);
    }

    /// <summary>Fetches a segment, or returns null when there is none of that name. Large ones go to what <paramref name="openSpool"/> makes.</summary>
    public static async ValueTask<RemoteSegment?> FetchAsync(
        IObjectStore store, string name, Func<Stream>? openSpool, CancellationToken cancellation = default)
    {
        var fetch = new Fetch(openSpool);
        try
        {
            if (await store.CopyWholeAsync(name, fetch.TakeAsync, Resumes, cancellation) < 0) return null;
            return fetch.Finish(name);
        }
        finally { fetch.Dispose(); }
    }

    const int Resumes = 5;

    static RemoteSegmentHeader Check(string name, ReadOnlySpan<byte> start, in ObjectHash hash, ReadOnlySpan<byte> trailer)
    {
        // The header first: "a newer version" is a better answer than "damaged".
        var header = RemoteSegmentFormat.ReadHeader(start, name);
        if (hash != new ObjectHash(trailer)) throw RemoteSegmentFormat.Damaged(name, "its bytes do not match its SHA-256");
        if (RemoteNames.TryParseSegment(name, out ulong named) && named != header.FirstLsn)
            throw RemoteSegmentFormat.Damaged(name, $"it holds the segment that starts at LSN {header.FirstLsn} (objects were swapped)");
        return header;
    }

    /// <summary>Gathers the object's bytes, in memory while they are few, and hashes all but the last 32 as they pass.</summary>
    sealed class Fetch(Func<Stream>? openSpool) : IDisposable
    {
        readonly IncrementalHash sha = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        MemoryStream? memory = new();
        Stream? spool;
        long total;
        bool taken;

        public ValueTask TakeAsync(ReadOnlyMemory<byte> part)
        {
            if (memory is not null && memory.Length + part.Length > MemoryBytes && openSpool is not null)
            {
                spool = openSpool();
                memory.WriteTo(spool);
                memory = null;
            }
            (memory ?? spool!).Write(part.Span);
            total += part.Length;
            return ValueTask.CompletedTask;
        }

        public RemoteSegment Finish(string name)
        {
            if (memory is not null) return Parse(name, memory.ToArray());
            byte[] start = new byte[RemoteSegmentFormat.HeaderBytes], buffer = new byte[128 << 10];
            spool!.Position = 0;
            long left = total - ObjectHash.Bytes;
            for (bool first = true; left > 0; first = false)
            {
                int got = spool.ReadAtLeast(buffer.AsSpan(0, (int)Math.Min(buffer.Length, left)), 1);
                if (first) buffer.AsSpan(0, start.Length).CopyTo(start);
                sha.AppendData(buffer, 0, got);
                left -= got;
            }
            spool.ReadExactly(buffer, 0, ObjectHash.Bytes);
            var hash = ObjectHash.Take(sha);
            var segment = new RemoteSegment(name, Check(name, start, hash, buffer.AsSpan(0, ObjectHash.Bytes)), hash, null, spool, total);
            taken = true;
            return segment;
        }

        public void Dispose()
        {
            sha.Dispose();
            if (!taken) spool?.Dispose();
        }
    }
}
