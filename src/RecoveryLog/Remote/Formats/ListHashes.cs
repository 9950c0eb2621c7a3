using System.Buffers.Binary;

namespace RecoveryVfs.RecoveryLog.Remote.Formats;

/// <summary>
/// The hashes of block lists in remote hints: behind the frame with the hints, where software that does not know them
/// does not look.
/// </summary>
/// <remarks>
/// <code>
///    0            4      8         12      16
///    +------------+------+---------+-------+------------------------------------------···
///    | 0x184D2A5B | size | version | count | SHA-256 of the list of each extent, in the
///    | u32        | u32  | u32 = 1 | u32   | order of the extents; zeros: it has none
///    +------------+------+---------+-------+------------------------------------------···
/// </code>
/// In zstd's words it is a frame to be skipped: the size is of what comes behind it. A version that is not known is
/// passed over: whoever has no list fetches the whole extent, and verifies that.
/// </remarks>
static class ListHashes
{
    const uint SkippedFrame = 0x184D2A5B, Version = 1;
    const int HeaderBytes = 16, SizeAt = 4, VersionAt = 8, CountAt = 12;

    /// <summary>The section; empty when no extent has a list.</summary>
    public static byte[] Write(IReadOnlyCollection<Extent> extents)
    {
        if (extents.All(e => !e.HasList)) return [];
        var bytes = new byte[HeaderBytes + extents.Count * ObjectHash.Bytes];
        BinaryPrimitives.WriteUInt32LittleEndian(bytes, SkippedFrame);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(SizeAt), bytes.Length - VersionAt);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(VersionAt), Version);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(CountAt), extents.Count);
        var at = HeaderBytes;
        foreach (var extent in extents)
        {
            extent.List.CopyTo(bytes.AsSpan(at));
            at += ObjectHash.Bytes;
        }
        return bytes;
    }

    /// <summary>
    /// The hash of each extent's list, from what stands behind the frame; null when there is none that this software
    /// knows. Throws Corrupt, naming the hints.
    /// </summary>
    public static ObjectHash[]? Read(ReadOnlySpan<byte> from, int extents, string name)
    {
        if (from.Length < HeaderBytes || BinaryPrimitives.ReadUInt32LittleEndian(from) != SkippedFrame
            || BinaryPrimitives.ReadUInt32LittleEndian(from[VersionAt..]) != Version)
            return null;
        var size = BinaryPrimitives.ReadUInt32LittleEndian(from[SizeAt..]);
        if (BinaryPrimitives.ReadUInt32LittleEndian(from[CountAt..]) != extents
            || size != HeaderBytes - VersionAt + (long)extents * ObjectHash.Bytes || size > from.Length - VersionAt)
            throw RemoteFormat.Damaged(name, "its hashes of block lists do not fit its extents");
        var hashes = new ObjectHash[extents];
        for (var i = 0; i < extents; i++) hashes[i] = new ObjectHash(from[(HeaderBytes + i * ObjectHash.Bytes)..]);
        return hashes;
    }
}
