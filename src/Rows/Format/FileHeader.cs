using System.Buffers.Binary;
using System.Numerics;

namespace RecoveryVfs.Rows.Format;

/// <summary>
/// The first 100 bytes of page 1, as far as a reader needs them:
/// <code>
/// 0 "SQLite format 3\0"   16 page size (u16, 1 is 65536)   20 reserved bytes at each page's end   32 first freelist trunk page (u32)
/// 40 schema cookie (u32)  44 schema format (u32)           52 largest root page, 0 without auto-vacuum (u32)   56 text encoding (u32)
/// </code>
/// </summary>
internal sealed class FileHeader
{
    public const int Bytes = 100, PageSizeAt = 16;

    FileHeader(ReadOnlySpan<byte> page)
    {
        UsableSize = page.Length - page[20];
        FirstFreeTrunk = U32(page, 32);
        SchemaCookie = U32(page, 40);
        SchemaFormat = U32(page, 44);
        LargestRoot = U32(page, 52);
        Encoding = (TextEncoding)(U32(page, 56) is 0 ? 1 : U32(page, 56));
    }

    /// <summary>
    /// The bytes of a page that hold content; the rest is reserved for whoever encrypts or checks pages.
    /// </summary>
    public int UsableSize { get; }

    public uint FirstFreeTrunk { get; }
    public uint SchemaCookie { get; }

    /// <summary>Below 4, DESC of a key has no effect.</summary>
    public uint SchemaFormat { get; }

    public uint LargestRoot { get; }
    public TextEncoding Encoding { get; }

    /// <summary>The page size that bytes 16 and 17 name.</summary>
    public static int PageSizeOf(ReadOnlySpan<byte> two)
    {
        int size = BinaryPrimitives.ReadUInt16BigEndian(two);
        if (size == 1) size = 65536;
        if (size < 512 || !BitOperations.IsPow2(size))
            throw new DatabaseDamagedException(1, $"its header names the page size {size}");
        return size;
    }

    public static FileHeader Parse(ReadOnlySpan<byte> page)
    {
        if (!page.StartsWith("SQLite format 3\0"u8))
            throw new DatabaseDamagedException(1, "it does not begin as a SQLite database does");
        var size = PageSizeOf(page.Slice(PageSizeAt, 2));
        if (size != page.Length)
            throw new DatabaseDamagedException(1,
                $"its header names the page size {size}, but pages have {page.Length} bytes");
        var header = new FileHeader(page);
        if (header.UsableSize < 480)
            throw new DatabaseDamagedException(1, $"its header reserves {page[20]} bytes of each page of {size}");
        if (header.Encoding is < TextEncoding.Utf8 or > TextEncoding.Utf16BigEndian)
            throw new DatabaseDamagedException(1, $"its header names the text encoding {(uint)header.Encoding}");
        return header;
    }

    static uint U32(ReadOnlySpan<byte> page, int at) => BinaryPrimitives.ReadUInt32BigEndian(page[at..]);
}
