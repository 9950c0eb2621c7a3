using System.Text;

namespace RecoveryVfs.PageStore.Batches;

/// <summary>The names of a RocksDB's column families by their numbers, out of its MANIFEST.</summary>
internal static class FamilyNames
{
    /// <summary>Fields of a version edit, by RocksDB's numbers; those from 8192 on may be passed over.</summary>
    const uint Comparator = 1, LogNumber = 2, NextFileNumber = 3, LastSequence = 4, CompactCursor = 5, DeletedFile = 6,
        PreviousLogNumber = 9, MinLogNumber = 10, NewFile4 = 103, ColumnFamily = 200, ColumnFamilyAdd = 201,
        ColumnFamilyDrop = 202, MaxColumnFamily = 203, InAtomicGroup = 300, BlobFileAddition = 400,
        BlobFileGarbage = 401, Ignorable = 1 << 13;

    /// <summary>
    /// Those that were ever added, as far as the MANIFEST can be understood. Throws Corrupt when it is damaged.
    /// </summary>
    public static Dictionary<uint, string> Read(ReadOnlySpan<byte> manifest, string name)
    {
        var names = new Dictionary<uint, string> { [0] = "default" };
        var reader = new RocksLogReader(name, 0);
        reader.Feed(manifest, edit =>
        {
            if (ReadEdit(edit) is var (family, added)) names[family] = added;
        });
        return names;
    }

    /// <summary>The family that an edit adds; null when it adds none.</summary>
    static (uint Family, string Name)? ReadEdit(ReadOnlySpan<byte> edit)
    {
        var cursor = new ByteCursor(edit);
        var family = 0u;
        string? added = null;
        // An edit with a field that is not known here ends there: what adds a family has none.
        while (!cursor.IsAtEnd && cursor.TryVarint32(out var field))
        {
            switch (field)
            {
                case ColumnFamily when cursor.TryVarint32(out family): break;
                case ColumnFamilyAdd when cursor.TryString(out var name):
                    added = Encoding.UTF8.GetString(name);
                    break;
                default:
                    if (!TrySkip(field, ref cursor)) return added is null ? null : (family, added);
                    break;
            }
        }
        return added is null ? null : (family, added);
    }

    static bool TrySkip(uint field, ref ByteCursor cursor) => field switch
    {
        ColumnFamilyDrop => true,
        Comparator or >= Ignorable => cursor.TryString(out _),
        LogNumber or NextFileNumber or LastSequence or PreviousLogNumber or MinLogNumber => cursor.TryVarint64(out _),
        MaxColumnFamily or InAtomicGroup => cursor.TryVarint32(out _),
        CompactCursor => cursor.TryVarint32(out _) && cursor.TryString(out _),
        DeletedFile => cursor.TryVarint32(out _) && cursor.TryVarint64(out _),
        // Tables and blob files: an edit that adds a family has none.
        NewFile4 or BlobFileAddition or BlobFileGarbage => false,
        _ => false,
    };
}
