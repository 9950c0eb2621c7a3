using System.Buffers.Binary;
using System.Numerics;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.PageStore.Pages;

/// <summary>How a page is written in a commit. The numbers are part of the format.</summary>
public enum PageForm : byte
{
    /// <summary>All its bytes.</summary>
    Whole = 0,
    /// <summary>The ranges that differ from its previous version (<see cref="PageDelta"/>).</summary>
    Ranges = 1,
    /// <summary>Nothing: it is all zeros.</summary>
    Zeros = 2,
}

/// <summary>Bits of a commit part's flags byte. The numbers are part of the format.</summary>
internal static class PageCommitFlags
{
    /// <summary>
    /// Every earlier page of the database is forgotten first: the pages of this commit are all there are.
    /// </summary>
    public const byte Rebase = 1;

    /// <summary>The last part for this database in the record group.</summary>
    public const byte LastPart = 2;
}

/// <summary>
/// The body of a <see cref="RecordKind.PageCommit"/> record: one part of a commit to one database, little-endian.
/// </summary>
/// <remarks>
/// <code>
///   0          4           8            16          24      25      29
///   +----------+-----------+------------+-----------+-------+-------+-----------------------------···
///   | database | page size | size after | checksum  | flags | count | count pages, by number:
///   | u32      | u32       | bytes u64  | after u64 | u8    | u32   | number (varint, less the one before, ≥ 1)
///   +----------+-----------+------------+-----------+-------+-------+ form u8, bytes of the page (varint, 1 to 65,536)
///                                                                     payload: whole: the bytes; ranges: a PageDelta; zeros: none
/// </code>
/// Pages count from 1; in each part the first number stands as it is. The last page of a database may be shorter than
/// the others. A page in the form of ranges has the length of its previous version. <c>checksum</c> is the XOR over all
/// pages of XXH64(page bytes, seed = page number) after the commit, where a page of zeros counts 0; size and checksum
/// count in the last part.
/// </remarks>
internal static class PageCommitFormat
{
    /// <summary>Bytes before the first page.</summary>
    public const int HeaderBytes = 29;

    /// <summary>The shortest page.</summary>
    public const int MinPageBytes = 512;

    /// <summary>The longest page.</summary>
    public const int MaxPageBytes = 65536;

    /// <summary>
    /// A part should be closed when it reaches this size, so that a reader needs little memory at a time.
    /// </summary>
    public const int PartBytes = 1 << 20;

    /// <summary>
    /// Whether a database can have pages of that size, and so many bytes of them. A database without pages has the page
    /// size 0.
    /// </summary>
    public static bool IsPossible(int pageSize, long sizeBytes) => pageSize == 0
        ? sizeBytes == 0
        : pageSize is >= MinPageBytes and <= MaxPageBytes && BitOperations.IsPow2(pageSize) && sizeBytes >= 0
            && (sizeBytes - 1) / pageSize < uint.MaxValue - 1;

    /// <summary>
    /// The hash of a page that goes into the database's checksum. A page of zeros counts nothing, so pages never
    /// written need no care.
    /// </summary>
    public static ulong HashOf(uint page, ReadOnlySpan<byte> bytes) =>
        bytes.ContainsAnyExcept((byte)0) ? XxHash64.Compute(bytes, page) : 0;

    internal static void WriteHeader(Span<byte> to, uint database, uint pageSize, ulong sizeBytes, ulong checksum,
        byte flags, uint count)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(to, database);
        BinaryPrimitives.WriteUInt32LittleEndian(to[4..], pageSize);
        BinaryPrimitives.WriteUInt64LittleEndian(to[8..], sizeBytes);
        BinaryPrimitives.WriteUInt64LittleEndian(to[16..], checksum);
        to[24] = flags;
        BinaryPrimitives.WriteUInt32LittleEndian(to[25..], count);
    }
}
