using System.Buffers;
using System.Buffers.Binary;
using System.IO.Pipelines;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.RecoveryLog.Remote.Read;
using RecoveryVfs.RecoveryLog.Remote.Write;

namespace RecoveryVfs.RecoveryLog.Remote.Formats;

/// <summary>The bytes of one sealed file in the remote.</summary>
/// <param name="Fnode">The file.</param>
/// <param name="Epoch">The epoch in which it was shipped.</param>
/// <param name="SizeBytes">Its size.</param>
/// <param name="Hash">Its SHA-256.</param>
internal readonly record struct Extent(ulong Fnode, ulong Epoch, long SizeBytes, ObjectHash Hash)
{
    /// <summary>The object's name.</summary>
    public string Name => RemoteNames.Extent(Fnode, Epoch, Hash);

    /// <summary>The SHA-256 of the list of its blocks' hashes; zeros when it has none.</summary>
    public ObjectHash List { get; init; }

    /// <summary>Whether it has a list: else only all of it can be verified.</summary>
    public bool HasList => List != default;

    /// <summary>The name that the list's object has.</summary>
    public string ListName => RemoteNames.ListOf(Name);
}

/// <summary>The fixed part of remote hints.</summary>
internal readonly record struct RemoteHintsHeader
{
    /// <summary>The log that they are of.</summary>
    public required Guid LogId { get; init; }
    /// <summary>The tenure in which they were published.</summary>
    public required ulong Epoch { get; init; }
    /// <summary>Who published them.</summary>
    public required ulong Author { get; init; }
    /// <summary>The LSN at which they are true: also their name.</summary>
    public required ulong Lsn { get; init; }
    /// <summary>The first LSN to replay.</summary>
    public required ulong ReplayFrom { get; init; }
    /// <summary>
    /// The time of the record with that LSN, unix milliseconds: states from then on can be restored from here.
    /// </summary>
    public required long TimeMs { get; init; }
    /// <summary>The place of the segment that holds <see cref="ReplayFrom"/>.</summary>
    public required RemoteLogEnd Start { get; init; }
}

/// <summary>Remote hints, whole and verified.</summary>
/// <param name="Header">The fixed part.</param>
/// <param name="Extents">Where the bytes of sealed files are, by fnode.</param>
/// <param name="Hints">Files and databases; small and plain files with their bytes, extents with their SHA-256.</param>
internal sealed record RemoteHints(RemoteHintsHeader Header, IReadOnlyDictionary<ulong, Extent> Extents, Hints Hints)
{
    /// <summary>
    /// The state before a log's first record: nothing. Null when the remote's log starts later. Synthetic: no object
    /// exists for it, and Epoch is 0.
    /// </summary>
    public static RemoteHints? Beginning(StoreObject store) => store.FirstLsn != 1 ? null : new(
        new RemoteHintsHeader
        {
            LogId = store.LogId,
            Epoch = 0,
            Author = 0,
            Lsn = 0,
            ReplayFrom = 1,
            TimeMs = 0,
            Start = RemoteLogEnd.Start(store)
        },
        new Dictionary<ulong, Extent>(),
        Hints.Nothing(store.LogId, 0));

    /// <summary>The object's name.</summary>
    public string Name => RemoteNames.HintsAt(Header.Lsn);

    /// <summary>Whether these are <see cref="Beginning"/>.</summary>
    public bool IsBeginning => Header.Epoch == 0;
}

/// <summary>Remote hints, little-endian: the object <c>hints/&lt;~LSN, 16 hex&gt;</c>.</summary>
/// <remarks>
/// <code>
///    0     4        8        24     32      40   48           56    64            72     80     88       96       128      132    136
///    +-----+--------+--------+------+-------+----+------------+-----+-------------+------+------+--------+--------+--------+------+
///    |magic|version | log id |epoch |author |LSN |replay from |time |start segment|epoch |author|first   |hash    |extents |hints |
///    |     | u32    | 16 b   |u64   |u64    |u64 |u64         |u64  |u64          |   of the segment before     |u32     |size  |
///    +-----+--------+--------+------+-------+----+------------+-----+-------------+------+------+--------+--------+--------+------+
///    then: the extents, each  fnode u64 | epoch u64 | size u64 | SHA-256 32 bytes
///          the hints (HintsFormat), one zstd frame; "hints size" is before compression
///          the hashes of block lists (ListHashes), perhaps; zeros, perhaps
///          SHA-256 of everything before it
/// </code>
/// <c>start segment</c> is the first LSN of the segment in which a replay begins, and need not be there yet. Epoch,
/// author, first LSN (0: not known) and hash (32 bytes) after it are those of the segment before, to which the start
/// segment must chain.
/// </remarks>
internal static class RemoteHintsFormat
{
    /// <summary>Bytes before the extents.</summary>
    public const int HeaderBytes = 136;

    /// <summary>The newest version this software knows.</summary>
    public const uint Version = 1;

    /// <summary>Hints larger than this are not believed.</summary>
    public const int MaxBytes = 1 << 30;

    /// <summary>
    /// Up to this size hints may come out of however few bytes; what is larger has at least one byte in the object for
    /// so many. So a small object never takes much memory. The only large thing in hints is a WAL, which seldom
    /// compresses by more than ten; should one do so, the writer adds zeros behind the frame, which no reader looks at.
    /// </summary>
    public const int FreeBytes = 32 << 20, MaxRatio = 256;

    /// <summary>The most that all extents have together: far more than a disk has, and it can be added up.</summary>
    const long MaxExtentsBytes = 1L << 60;

    const int ExtentBytes = 56;

    /// <summary>The first 4 bytes.</summary>
    public static ReadOnlySpan<byte> Magic => "RVHT"u8;

    /// <summary>Writes remote hints.</summary>
    public static byte[] Write(in RemoteHintsHeader header, IReadOnlyCollection<Extent> extents, Hints hints)
    {
        byte[] plain = HintsFormat.Write(hints);
        byte[] lists = ListHashes.Write(extents);
        byte[] bytes =
            new byte[HeaderBytes + extents.Count * ExtentBytes + Zstd.Bound(plain.Length) + lists.Length
            + plain.Length / MaxRatio + ObjectHash.Bytes];
        var to = bytes.AsSpan();
        WriteHeader(to, header, extents.Count, plain.Length);
        int at = HeaderBytes;
        foreach (var extent in extents)
        {
            BinaryPrimitives.WriteUInt64LittleEndian(to[at..], extent.Fnode);
            BinaryPrimitives.WriteUInt64LittleEndian(to[(at + 8)..], extent.Epoch);
            BinaryPrimitives.WriteInt64LittleEndian(to[(at + 16)..], extent.SizeBytes);
            extent.Hash.CopyTo(to[(at + 24)..]);
            at += ExtentBytes;
        }
        int compressed = Zstd.Compress(plain, to[at..]);
        lists.CopyTo(to[(at + compressed)..]);
        compressed += lists.Length;
        int padded = plain.Length > FreeBytes ? Math.Max(compressed, plain.Length / MaxRatio + 1) : compressed;
        to.Slice(at + compressed, padded - compressed).Clear();
        at += padded;
        ObjectHash.Of(to[..at]).CopyTo(to[at..]);
        return bytes[..(at + ObjectHash.Bytes)];
    }

    static void WriteHeader(Span<byte> to, in RemoteHintsHeader header, int extents, int plainBytes)
    {
        Magic.CopyTo(to);
        BinaryPrimitives.WriteUInt32LittleEndian(to[4..], Version);
        header.LogId.TryWriteBytes(to[8..], bigEndian: true, out _);
        BinaryPrimitives.WriteUInt64LittleEndian(to[24..], header.Epoch);
        BinaryPrimitives.WriteUInt64LittleEndian(to[32..], header.Author);
        BinaryPrimitives.WriteUInt64LittleEndian(to[40..], header.Lsn);
        BinaryPrimitives.WriteUInt64LittleEndian(to[48..], header.ReplayFrom);
        BinaryPrimitives.WriteInt64LittleEndian(to[56..], header.TimeMs);
        BinaryPrimitives.WriteUInt64LittleEndian(to[64..], header.Start.NextLsn);
        BinaryPrimitives.WriteUInt64LittleEndian(to[72..], header.Start.Epoch);
        BinaryPrimitives.WriteUInt64LittleEndian(to[80..], header.Start.Author);
        BinaryPrimitives.WriteUInt64LittleEndian(to[88..], header.Start.BeforeLsn);
        header.Start.Hash.CopyTo(to[96..]);
        BinaryPrimitives.WriteInt32LittleEndian(to[128..], extents);
        BinaryPrimitives.WriteInt32LittleEndian(to[132..], plainBytes);
    }

    /// <summary>Reads the fixed part only; nothing is verified but its form.</summary>
    public static RemoteHintsHeader ReadHeader(ReadOnlySpan<byte> from, string name)
    {
        if (from.Length < HeaderBytes || !from[..4].SequenceEqual(Magic))
            throw RemoteFormat.Damaged(name, "these are no hints");
        uint version = BinaryPrimitives.ReadUInt32LittleEndian(from[4..]);
        if (version > Version) throw RemoteFormat.TooNew(name, version, Version);
        var header = new RemoteHintsHeader
        {
            LogId = new Guid(from.Slice(8, 16), bigEndian: true),
            Epoch = BinaryPrimitives.ReadUInt64LittleEndian(from[24..]),
            Author = BinaryPrimitives.ReadUInt64LittleEndian(from[32..]),
            Lsn = BinaryPrimitives.ReadUInt64LittleEndian(from[40..]),
            ReplayFrom = BinaryPrimitives.ReadUInt64LittleEndian(from[48..]),
            TimeMs = BinaryPrimitives.ReadInt64LittleEndian(from[56..]),
            Start = new RemoteLogEnd(BinaryPrimitives.ReadUInt64LittleEndian(from[64..]),
                new ObjectHash(from.Slice(96, 32)),
                BinaryPrimitives.ReadUInt64LittleEndian(from[72..]),
                    BinaryPrimitives.ReadUInt64LittleEndian(from[80..]),
                BinaryPrimitives.ReadUInt64LittleEndian(from[88..])),
        };
        if (version == 0 || header.Start.NextLsn == 0 || header.ReplayFrom == 0
            || header.ReplayFrom < header.Start.NextLsn
            || header.ReplayFrom > header.Lsn + 1
            || header.Start.BeforeLsn >= header.Start.NextLsn)
            throw RemoteFormat.Damaged(name, "its numbers make no sense");
        return header;
    }

    /// <summary>Reads and verifies a whole object. Throws Corrupt or TooNew, naming it.</summary>
    public static RemoteHints Read(byte[] bytes, string name)
    {
        var header = ReadHeader(bytes, name);
        if (bytes.Length < HeaderBytes + ObjectHash.Bytes
            || ObjectHash.Of(bytes.AsSpan(0, bytes.Length - ObjectHash.Bytes)) != new ObjectHash(
            bytes.AsSpan(^ObjectHash.Bytes..)))
            throw RemoteFormat.Damaged(name, "its bytes do not match its SHA-256");
        if (RemoteNames.TryParseHints(name, out ulong named) && named != header.Lsn)
            throw RemoteFormat.Damaged(name, $"it holds the hints of LSN {header.Lsn} (objects were swapped)");
        uint count = BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(128));
        int plain = BinaryPrimitives.ReadInt32LittleEndian(bytes.AsSpan(132));
        long body = HeaderBytes + (long)count * ExtentBytes;
        if (count > HintsFormat.MaxFiles || body > bytes.Length - ObjectHash.Bytes || plain is < 0 or > MaxBytes)
            throw RemoteFormat.Damaged(name, "its sizes make no sense");
        long compressed = bytes.Length - ObjectHash.Bytes - body;
        if (plain > FreeBytes && plain / MaxRatio > compressed)
            throw RemoteFormat.Damaged(name,
                $"it says that {compressed} bytes hold {plain}: no hints are compressed so well, and so it was not "
                    + "unpacked");
        var plainHints = Decompress(bytes.AsMemory((int)body, (int)compressed), plain, name, out int frame);
        var lists = ListHashes.Read(bytes.AsSpan((int)body + frame, (int)compressed - frame), (int)count, name);
        var extents = new Dictionary<ulong, Extent>((int)count);
        long total = 0;
        for (int at = HeaderBytes; at < body; at += ExtentBytes)
        {
            var from = bytes.AsSpan(at);
            var extent = new Extent(BinaryPrimitives.ReadUInt64LittleEndian(from),
                BinaryPrimitives.ReadUInt64LittleEndian(from[8..]),
                BinaryPrimitives.ReadInt64LittleEndian(from[16..]), new ObjectHash(from.Slice(24, ObjectHash.Bytes)))
            { List = lists?[(at - HeaderBytes) / ExtentBytes] ?? default };
            if (!extents.TryAdd(extent.Fnode, extent) || extent.SizeBytes < 0
                || extent.SizeBytes > MaxExtentsBytes - total)
                throw RemoteFormat.Damaged(name, $"its extent of file {extent.Fnode:x16} makes no sense");
            total += extent.SizeBytes;
        }
        var hints = HintsFormat.Read(plainHints, name);
        if (hints.Lsn != header.Lsn || hints.LogId != header.LogId)
            throw RemoteFormat.Damaged(name, "its parts do not belong together");
        return new RemoteHints(header, extents,
            hints with { Files = [.. hints.Files.Select(f => WithHash(f, extents, name))] });
    }

    static LiveFile WithHash(LiveFile file, Dictionary<ulong, Extent> extents, string name)
    {
        if (!extents.TryGetValue(file.Fnode, out var extent))
            return file.Bytes.Length == file.SizeBytes || file.Class == FileClass.RocksLog
                ? file
                : throw RemoteFormat.Damaged(name, $"it does not say where the bytes of {file.Name} are");
        if (extent.SizeBytes != file.SizeBytes) throw RemoteFormat.Damaged(name, $"it gives two sizes for {file.Name}");
        byte[] hash = new byte[ObjectHash.Bytes];
        extent.Hash.CopyTo(hash);
        return file with { Sha256 = hash };
    }

    /// <summary>What is set aside before anything came out.</summary>
    const int FirstBytes = 1 << 20;

    /// <summary>Grows with what really comes out, not with what the header claims.</summary>
    static byte[] Decompress(ReadOnlyMemory<byte> compressed, int plainBytes, string name, out int frameBytes)
    {
        try
        {
            using var zstd = new ZstdReader(PipeReader.Create(new ReadOnlySequence<byte>(compressed)));
            byte[] plain = new byte[Math.Min(plainBytes, FirstBytes)];
            int done = 0;
            while (done < plainBytes)
            {
                if (done == plain.Length) Array.Resize(ref plain, (int)Math.Min(plainBytes, plain.Length * 2L));
                int got = zstd.Read(plain.AsSpan(done));
                if (got == 0) throw new InvalidDataException("there is less in it than it says");
                done += got;
            }
            // One byte more than it says tells that it lies.
            if (zstd.Read(new byte[1]) != 0) throw new InvalidDataException("there is more in it than it says");
            frameBytes = (int)zstd.PackedBytes;
            return plain;
        }
        catch (InvalidDataException e) { throw RemoteFormat.Damaged(name, e.Message, e); }
    }
}
