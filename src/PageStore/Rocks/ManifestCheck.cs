using System.Buffers.Binary;
using System.Numerics;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.PageStore.Rocks;

/// <summary>
/// Finds damage in RocksDB's CURRENT and MANIFEST that RocksDB itself takes for the traces of a crash.
/// </summary>
/// <remarks>
/// A MANIFEST is a log of framed records in blocks of 32 KiB:
/// <code>
///   crc32c, masked u32 | length u16 | type u8: 1 whole, 2 first, 3 middle, 4 last | length bytes
/// </code>
/// RocksDB ends reading, silently, at a record that would pass the end of the file: a crash interrupted its write. But
/// a flipped bit in a length looks the same, and then RocksDB would fall back to an old state and delete all files that
/// are newer. So: after an interrupted record nothing may follow that verifies.
/// </remarks>
internal static class ManifestCheck
{
    const int BlockSize = 32 << 10;
    const int HeaderSize = 7;

    /// <summary>
    /// Whether the directory holds a page store. Throws Corrupt when it holds one that cannot be whole.
    /// </summary>
    internal static bool Exists(string directory)
    {
        var current = Path.Combine(directory, "CURRENT");
        if (!File.Exists(current))
        {
            var orphan = Directory.Exists(directory)
                ? Directory.EnumerateFiles(directory)
                .FirstOrDefault(f => f.EndsWith(".sst", StringComparison.Ordinal)
                || f.EndsWith(".blob", StringComparison.Ordinal))
                : null;
            return orphan is null
                ? false // new, or interrupted while it was created, before it held anything
                : throw Damaged(current, $"is missing, though there is data ({Path.GetFileName(orphan)})");
        }

        var text = File.ReadAllText(current);
        if (!text.StartsWith("MANIFEST-", StringComparison.Ordinal) || !text.EndsWith('\n')
            || !text.AsSpan(9, text.Length - 10).ContainsOnlyDigits())
            throw Damaged(current, "does not name a MANIFEST");
        var manifest = Path.Combine(directory, text.TrimEnd('\n'));
        byte[] bytes;
        try
        {
            bytes = File.ReadAllBytes(manifest);
        }
        // A follower that starts over empties its directory beside its readers.
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw Damaged(manifest, "is missing (No such file), though CURRENT names it");
        }
        if (FindDamage(bytes) is { } offset)
            throw Damaged(manifest, $"is damaged at byte {offset}: a record there does not end, but whole ones follow");
        return true;
    }

    static bool ContainsOnlyDigits(this ReadOnlySpan<char> text) => !text.IsEmpty
        && !text.ContainsAnyExceptInRange('0', '9');

    /// <summary>
    /// Where the first record is that looks interrupted, but has whole ones after it; null when there is none.
    /// </summary>
    internal static int? FindDamage(ReadOnlySpan<byte> manifest)
    {
        var position = 0;
        while (true)
        {
            if (BlockSize - position % BlockSize is var left && left < HeaderSize)
                position += left; // no header fits there
            if (position >= manifest.Length)
                return null;
            if (RecordLength(manifest, position) is { } length)
                position += length;
            else
                return AnyRecordAfter(manifest, position) ? position : null; // what is wrong otherwise, RocksDB reports
        }
    }

    static bool AnyRecordAfter(ReadOnlySpan<byte> manifest, int position)
    {
        for (var next = position + 1; next <= manifest.Length - HeaderSize; next++)
            if (RecordLength(manifest, next) is not null)
                return true;
        return false;
    }

    /// <summary>The whole length of the record at this place, or null when none verifies there.</summary>
    static int? RecordLength(ReadOnlySpan<byte> manifest, int position)
    {
        var rest = manifest[position..Math.Min(manifest.Length, (position / BlockSize + 1) * BlockSize)];
        if (rest.Length < HeaderSize || rest[6] is < 1 or > 4)
            return null;
        int length = BinaryPrimitives.ReadUInt16LittleEndian(rest[4..]);
        if (length == 0 || length > rest.Length - HeaderSize)
            return null;
        var masked = BinaryPrimitives.ReadUInt32LittleEndian(rest);
        return Mask(Crc32C.Compute(rest.Slice(6, 1 + length))) == masked ? HeaderSize + length : null;
    }

    static uint Mask(uint crc) => BitOperations.RotateRight(crc, 15) + 0xa282ead8;

    static RecoveryException Damaged(string file, string what) =>
        new(RecoveryError.Corrupt,
            $"{file} {what}. Nothing was changed.",
            "Restore the store from its remote, or this file from a backup.")
        { Path = file };
}

/// <summary>
/// Where the MANIFEST was: it grows with each change of the store's files, and a new one takes its place when it is
/// large.
/// </summary>
internal readonly record struct ManifestMark(string Current, long SizeBytes)
{
    internal static ManifestMark Of(string directory)
    {
        try
        {
            var current = File.ReadAllText(Path.Combine(directory, "CURRENT")).TrimEnd('\n');
            return new ManifestMark(current, new FileInfo(Path.Combine(directory, current)).Length);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or ArgumentException)
        {
            return default; // none, or one that just went
        }
    }
}
