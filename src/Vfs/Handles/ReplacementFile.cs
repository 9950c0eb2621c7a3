using System.Buffers.Binary;
using Microsoft.Win32.SafeHandles;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.Handles;

/// <summary>
/// What a database is replaced by: a plain SQLite file; or those of its pages that may differ from what the database
/// held at a commit, in a file that no SQLite takes for a database.
/// </summary>
/// <remarks>
/// <code>
///   0       16        24       32          36      40              40+4n
///   +-------+---------+--------+-----------+-------+---------------+------------------------+
///   | magic | basis   | size   | page size | n     | page numbers  | pages, in that order   |
///   | 16 B  | LSN u64 | u64    | u32       | u32   | n x u32       | n x page size          |
///   +-------+---------+--------+-----------+-------+---------------+------------------------+
/// </code>
/// The first page is always there. It lives as long as a roll back, in the store's directory.
/// </remarks>
internal sealed class ReplacementFile : IDisposable
{
    const int HeaderBytes = 40, BasisAt = 16, SizeAt = 24, PageSizeAt = 32, CountAt = 36, PieceBytes = 1 << 20;

    readonly SafeFileHandle file;
    readonly string path;
    readonly uint[]? pages; // Null of a plain file.
    readonly int pageSize;

    static ReadOnlySpan<byte> Magic => "RecoveryVfs-pgs1"u8;

    ReplacementFile(SafeFileHandle file, string path)
    {
        (this.file, this.path) = (file, path);
        SizeBytes = RandomAccess.GetLength(file);
        Span<byte> header = stackalloc byte[HeaderBytes];
        if (SizeBytes < HeaderBytes) return;
        ReadAll(header, 0);
        if (!header[..Magic.Length].SequenceEqual(Magic)) return;
        var length = SizeBytes;
        Basis = BinaryPrimitives.ReadUInt64LittleEndian(header[BasisAt..]);
        SizeBytes = BinaryPrimitives.ReadInt64LittleEndian(header[SizeAt..]);
        pageSize = BinaryPrimitives.ReadInt32LittleEndian(header[PageSizeAt..]);
        var count = BinaryPrimitives.ReadUInt32LittleEndian(header[CountAt..]);
        if (pageSize is < 512 or > 65536 || count == 0 || length != HeaderBytes + count * (4L + pageSize))
            throw Damaged();
        var numbers = new byte[4 * count];
        ReadAll(numbers, HeaderBytes);
        pages = new uint[count];
        for (var i = 0; i < pages.Length; i++)
            pages[i] = BinaryPrimitives.ReadUInt32LittleEndian(numbers.AsSpan(4 * i));
        if (pages[0] != 1 || pages[^1] > SizeBytes / pageSize) throw Damaged();
    }

    public static ReplacementFile Open(string path)
    {
        var file = File.OpenHandle(path);
        try
        {
            return new ReplacementFile(file, path);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>The commit that the pages that are not here are as of; null when all are here.</summary>
    public ulong? Basis { get; }

    /// <summary>The size of the database that it is replaced by.</summary>
    public long SizeBytes { get; }

    /// <summary>The runs of bytes to be compared and written, after the first page.</summary>
    public IEnumerable<(long At, int Length)> Runs(int sizeOfPage)
    {
        if (pages is not null)
            return pages.Skip(1).Select(p => ((p - 1L) * pageSize, pageSize));
        return Pieces();

        IEnumerable<(long, int)> Pieces()
        {
            for (long at = sizeOfPage; at < SizeBytes; at += PieceBytes)
                yield return (at, (int)Math.Min(PieceBytes, SizeBytes - at));
        }
    }

    /// <summary>The largest of those runs.</summary>
    public static int MaxRunBytes => PieceBytes;

    /// <summary>Reads bytes of the database: of the first page, or of a run.</summary>
    public void Read(Span<byte> destination, long at)
    {
        if (pages is null)
        {
            ReadAll(destination, at);
            return;
        }
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

    void ReadAll(Span<byte> destination, long at)
    {
        while (destination.Length > 0)
        {
            var got = RandomAccess.Read(file, destination, at);
            if (got == 0)
                throw new RecoveryException(RecoveryError.IoRead,
                    $"{path}, which a database was to be replaced by, ends at {at} bytes; nothing was committed.")
                { Path = path };
            destination = destination[got..];
            at += got;
        }
    }

    RecoveryException Damaged() => new(RecoveryError.Invalid,
        $"{path} is not what a database can be replaced by; it was left as it is.")
    { Path = path };

    public void Dispose() => file.Dispose();
}
