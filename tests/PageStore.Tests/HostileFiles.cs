using System.Buffers.Binary;
using System.Numerics;
using RecoveryVfs.PageStore.Rocks;
using RecoveryVfs.PageStore.Sealed;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.PageStore.Tests;

/// <summary>
/// A process that opens page stores that somebody made on purpose: one file of each is changed, and its checksums are
/// right again. They are tried as those from a remote are; what passes is then used here, and must not end the process.
/// </summary>
public static class HostileFiles
{
    const int BlockBytes = 32 << 10, HeaderBytes = 7;

    public static void Run(string directory, int seed, int count)
    {
        var original = Path.Combine(directory, "original");
        Make(original);
        var (refused, used, proved) = (0, 0, 0);
        for (var i = 0; i < count; i++)
        {
            var random = new Random(seed + i);
            var pages = Path.Combine(directory, "pages");
            Copy(original, pages);
            Console.WriteLine($"{seed + i}: {Change(pages, random)}");
            try
            {
                // As a restore does; and in full, as where nothing could be proved.
                var isProved = random.Next(4) > 0 && new BlobProof().Holds(pages);
                proved += isProved ? 1 : 0;
                RocksTrial.Run(pages, Path.Combine(directory, "trial"), default,
                    isProved ? TrialDepth.Some : TrialDepth.All);
                Use(pages);
                used++;
            }
            catch (RecoveryException e) when (e.Error is RecoveryError.Corrupt)
            {
                refused++;
                if (e.Message.Contains("Assertion", StringComparison.Ordinal))
                    Console.WriteLine("would have died: " + e.Message);
            }
            Directory.Delete(pages, recursive: true);
        }
        Console.WriteLine($"refused {refused}, used {used}, blobs proved {proved}");
    }

    /// <summary>A page store with tables and blob files in several levels.</summary>
    internal static void Make(string directory)
    {
        var history = new History(seed: 3);
        using var store = RocksPageStore.Open(new() { Directory = directory, WriteBufferBytes = 128 << 10 });
        for (var lsn = 5ul; lsn <= 60; lsn += 5)
        {
            history.WriteTo(store, lsn);
            store.Flush();
        }
        store.Compact(default);
        history.WriteTo(store, 70);
        store.Flush();
    }

    static void Copy(string from, string to)
    {
        Directory.CreateDirectory(to);
        foreach (var path in Directory.EnumerateFiles(from)) File.Copy(path, Path.Combine(to, Path.GetFileName(path)));
    }

    /// <summary>What a host does with it sooner or later.</summary>
    static void Use(string directory)
    {
        using var store = RocksPageStore.Open(new() { Directory = directory });
        store.ScanAll(1);
        var history = new History(seed: 4);
        history.WriteTo(store, store.Applied + 20);
        store.Flush();
        store.Compact(default);
        store.ScanAll(1);
    }

    static string Change(string directory, Random random)
    {
        var files = Directory.GetFiles(directory)
            .Where(f => Path.GetFileName(f) is not "LOCK" and not "IDENTITY"
            && !f.EndsWith(".log", StringComparison.Ordinal)).Order(StringComparer.Ordinal).ToArray();
        // Mostly the MANIFEST and the tables: they say what all else is.
        if (random.Next(2) == 0)
            return ChangeTable(
                random.GetItems(files.Where(f => f.EndsWith(".sst", StringComparison.Ordinal)).ToArray(), 1)[0],
                random);
        if (random.Next(4) == 0)
            return ChangeBlob(
                random.GetItems(files.Where(f => f.EndsWith(".blob", StringComparison.Ordinal)).ToArray(), 1)[0],
                random);
        var path = random.Next(4) > 0
            ? files.First(f => f.Contains("/MANIFEST-", StringComparison.Ordinal))
            : files[random.Next(files.Length)];
        var bytes = File.ReadAllBytes(path);
        var places = new List<int>();
        for (var changes = random.Next(1, 4); changes > 0 && bytes.Length > 0; changes--)
        {
            var at = random.Next(bytes.Length);
            bytes[at] = random.Next(3) switch
            {
                0 => (byte)(bytes[at] ^ (1 << random.Next(8))),
                1 => (byte)random.Next(256),
                _ => (byte)(random.Next(2) * 255)
            };
            places.Add(at);
        }
        if (path.Contains("/MANIFEST-", StringComparison.Ordinal)) Seal(bytes);
        File.WriteAllBytes(path, bytes);
        return $"{Path.GetFileName(path)} at {string.Join(", ", places)}";
    }

    /// <summary>
    /// Has the MANIFEST say that each table begins where it ends, and the reverse, behind checksums that are right.
    /// </summary>
    internal static int SwapKeys(string directory)
    {
        // Length and bytes of the smallest key, then of the largest: eight of ours and eight of RocksDB's.
        const int KeyBytes = 16;
        var (path, swapped) = (Directory.GetFiles(directory, "MANIFEST-*").Single(), 0);
        var bytes = File.ReadAllBytes(path);
        for (var at = 0; at + (2 * (KeyBytes + 1)) <= bytes.Length; at++)
        {
            if (bytes[at] != KeyBytes || bytes[at + KeyBytes + 1] != KeyBytes) continue;
            var smallest = bytes.AsSpan(at + 1, KeyBytes);
            var largest = bytes.AsSpan(at + KeyBytes + 2, KeyBytes);
            if (smallest[..8].SequenceCompareTo(largest[..8]) >= 0) continue;
            var kept = smallest.ToArray();
            largest.CopyTo(smallest);
            kept.CopyTo(largest);
            swapped++;
        }
        Seal(bytes);
        File.WriteAllBytes(path, bytes);
        return swapped;
    }

    /// <summary>Changes what is in the blocks of a table, behind checksums that are right.</summary>
    static string ChangeTable(string path, Random random)
    {
        var bytes = File.ReadAllBytes(path);
        var blocks = new TableBlocks(bytes);
        var places = new List<string>();
        for (var changed = random.Next(1, 3); changed > 0; changed--)
        {
            // The first ones lead to all others.
            var number = random.Next(2) == 0 ? random.Next(2) : random.Next(blocks.Count);
            var block = blocks.Bytes(number);
            for (var changes = random.Next(1, 4); changes > 0; changes--)
            {
                var at = random.Next(block.Length);
                block[at] = random.Next(3) switch
                {
                    0 => (byte)(block[at] ^ (1 << random.Next(8))),
                    1 => (byte)random.Next(256),
                    _ => (byte)(random.Next(2) * 255)
                };
                places.Add($"{number}:{at}");
            }
            blocks.Seal(number);
        }
        File.WriteAllBytes(path, bytes);
        return $"{Path.GetFileName(path)}, in blocks, at {string.Join(", ", places)}";
    }

    /// <summary>Changes a few blobs, behind checksums that are right: values, keys, lengths, the end.</summary>
    static string ChangeBlob(string path, Random random)
    {
        var bytes = File.ReadAllBytes(path);
        var blobs = BlobsOf(bytes);
        var places = new List<string>();
        for (var changed = random.Next(1, 3); changed > 0; changed--)
        {
            var (start, length) = blobs[random.Next(blobs.Count)];
            // The size that the value begins with, and what follows it, more often than the rest.
            var at = start + (random.Next(3) > 0 ? 40 + random.Next(Math.Min(8, length - 40)) : random.Next(length));
            bytes[at] = random.Next(3) == 0 ? (byte)(bytes[at] ^ (1 << random.Next(8))) : (byte)random.Next(256);
            SealBlob(bytes.AsSpan(start, length));
            places.Add($"{start}+{at - start}");
        }
        File.WriteAllBytes(path, bytes);
        return $"{Path.GetFileName(path)}, in blobs, at {string.Join(", ", places)}";
    }

    /// <summary>Where the blobs of a file begin, and how long they are.</summary>
    internal static List<(int Start, int Length)> BlobsOf(ReadOnlySpan<byte> file)
    {
        var blobs = new List<(int, int)>();
        for (var at = BlobFile.HeaderBytes; at < file.Length - BlobFile.FooterBytes;)
        {
            var length = BlobFile.BlobHeaderBytes + BlobFile.KeyBytes
                + (int)BinaryPrimitives.ReadUInt64LittleEndian(file[(at + 8)..]);
            blobs.Add((at, length));
            at += length;
        }
        return blobs;
    }

    /// <summary>Makes the checksums of a blob right.</summary>
    internal static void SealBlob(Span<byte> blob)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(blob[24..], Manifest.Masked(Crc32C.Compute(blob[..24])));
        BinaryPrimitives.WriteUInt32LittleEndian(blob[28..],
            Manifest.Masked(Crc32C.Compute(blob[BlobFile.BlobHeaderBytes..])));
    }

    /// <summary>Makes the checksums of a MANIFEST's records right, as far as its lengths lead.</summary>
    static void Seal(Span<byte> manifest)
    {
        for (var at = 0; at + HeaderBytes <= manifest.Length;)
        {
            var left = BlockBytes - (at % BlockBytes);
            if (left < HeaderBytes)
            {
                at += left;
                continue;
            }
            var length = BinaryPrimitives.ReadUInt16LittleEndian(manifest[(at + 4)..]);
            if (length > Math.Min(left, manifest.Length - at) - HeaderBytes) return;
            BinaryPrimitives.WriteUInt32LittleEndian(manifest[at..],
                BitOperations.RotateRight(Crc32C.Compute(manifest.Slice(at + 6, 1 + length)), 15) + 0xa282ead8);
            at += HeaderBytes + length;
        }
    }
}
