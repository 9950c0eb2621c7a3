using System.Buffers.Binary;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using RecoveryVfs.RecoveryLog.Remote.Formats;

namespace RecoveryVfs.RecoveryLog.Remote.Archives;

/// <summary>What a snapshot file says of itself.</summary>
internal sealed record ArchiveDescription
{
    /// <summary>Whether it has everything, or what another one lacks.</summary>
    [JsonPropertyName("kind")] public required string Kind { get; init; }

    /// <summary>The log that it is of.</summary>
    [JsonPropertyName("log")] public required Guid LogId { get; init; }

    /// <summary>The state.</summary>
    [JsonPropertyName("lsn")] public required ulong Lsn { get; init; }

    /// <summary>When it was made; for people.</summary>
    [JsonPropertyName("created")] public required DateTimeOffset Created { get; init; }

    /// <summary>Where from; for people.</summary>
    [JsonPropertyName("from")] public required string From { get; init; }

    /// <summary>The snapshot that this one goes on from: the identity that ends it; null for a full one.</summary>
    [JsonPropertyName("base"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Base { get; init; }

    /// <summary>Which pages of which database it has; null when it has a remote's objects.</summary>
    [JsonPropertyName("pages"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public ArchivePages? Pages { get; init; }

    /// <summary>Whether another one has pages of the same state of the same database.</summary>
    public bool IsOfOneStateWith(ArchiveDescription other) => LogId == other.LogId && Lsn == other.Lsn
        && Pages is { } ours && other.Pages is { } theirs && ours.Database == theirs.Database
        && ours.PageSize == theirs.PageSize && ours.Count == theirs.Count;

    /// <summary>A full snapshot.</summary>
    public const string Full = "full";

    /// <summary>One that goes on from another.</summary>
    public const string Incremental = "incremental";

    /// <summary>Pages of one database.</summary>
    public const string OfPages = "pages";
}

/// <summary>Pages of one database, as its plain file has them.</summary>
/// <param name="Database">Its name.</param>
/// <param name="PageSize">The size of a page.</param>
/// <param name="Count">How many pages the database has.</param>
/// <param name="First">The first that is here.</param>
/// <param name="Last">The last that is here.</param>
internal sealed record ArchivePages(
    [property: JsonPropertyName("database")] string Database,
    [property: JsonPropertyName("page_size")] int PageSize,
    [property: JsonPropertyName("count")] uint Count,
    [property: JsonPropertyName("first")] uint First,
    [property: JsonPropertyName("last")] uint Last)
{
    /// <summary>Whether the numbers make sense.</summary>
    [JsonIgnore]
    public bool IsSound => Database is { Length: > 0 } && PageSize is >= 512 and <= 65536
        && (PageSize & PageSize - 1) == 0 && First > 0 && First <= Last && Last <= Count;
}

/// <summary>Generated (de)serialization: works without reflection, so under NativeAOT too.</summary>
[JsonSerializable(typeof(ArchiveDescription))]
sealed partial class ArchiveJson : JsonSerializerContext;

/// <summary>A snapshot file: a remote's objects, one after the other, little-endian.</summary>
/// <remarks>
/// <code>
///   0       8         12       16
///   +-------+---------+--------+-------------+----···
///   | magic | version | length | description | entries
///   | u64   | u32     | u32    | JSON        |
///   +-------+---------+--------+-------------+----···
///   entry:  1 u8 | length of the name u16 | name | size u64 | bytes | SHA-256 of the bytes, 32
///   end:    0 u8 | SHA-256 of everything before it, 32: the snapshot's identity
/// </code>
/// It is written in one pass, and can be read in one. What has no end is no snapshot.
/// </remarks>
internal static class ArchiveFormat
{
    /// <summary>The newest version this software knows: that of pages of a database; others are of the first.</summary>
    public const uint Version = 2;

    static uint VersionOf(ArchiveDescription description) => description.Pages is null ? 1 : Version;

    /// <summary>Bytes before the description.</summary>
    public const int HeadBytes = 16;

    /// <summary>A description is no longer.</summary>
    public const int DescriptionBytesMax = 64 << 10;

    /// <summary>What follows: an object, or nothing more.</summary>
    public const byte Entry = 1, End = 0;

    /// <summary>The first 8 bytes.</summary>
    public static ReadOnlySpan<byte> Magic => "RVFSSNP\n"u8;

    /// <summary>Writes the beginning.</summary>
    public static byte[] Begin(ArchiveDescription description)
    {
        var json = JsonSerializer.SerializeToUtf8Bytes(description, ArchiveJson.Default.ArchiveDescription);
        var bytes = new byte[HeadBytes + json.Length];
        Magic.CopyTo(bytes);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(8), VersionOf(description));
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(12), json.Length);
        json.CopyTo(bytes, HeadBytes);
        return bytes;
    }

    /// <summary>The length of the description. Throws Corrupt or TooNew.</summary>
    public static int ReadHead(ReadOnlySpan<byte> head, string file)
    {
        if (head.Length < HeadBytes || !head[..8].SequenceEqual(Magic))
            throw new RecoveryException(RecoveryError.Corrupt,
                $"{file} is no snapshot file, or its beginning is damaged.",
                "Give a file that `recovery snapshot create` wrote.")
            { Path = file };
        var version = BinaryPrimitives.ReadUInt32LittleEndian(head[8..]);
        if (version > Version) throw RemoteFormat.TooNew(file, version, Version);
        var length = BinaryPrimitives.ReadInt32LittleEndian(head[12..]);
        return version > 0 && length is > 0 and <= DescriptionBytesMax ? length
            : throw RemoteFormat.Damaged(file, "its numbers make no sense");
    }

    /// <summary>Reads the description. Throws Corrupt.</summary>
    public static ArchiveDescription ReadDescription(ReadOnlySpan<byte> json, string file)
    {
        try
        {
            if (JsonSerializer.Deserialize(json, ArchiveJson.Default.ArchiveDescription) is { } read
                && read.Kind is ArchiveDescription.Full or ArchiveDescription.Incremental or ArchiveDescription.OfPages
                && read.Kind == ArchiveDescription.OfPages == read.Pages is not null && read.Pages?.IsSound != false
                && read.Kind == ArchiveDescription.Incremental == read.Base is not null
                && read.Base is null or { Length: 2 * ObjectHash.Bytes })
                return read;
        }
        catch (JsonException)
        {
            // Said below.
        }
        throw RemoteFormat.Damaged(file, "what it says of itself makes no sense");
    }

    /// <summary>What comes before an object's bytes.</summary>
    public static byte[] BeginEntry(string name, long sizeBytes)
    {
        var length = Encoding.UTF8.GetByteCount(name);
        var bytes = new byte[1 + 2 + length + 8];
        bytes[0] = Entry;
        BinaryPrimitives.WriteUInt16LittleEndian(bytes.AsSpan(1), (ushort)length);
        Encoding.UTF8.GetBytes(name, bytes.AsSpan(3));
        BinaryPrimitives.WriteInt64LittleEndian(bytes.AsSpan(3 + length), sizeBytes);
        return bytes;
    }
}
