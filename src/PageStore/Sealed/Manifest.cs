using System.Buffers.Binary;
using System.Globalization;
using System.Numerics;
using System.Runtime.InteropServices;
using System.Text;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.PageStore.Sealed;

/// <summary>A table that counts, and the keys between which its entries and deletions lie.</summary>
internal sealed record LiveTable(ulong Number, byte[] Smallest, byte[] Largest)
{
    public string FileName => $"{Number:d6}.sst";

    /// <summary>Whether it may have something of a database.</summary>
    public bool MayHave(uint database) => DatabaseOf(Smallest) <= database && database <= DatabaseOf(Largest);

    /// <summary>Whether it may have a certain page.</summary>
    public bool MayHave(uint database, uint page)
    {
        Span<byte> key = stackalloc byte[8];
        BinaryPrimitives.WriteUInt64BigEndian(key, (ulong)database << 32 | page);
        return Smallest.AsSpan().SequenceCompareTo(key) <= 0 && key.SequenceCompareTo(Largest) <= 0;
    }

    static uint DatabaseOf(byte[] key) => BinaryPrimitives.ReadUInt32BigEndian(key);
}

/// <summary>What was said of a blob file when it was sealed.</summary>
/// <param name="Blobs">How many are in it.</param>
/// <param name="Bytes">Theirs, with their headers.</param>
internal sealed record BlobFileEdit(long Blobs, long Bytes);

/// <summary>
/// Which tables count, and which blob files there are: the sum of the edits in RocksDB's MANIFEST, which is framed as
/// <see cref="Rocks.ManifestCheck"/> draws it.
/// </summary>
/// <remarks>An edit is a run of fields, each a tag and what belongs to it. A tag that is not known here ends the
/// reading: RocksDB may know it.</remarks>
internal static class Manifest
{
    const int BlockBytes = 32 << 10, HeaderBytes = 7;

    const uint Comparator = 1, LogNumber = 2, NextFile = 3, LastSequence = 4, CompactCursor = 5, DeletedFile = 6,
        PreviousLog = 9, MinLogToKeep = 10, NewFile = 103,
        ColumnFamily = 200, MaxColumnFamily = 203, BlobFileAdded = 400, BlobFileGarbage = 401,
            MayBePassedOver = 1 << 13;

    const string KeyOrder = "leveldb.BytewiseComparator";

    sealed class Sum
    {
        public readonly Dictionary<(ulong Level, ulong Number), LiveTable> Tables = [];
        public readonly Dictionary<string, BlobFileEdit> Blobs = new(StringComparer.Ordinal);
    }

    public static IReadOnlyCollection<LiveTable> LiveTables(ReadOnlySpan<byte> manifest, string name) =>
        Add(manifest, name).Tables.Values;

    /// <summary>The blob files that there ever were, by their names.</summary>
    public static IReadOnlyDictionary<string, BlobFileEdit> BlobFiles(ReadOnlySpan<byte> manifest, string name) =>
        Add(manifest, name).Blobs;

    static Sum Add(ReadOnlySpan<byte> manifest, string name)
    {
        var sum = new Sum();
        var whole = new List<byte>();
        for (var at = 0; ;)
        {
            var left = BlockBytes - at % BlockBytes;
            if (left < HeaderBytes) at += left;
            if (at + HeaderBytes > manifest.Length || Payload(manifest, at) is not { } length) break;
            var payload = manifest.Slice(at + HeaderBytes, length);
            var type = manifest[at + 6];
            at += HeaderBytes + length;
            if (type is 1 or 2) whole.Clear();
            whole.AddRange(payload);
            if (type is 1 or 4) Apply(CollectionsMarshal.AsSpan(whole), name, sum);
        }
        return sum;
    }

    /// <summary>
    /// The length of the record's bytes; null when none verifies there: RocksDB ends at such a place, too.
    /// </summary>
    static int? Payload(ReadOnlySpan<byte> manifest, int at)
    {
        int length = BinaryPrimitives.ReadUInt16LittleEndian(manifest[(at + 4)..]);
        if (manifest[at + 6] is < 1 or > 4 || at + HeaderBytes + length > manifest.Length) return null;
        return Masked(Crc32C.Compute(manifest.Slice(at + 6, 1 + length)))
            == BinaryPrimitives.ReadUInt32LittleEndian(manifest[at..]) ? length : null;
    }

    /// <summary>As RocksDB writes checksums down.</summary>
    public static uint Masked(uint crc) => BitOperations.RotateRight(crc, 15) + 0xa282ead8;

    static void Apply(ReadOnlySpan<byte> edit, string name, Sum sum)
    {
        var fields = new FileBytes(edit, name);
        var added = new List<(ulong Level, LiveTable Table)>();
        while (!fields.IsEmpty)
        {
            switch (fields.Varint())
            {
                case DeletedFile:
                    sum.Tables.Remove((fields.Varint(), fields.Varint()));
                    break;
                case NewFile:
                    added.Add(ReadNewFile(ref fields, name));
                    break;
                case BlobFileAdded:
                    ReadBlobFile(ref fields, name, sum);
                    break;
                case var tag:
                    Pass(tag, ref fields, name);
                    break;
            }
        }
        // Of a table that only moved to another level, the deletion may stand behind.
        foreach (var (level, table) in added) sum.Tables[(level, table.Number)] = table;
    }

    static void Pass(ulong tag, ref FileBytes fields, string name)
    {
        switch (tag)
        {
            case LogNumber or NextFile or LastSequence or PreviousLog or MinLogToKeep or MaxColumnFamily:
                fields.Varint();
                break;
            case Comparator:
                if (!fields.TakePrefixed().SequenceEqual(Encoding.ASCII.GetBytes(KeyOrder)))
                    throw new UnfamiliarFileException(name, "names another order of keys");
                break;
            case CompactCursor:
                fields.Varint();
                fields.TakePrefixed();
                break;
            case ColumnFamily:
                if (fields.Varint() != 0) throw new UnfamiliarFileException(name, "has a second column family");
                break;
            case BlobFileGarbage:
                for (var i = 0; i < 3; i++) fields.Varint();
                PassCustom(ref fields, name, end: 0);
                break;
            case > MayBePassedOver:
                fields.TakePrefixed();
                break;
            default:
                throw new UnfamiliarFileException(name, $"has a field {tag}, which is not known here");
        }
    }

    /// <summary>
    /// Fields that came later: a tag and a length, so that they can be passed over, unless one says that it must not
    /// be.
    /// </summary>
    static void PassCustom(ref FileBytes fields, string name, ulong end)
    {
        const ulong mustBeKnown = 64;
        while (fields.Varint() is var tag && tag != end)
        {
            if ((tag & mustBeKnown) != 0)
                throw new UnfamiliarFileException(name, $"has a property {tag} of a file, which is not known here");
            fields.TakePrefixed();
        }
    }

    static void ReadBlobFile(ref FileBytes fields, string name, Sum sum)
    {
        var (number, blobs, bytes) = (fields.Varint(), (long)fields.Varint(), (long)fields.Varint());
        fields.TakePrefixed();
        fields.TakePrefixed();
        PassCustom(ref fields, name, end: 0);
        var file = string.Create(CultureInfo.InvariantCulture, $"{number:d6}.blob");
        if (!sum.Blobs.TryAdd(file, new BlobFileEdit(blobs, bytes)))
            throw new UnfamiliarFileException(name, $"adds {file} twice");
    }

    static (ulong, LiveTable) ReadNewFile(ref FileBytes fields, string name)
    {
        var (level, number, _) = (fields.Varint(), fields.Varint(), fields.Varint());
        var (smallest, largest) = (UserKey(fields.TakePrefixed(), name), UserKey(fields.TakePrefixed(), name));
        fields.Varint();
        fields.Varint();
        PassCustom(ref fields, name, end: 1);
        return (level, new LiveTable(number, smallest, largest));
    }

    static byte[] UserKey(ReadOnlySpan<byte> key, string name) =>
        key.Length is 16 or 17
            ? key[..^8].ToArray()
            : throw new UnfamiliarFileException(name, $"has a key of {key.Length} bytes");
}
