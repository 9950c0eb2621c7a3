using System.Buffers.Binary;
using Microsoft.Win32.SafeHandles;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.Handles;

/// <summary>
/// The pages of a database that may differ from what it held at a commit, the first page among them. No SQLite takes
/// the file for a database, and an older version of this software refuses it.
/// </summary>
/// <remarks>
/// <code>
///   0       16        24       32          36      40              40+4n
///   +-------+---------+--------+-----------+-------+---------------+------------------------+
///   | magic | basis   | size   | page size | n     | page numbers  | pages, in that order   |
///   | 16 B  | LSN u64 | u64    | u32       | u32   | n x u32       | n x page size          |
///   +-------+---------+--------+-----------+-------+---------------+------------------------+
/// </code>
/// </remarks>
internal sealed class PagesReplacement : ReplacementFile
{
    const int HeaderBytes = 40, BasisAt = 16, SizeAt = 24, PageSizeAt = 32, CountAt = 36;

    readonly ulong basis;
    readonly uint[] pages;
    readonly int pageSize;
    readonly string path;

    static ReadOnlySpan<byte> Magic => "RecoveryVfs-pgs1"u8;

    internal PagesReplacement(SafeFileHandle file, string path) : base(file, path)
    {
        this.path = path;
        Span<byte> header = stackalloc byte[HeaderBytes];
        ReadAll(header, 0);
        basis = BinaryPrimitives.ReadUInt64LittleEndian(header[BasisAt..]);
        SizeBytes = BinaryPrimitives.ReadInt64LittleEndian(header[SizeAt..]);
        pageSize = BinaryPrimitives.ReadInt32LittleEndian(header[PageSizeAt..]);
        var count = BinaryPrimitives.ReadUInt32LittleEndian(header[CountAt..]);
        if (pageSize is < 512 or > 65536 || count == 0
            || RandomAccess.GetLength(file) != HeaderBytes + count * (4L + pageSize))
            throw Damaged();
        var numbers = new byte[4 * count];
        ReadAll(numbers, HeaderBytes);
        pages = new uint[count];
        for (var i = 0; i < pages.Length; i++)
            pages[i] = BinaryPrimitives.ReadUInt32LittleEndian(numbers.AsSpan(4 * i));
        if (pages[0] != 1 || pages[^1] > SizeBytes / pageSize) throw Damaged();
    }

    internal static bool IsOne(SafeFileHandle file)
    {
        Span<byte> start = stackalloc byte[Magic.Length];
        return RandomAccess.Read(file, start, 0) == start.Length && start.SequenceEqual(Magic);
    }

    public override bool Fits(ulong newest) => newest == basis;

    public override long SizeBytes { get; }

    public override IEnumerable<(long At, int Length)> Runs(int pageSize)
    {
        if (pageSize != this.pageSize) throw Damaged();
        foreach (var page in pages.AsEnumerable().Skip(1)) yield return ((page - 1L) * pageSize, pageSize);
    }

    public override void Read(Span<byte> destination, long at)
    {
        var index = Array.BinarySearch(pages, (uint)(at / pageSize) + 1);
        if (index < 0) throw Damaged();
        ReadAll(destination, HeaderBytes + 4L * pages.Length + (long)index * pageSize + at % pageSize);
    }

    /// <summary>Reads bytes of a database; returns how many there were.</summary>
    public delegate int Reader(long at, Span<byte> destination);

    /// <summary>Writes pages of a database; the numbers come in order, and begin with the first page's.</summary>
    public static void Write(string path, (long Bytes, int PageSize) size, ulong basis, uint[] numbers, Reader read,
        CancellationToken cancellation)
    {
        using var file = File.OpenHandle(path, FileMode.CreateNew, FileAccess.Write);
        var start = new byte[HeaderBytes + 4 * numbers.Length];
        Magic.CopyTo(start);
        BinaryPrimitives.WriteUInt64LittleEndian(start.AsSpan(BasisAt), basis);
        BinaryPrimitives.WriteInt64LittleEndian(start.AsSpan(SizeAt), size.Bytes);
        BinaryPrimitives.WriteInt32LittleEndian(start.AsSpan(PageSizeAt), size.PageSize);
        BinaryPrimitives.WriteInt32LittleEndian(start.AsSpan(CountAt), numbers.Length);
        for (var i = 0; i < numbers.Length; i++)
            BinaryPrimitives.WriteUInt32LittleEndian(start.AsSpan(HeaderBytes + 4 * i), numbers[i]);
        RandomAccess.Write(file, start, 0);
        var page = new byte[size.PageSize];
        for (var i = 0; i < numbers.Length; i++)
        {
            cancellation.ThrowIfCancellationRequested();
            page.AsSpan(read((numbers[i] - 1L) * page.Length, page)..).Clear();
            RandomAccess.Write(file, page, start.Length + (long)i * page.Length);
        }
    }

    RecoveryException Damaged() => new(RecoveryError.Invalid,
        $"{path} is not what a database can be replaced by; it was left as it is.",
        "Roll back again: the file is made anew.")
    { Path = path };
}
