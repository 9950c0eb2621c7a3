using System.Buffers.Binary;

namespace RecoveryVfs.PageStore.Sealed;

/// <summary>
/// Where the pages of one database lie, as far as they count: for each page what the tables say of it with the highest
/// sequence number. 16 bytes a page while tables are read.
/// </summary>
internal sealed class PagePlaces : ITableEntries
{
    const ulong Inline = ulong.MaxValue;

    readonly uint database;
    // Of page i: the sequence number, and one more, of what counts; and its place: which file, and where in it. 0:
    // none.
    readonly ulong[] sequences, places;
    readonly List<ulong> files = [];
    readonly Dictionary<ulong, ulong> ordinals = [];
    readonly List<(ulong First, ulong Last, ulong Sequence)> gone = [];

    public PagePlaces(uint database, uint pages)
    {
        this.database = database;
        (sequences, places) = (new ulong[pages + 1L], new ulong[pages + 1L]);
    }

    public void Take(ulong key, ulong sequence, EntryKind kind, ReadOnlySpan<byte> value)
    {
        var page = (uint)key;
        if (key >> 32 != database || page == 0 || page >= (uint)places.Length || sequence < sequences[page]) return;
        sequences[page] = sequence + 1;
        places[page] = kind switch
        {
            EntryKind.Deletion or EntryKind.SingleDeletion => 0,
            EntryKind.Blob => PlaceOf(value),
            EntryKind.Value => Inline,
            _ => throw new UnfamiliarFileException($"Page {page}", $"has an entry of kind {(byte)kind}"),
        };
    }

    public void TakeRangeDeletion(ulong first, ulong last, ulong sequence)
    {
        if (first >> 32 <= database && database <= last >> 32) gone.Add((first, last, sequence));
    }

    ulong PlaceOf(ReadOnlySpan<byte> value)
    {
        var bytes = new FileBytes(value, "A table");
        if (bytes.Byte() != 1) throw new UnfamiliarFileException("A table", "has a blob of another kind");
        var (file, offset) = (bytes.Varint(), bytes.Varint());
        if (!ordinals.TryGetValue(file, out var ordinal))
        {
            ordinals[file] = ordinal = (ulong)files.Count;
            files.Add(file);
        }
        return BlobPlace.Pack(ordinal, offset, bytes.Varint());
    }

    /// <summary>All tables have been read.</summary>
    public void Finish()
    {
        foreach (var (first, last, sequence) in gone)
        {
            var from = first >> 32 < database ? 1 : Math.Max(1, (uint)first);
            var to = last >> 32 > database ? uint.MaxValue : (uint)last;
            for (long covered = from; covered <= to && covered < places.Length; covered++)
                if (sequences[covered] <= sequence) places[covered] = 0;
        }
        if (Array.IndexOf(places, Inline) is > 0 and var page)
            throw new UnfamiliarFileException($"Page {page}", "lies in a table");
    }

    /// <summary>The blob files in which something lies that counts.</summary>
    public IReadOnlySet<ulong> LiveFiles()
        => places.Where(p => p != 0).Select(p => files[BlobPlace.FileOf(p)]).ToHashSet();

    /// <summary>Whether a blob is the one of its page that counts.</summary>
    public bool Counts(uint page, ulong file, long offset) =>
        page < (uint)places.Length && places[page] is not 0 and var place && BlobPlace.OffsetOf(place) == offset
            && files[BlobPlace.FileOf(place)] == file;

    /// <summary>
    /// The numbers of the blob files, by their place in the list, and the place of each page, by its number.
    /// </summary>
    public (IReadOnlyList<ulong> Files, ulong[] Places) Take() => (files, places);
}

/// <summary>Where a blob lies, in 64 bits: which file of a list, where in it, and how long it is. 0: nowhere.</summary>
internal static class BlobPlace
{
    const int SizeBits = 18, OffsetBits = 31, FilesMax = 1 << (64 - SizeBits - OffsetBits);

    public static ulong Pack(ulong file, ulong offset, ulong size) =>
        file < FilesMax - 1 && offset >> OffsetBits == 0 && size >> SizeBits == 0
            ? file << (OffsetBits + SizeBits) | offset << SizeBits | size
            : throw new UnfamiliarFileException("A table",
            $"has a blob of {size} bytes at {offset} in file {file} of its list");

    public static int FileOf(ulong place) => (int)(place >> (OffsetBits + SizeBits));

    public static long OffsetOf(ulong place) => (long)(place >> SizeBits & ((1UL << OffsetBits) - 1));

    public static int SizeOf(ulong place) => (int)(place & ((1UL << SizeBits) - 1));
}

/// <summary>The header of a database, as the tables have it.</summary>
internal sealed class HeaderEntry(uint database) : ITableEntries
{
    /// <summary>As it is written by the page store's readers.</summary>
    public const int HeaderBytes = 32;

    readonly byte[] bytes = new byte[HeaderBytes];
    ulong sequence;
    bool isThere;

    public byte[]? Bytes => isThere ? bytes : null;

    /// <summary>How many pages it says that there are; 0 when it is not there, or makes no sense.</summary>
    public long PageCount => isThere && BinaryPrimitives.ReadInt32LittleEndian(bytes.AsSpan(4)) is >= 512 and <= 65536
        and var pageSize
        && BinaryPrimitives.ReadInt64LittleEndian(bytes.AsSpan(8)) is >= 0 and < 1L << 48 and var size
        ? (size + pageSize - 1) / pageSize
        : 0;

    public void Take(ulong key, ulong newer, EntryKind kind, ReadOnlySpan<byte> value)
    {
        if (key != (ulong)database << 32 || newer < sequence) return;
        (sequence, isThere) = (newer + 1, kind == EntryKind.Value);
        if (kind == EntryKind.Blob || (isThere && value.Length != bytes.Length))
            throw new UnfamiliarFileException("A database's header", "is not what it should be");
        if (isThere) value.CopyTo(bytes);
    }

    public void TakeRangeDeletion(ulong first, ulong last, ulong newer)
    {
        if (first > (ulong)database << 32 || last < (ulong)database << 32 || newer < sequence) return;
        (sequence, isThere) = (newer + 1, false);
    }
}
