using System.Buffers.Binary;
using RecoveryVfs.PageStore.Pages;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.PageStore.Reading;

/// <summary>
/// What the page store keeps as page 0 of a database: the version that its pages show.
/// </summary>
/// <remarks>
/// <code>
///  0        4          8            16          24            32
///  +--------+----------+------------+-----------+-------------+
///  | flags  | pageSize | sizeBytes  | lsn       | checksum    |      little-endian; flag 1: the SQLite header says WAL
///  +--------+----------+------------+-----------+-------------+
/// </code>
/// </remarks>
internal static class DatabaseHeader
{
    public const int SizeBytes = 32;
    const uint FlagWal = 1;

    public static void Write(Span<byte> destination, DatabaseVersion version)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(destination, version.IsWal ? FlagWal : 0);
        BinaryPrimitives.WriteInt32LittleEndian(destination[4..], version.PageSize);
        BinaryPrimitives.WriteInt64LittleEndian(destination[8..], version.SizeBytes);
        BinaryPrimitives.WriteUInt64LittleEndian(destination[16..], version.Lsn);
        BinaryPrimitives.WriteUInt64LittleEndian(destination[24..], version.Checksum);
    }

    /// <summary>Reads it back, or null when the page store knows no such database yet.</summary>
    public static DatabaseVersion? Load(IPageStore pages, uint database, string name)
    {
        Span<byte> bytes = stackalloc byte[SizeBytes];
        var length = pages.Read(database, 0, null, bytes);
        if (length < 0) return null;
        return (length == SizeBytes ? Parse(bytes) : null) ?? throw new RecoveryException(RecoveryError.Corrupt,
            $"The header of database {name} (id {database}) in the page store is damaged: {length} bytes, "
            + $"page size {BinaryPrimitives.ReadInt32LittleEndian(bytes[4..])}.", "Restore the store.");
    }

    /// <summary>Reads its bytes; null when they make no sense.</summary>
    public static DatabaseVersion? Parse(ReadOnlySpan<byte> bytes)
    {
        var pageSize = BinaryPrimitives.ReadInt32LittleEndian(bytes[4..]);
        var sizeBytes = BinaryPrimitives.ReadInt64LittleEndian(bytes[8..]);
        return !PageCommitFormat.IsPossible(pageSize, sizeBytes) ? null : new DatabaseVersion(
            BinaryPrimitives.ReadUInt64LittleEndian(bytes[16..]), sizeBytes, pageSize,
            (BinaryPrimitives.ReadUInt32LittleEndian(bytes) & FlagWal) != 0,
                BinaryPrimitives.ReadUInt64LittleEndian(bytes[24..]));
    }
}
