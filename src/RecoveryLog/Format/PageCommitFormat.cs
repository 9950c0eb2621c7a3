using System.Buffers.Binary;
using System.Numerics;

namespace RecoveryVfs.RecoveryLog;

/// <summary>The body of a PageCommit record: changed pages of one database, or one part of them. Little-endian.</summary>
/// <remarks>
/// <code>
///   0          4           8            16           24      25      29
///   +----------+-----------+------------+------------+-------+-------+-------···
///   | database | page size | size in    | checksum   | flags | count | pages
///   | u32      | u32       | bytes u64  | u64        | u8    | u32   |
///   +----------+-----------+------------+------------+-------+-------+-------···
///   page:  varint number less the one before (the first: less 0) | u8 form | payload
///          form 0: the whole page      form 1: varint length, PageDelta ranges      form 2: zeros, no payload
/// </code>
/// Size is that of the file after the commit (pages beyond it are gone). Flag 1: every earlier page of the database is forgotten first (its page
/// size changed). Flag 2: the last part of this database in its group; the checksum (XOR over all pages' XXH64, seeded with the page number;
/// a page of zeros counts nothing) is valid in this part only.
/// </remarks>
public static class PageCommitFormat
{
    /// <summary>Bytes before the pages.</summary>
    public const int HeaderBytes = 29;

    /// <summary>Forget all earlier pages.</summary>
    public const byte FlagRebase = 1;

    /// <summary>The last part of this database in its group.</summary>
    public const byte FlagLast = 2;

    internal const byte FormWhole = 0, FormRanges = 1, FormZeros = 2;

    /// <summary>The most bytes that one page of this size can take.</summary>
    public static int MaxPageBytes(int pageSize) => 2 * Varint.MaxBytes + 1 + pageSize + 16;

    /// <summary>Writes the header of a part.</summary>
    public static void WriteHeader(Span<byte> destination, uint database, int pageSize, long sizeBytes, ulong checksum, byte flags, int count)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(destination, database);
        BinaryPrimitives.WriteInt32LittleEndian(destination[4..], pageSize);
        BinaryPrimitives.WriteInt64LittleEndian(destination[8..], sizeBytes);
        BinaryPrimitives.WriteUInt64LittleEndian(destination[16..], checksum);
        destination[24] = flags;
        BinaryPrimitives.WriteInt32LittleEndian(destination[25..], count);
    }

    /// <summary>
    /// Writes one page, as ranges against <paramref name="before"/> (empty: there is no earlier version) when that is at most half of it; returns
    /// the bytes written, at most <see cref="MaxPageBytes"/>. Pages come in rising order.
    /// </summary>
    public static int WritePage(Span<byte> destination, uint number, uint previous, ReadOnlySpan<byte> before, ReadOnlySpan<byte> after)
    {
        var at = Varint.Write(destination, number - previous);
        if (!before.IsEmpty)
        {
            // The length's varint is written after the ranges, with room kept for its longest form here: three bytes hold 65,536.
            var ranges = destination.Slice(at + 4, after.Length / 2);
            if (PageDelta.TryEncode(before, after, ranges, out var length))
            {
                destination[at++] = FormRanges;
                var size = Varint.Write(destination[at..], (uint)length);
                ranges[..length].CopyTo(destination[(at + size)..]);
                return at + size + length;
            }
        }
        if (after.IndexOfAnyExcept((byte)0) < 0)
        {
            destination[at] = FormZeros;
            return at + 1;
        }
        destination[at++] = FormWhole;
        after.CopyTo(destination[at..]);
        return at + after.Length;
    }

    /// <summary>Reads a part; throws Corrupt when its header cannot be one.</summary>
    public static PageCommitReader Read(ReadOnlySpan<byte> body)
    {
        if (body.Length < HeaderBytes) throw Damaged("is shorter than its header");
        var pageSize = BinaryPrimitives.ReadUInt32LittleEndian(body[4..]);
        var size = BinaryPrimitives.ReadInt64LittleEndian(body[8..]);
        if (pageSize != 0 && (pageSize is < 512 or > 65536 || !BitOperations.IsPow2(pageSize))) throw Damaged($"names a page size of {pageSize}");
        if (size < 0 || (pageSize == 0 ? size != 0 : (size - 1) / pageSize >= uint.MaxValue)) throw Damaged($"names a size of {size} bytes");
        return new PageCommitReader(body, (int)pageSize, size);
    }

    internal static RecoveryException Damaged(string what) => new(RecoveryError.Corrupt,
        $"A PageCommit record {what}, though its checksum is right: it was written by something else. Keep the log and report this.");
}

/// <summary>Walks through the pages of one part.</summary>
public ref struct PageCommitReader
{
    readonly ReadOnlySpan<byte> body;
    ReadOnlySpan<byte> rest;
    uint left, previous;

    internal PageCommitReader(ReadOnlySpan<byte> body, int pageSize, long sizeBytes)
    {
        this.body = body;
        PageSize = pageSize;
        SizeBytes = sizeBytes;
        rest = body[PageCommitFormat.HeaderBytes..];
        left = BinaryPrimitives.ReadUInt32LittleEndian(body[25..]);
        Count = left;
    }

    /// <summary>The database's id.</summary>
    public readonly uint Database => BinaryPrimitives.ReadUInt32LittleEndian(body);

    /// <summary>Its page size after the commit; 0 when it is empty.</summary>
    public int PageSize { get; }

    /// <summary>Its size after the commit.</summary>
    public long SizeBytes { get; }

    /// <summary>Its checksum after the commit, in the last part.</summary>
    public readonly ulong Checksum => BinaryPrimitives.ReadUInt64LittleEndian(body[16..]);

    /// <summary>Whether earlier pages are forgotten first.</summary>
    public readonly bool IsRebase => (body[24] & PageCommitFormat.FlagRebase) != 0;

    /// <summary>Whether this is the database's last part in the group.</summary>
    public readonly bool IsLast => (body[24] & PageCommitFormat.FlagLast) != 0;

    /// <summary>How many pages the part says it has.</summary>
    public uint Count { get; }

    /// <summary>The next page; false after the last. Throws Corrupt when the bytes make no sense.</summary>
    public bool Next(out LoggedPage page)
    {
        page = default;
        if (left == 0)
        {
            if (!rest.IsEmpty) throw PageCommitFormat.Damaged($"has {rest.Length} bytes after its last page");
            return false;
        }
        left--;
        if (!Varint.TryRead(ref rest, out var step) || step == 0 || step > uint.MaxValue - previous || rest.IsEmpty)
            throw PageCommitFormat.Damaged("has a damaged page number");
        var number = previous += step;
        if ((number - 1L) * PageSize >= SizeBytes) throw PageCommitFormat.Damaged($"has page {number} beyond the size it names");
        var form = rest[0];
        rest = rest[1..];
        var length = 0u;
        if (form == PageCommitFormat.FormWhole) length = (uint)PageSize;
        else if (form == PageCommitFormat.FormRanges)
        {
            if (!Varint.TryRead(ref rest, out length)) throw PageCommitFormat.Damaged($"has a damaged length for page {number}");
        }
        else if (form != PageCommitFormat.FormZeros) throw PageCommitFormat.Damaged($"has page {number} in an unknown form {form}");
        if (length > (uint)rest.Length) throw PageCommitFormat.Damaged($"ends within page {number}");
        page = new LoggedPage(number, form, rest[..(int)length]);
        rest = rest[(int)length..];
        return true;
    }
}

/// <summary>One page of a part, borrowed.</summary>
public readonly ref struct LoggedPage
{
    readonly byte form;
    readonly ReadOnlySpan<byte> payload;

    internal LoggedPage(uint number, byte form, ReadOnlySpan<byte> payload)
    {
        Number = number;
        this.form = form;
        this.payload = payload;
    }

    /// <summary>The page's number, from 1.</summary>
    public uint Number { get; }

    /// <summary>Whether it can be had without the earlier version.</summary>
    public bool IsWhole => form != PageCommitFormat.FormRanges;

    /// <summary>Makes the page's bytes of its earlier version (zeros when there was none). The spans have the page size and may be the same.</summary>
    public void ApplyTo(ReadOnlySpan<byte> before, Span<byte> after)
    {
        switch (form)
        {
            case PageCommitFormat.FormWhole:
                payload.CopyTo(after);
                break;
            case PageCommitFormat.FormZeros:
                after.Clear();
                break;
            default:
                before.CopyTo(after);
                if (!PageDelta.TryApply(payload, after)) throw PageCommitFormat.Damaged($"has ranges that do not fit page {Number}");
                break;
        }
    }
}
