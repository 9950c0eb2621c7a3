using System.Buffers.Binary;
using RecoveryVfs.PageStore.Rocks;
using RecoveryVfs.PageStore.Sealed;
using RecoveryVfs.PageStore.Writing;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.PageStore.Tests;

/// <summary>
/// What a restore proves of blobs while it fetches them, so that they need not be read again: nothing that a store
/// would not write passes.
/// </summary>
public sealed class BlobProofTests(DirectoryPlaces places) : IClassFixture<DirectoryPlaces>, IDisposable
{
    const int KeyAt = BlobFile.BlobHeaderBytes, ValueAt = KeyAt + BlobFile.KeyBytes;

    readonly TempDirectory temp = new();

    public void Dispose() => temp.Dispose();

    string Pages => temp["pages"];

    bool Holds() => new BlobProof().Holds(Pages);

    [Fact]
    public async Task What_a_restore_fetches_is_proved_on_its_way_and_not_read_again()
    {
        var place = await places.NewAsync();
        using (var writer = Store.Open(new()
        {
            Directory = temp["writer"],
            PageCacheBytes = 1 << 20,
            PendingBytes = 64 << 10,
            Remote = place.Options with { HintsBytes = 1 << 30 },
        }))
        {
            var model = new SortedDictionary<string, byte[]>(StringComparer.Ordinal);
            for (var i = 0; i < 60; i++) StoreTests.Transaction(new Random(i), writer, model);
            writer.Checkpoint();
            await writer.Remote!.PublishHintsAsync();
            writer.SyncRemote();
        }
        await using var objects = place.Open();
        var plan = await place.PlanAsync(objects);
        var names = plan.Hints.Hints.Files.ToDictionary(f => f.Fnode, f => f.Name);
        var proof = new BlobProof();
        var paths = await plan.FetchFilesAsync(temp["fetched"],
            witnesses: extent => proof.WitnessOf(names[extent.Fnode], extent.SizeBytes));
        Directory.CreateDirectory(Pages);
        foreach (var (fnode, path) in paths) File.Move(path, Path.Combine(Pages, names[fnode]));
        Assert.NotEmpty(Directory.GetFiles(Pages, "*.blob"));
        Assert.True(proof.Holds(Pages));
        Assert.Equal(0, proof.ReadBytes);
        Assert.True(Holds());
    }

    [Fact]
    public void A_proved_store_is_tried_without_reading_all_of_its_blobs()
    {
        HostileFiles.Make(Pages);
        Assert.True(Holds());
        // A page that is not read, since neither is every page.
        Assert.NotEmpty(ChangeBlobs((blob, page) => page % 64 is > 1 and < 60, blob => blob[^1] ^= 1, seals: false));
        RocksTrial.Run(Pages, temp["trial"], default, TrialDepth.Some);
        Assert.Equal(RecoveryError.Corrupt,
            Assert.Throws<RecoveryException>(() => RocksTrial.Run(Pages, temp["trial"], default)).Error);
        Assert.False(Holds());
    }

    public static TheoryData<string> Changes() => [.. changes.Keys];

    static readonly Dictionary<string, Action<Span<byte>>> changes = new()
    {
        ["another page's key"] = blob => blob[KeyAt + BlobFile.KeyBytes - 1] ^= 1,
        ["an expiration"] = blob => blob[16] = 1,
        ["a value that says that it is shorter"] = blob => Resize(blob[ValueAt..], static n => n - 1),
        ["a value that says that it is longer"] = blob => Resize(blob[ValueAt..], static n => n + 1),
        ["a value that says that it is huge"] = blob => Resize(blob[ValueAt..], static n => n | 0x1ffffff << 7),
        ["a value that no decompressor takes"] = blob => blob[(ValueAt + 4)..].Fill(0xff),
    };

    /// <summary>Of those that RocksDB compresses, whose size is a varint of two bytes.</summary>
    static void Resize(Span<byte> value, Func<int, int> change)
    {
        Assert.True(value[0] >= 0x80 && value[1] < 0x80);
        var size = change((value[0] & 0x7f) | value[1] << 7);
        for (var i = 0; i < 2 || size > 0; i++, size >>= 7)
            value[i] = (byte)((size & 0x7f) | (i == 0 || size > 0x7f ? 0x80 : 0));
    }

    [Theory]
    [MemberData(nameof(Changes))]
    public void A_blob_with_right_checksums_and_a_wrong_content_is_not_proved(string change)
    {
        HostileFiles.Make(Pages);
        Assert.True(Holds());
        var changed = ChangeBlobs((blob, _) => blob[ValueAt] >= 0x80 && blob[ValueAt + 1] is < 0x7f and > 0,
            changes[change], seals: true);
        Assert.NotEmpty(changed);
        Assert.False(Holds());
    }

    [Fact]
    public void A_table_that_names_the_inside_of_a_blob_is_not_proved()
    {
        HostileFiles.Make(Pages);
        // What lies there may well look like a blob.
        foreach (var path in Directory.GetFiles(Pages, "*.sst"))
        {
            var table = File.ReadAllBytes(path);
            var blocks = new TableBlocks(table);
            var last = blocks.Count - 1;
            MoveFirstBlob(blocks.Bytes(last));
            blocks.Seal(last);
            File.WriteAllBytes(path, table);
        }
        Assert.False(Holds());
    }

    /// <summary>Has the first entry that names a blob name what lies a few bytes beside it.</summary>
    static void MoveFirstBlob(Span<byte> block)
    {
        Span<byte> key = stackalloc byte[16];
        while (true)
        {
            // Each length is a varint of one byte: no key or place is long.
            var (shared, own, length) = (block[0], block[1], block[2]);
            block.Slice(3, own).CopyTo(key[shared..]);
            var value = block.Slice(3 + own, length);
            block = block[(3 + own + length)..];
            if ((EntryKind)key[8] != EntryKind.Blob) continue;
            // Kind, file, offset, size, compression.
            Assert.True(value[0] == 1 && value[1] < 0x80);
            value[2] ^= 1;
            return;
        }
    }

    [Fact]
    public void A_file_that_is_missing_cut_or_longer_than_the_MANIFEST_says_is_not_proved()
    {
        HostileFiles.Make(Pages);
        var path = Directory.GetFiles(Pages, "*.blob").Order(StringComparer.Ordinal).Last();
        var bytes = File.ReadAllBytes(path);
        File.Delete(path);
        Assert.False(Holds());
        File.WriteAllBytes(path, bytes[..^1]);
        Assert.False(Holds());
        // One blob more, and an end that counts it.
        var (start, length) = HostileFiles.BlobsOf(bytes)[0];
        byte[] longer = [.. bytes[..^BlobFile.FooterBytes], .. bytes[start..(start + length)],
            .. bytes[^BlobFile.FooterBytes..]];
        var footer = longer.AsSpan(longer.Length - BlobFile.FooterBytes);
        BinaryPrimitives.WriteUInt64LittleEndian(footer[4..], BinaryPrimitives.ReadUInt64LittleEndian(footer[4..]) + 1);
        BinaryPrimitives.WriteUInt32LittleEndian(footer[28..],
            Manifest.Masked(RecoveryLog.Records.Crc32C.Compute(footer[..28])));
        File.WriteAllBytes(path, longer);
        Assert.False(Holds());
        File.WriteAllBytes(path, bytes);
        Assert.True(Holds());
    }

    [Fact]
    public void A_blob_file_is_the_same_in_whatever_pieces_it_comes()
    {
        HostileFiles.Make(Pages);
        var bytes = File.ReadAllBytes(Directory.GetFiles(Pages, "*.blob").MaxBy(f => new FileInfo(f).Length)!);
        var expected = HostileFiles.BlobsOf(bytes).Select(b => (long)b.Start + ValueAt).ToList();
        foreach (var piece in (int[])[1, 7, 31, 40, 4096, bytes.Length])
        {
            var blobs = new Offsets();
            var file = new BlobFile("000001.blob", bytes.Length, blobs, verifies: true);
            for (var round = 0; round < 2; round++)
            {
                file.Begin();
                blobs.Found.Clear();
                for (var at = 0; at < bytes.Length; at += piece)
                    file.Take(bytes.AsSpan(at, Math.Min(piece, bytes.Length - at)));
                file.End();
                Assert.Equal(expected, blobs.Found);
            }
            Assert.Throws<UnfamiliarFileException>(() => file.Take([0]));
        }
    }

    sealed class Offsets : IBlobs
    {
        public List<long> Found { get; } = [];

        public void Take(ulong key, long offset, Interop.BlobCompression compression, ReadOnlySpan<byte> value)
            => Found.Add(offset);
    }

    delegate bool BlobIsMeant(ReadOnlySpan<byte> blob, uint page);

    /// <summary>Changes the first blob of each file that is meant; returns their pages.</summary>
    List<uint> ChangeBlobs(BlobIsMeant isMeant, Action<Span<byte>> change, bool seals)
    {
        var changed = new List<uint>();
        foreach (var path in Directory.GetFiles(Pages, "*.blob"))
        {
            var bytes = File.ReadAllBytes(path);
            foreach (var (start, length) in HostileFiles.BlobsOf(bytes))
            {
                var blob = bytes.AsSpan(start, length);
                var page = BinaryPrimitives.ReadUInt32BigEndian(blob[(KeyAt + 4)..]);
                if (!isMeant(blob, page)) continue;
                change(blob);
                if (seals) HostileFiles.SealBlob(blob);
                changed.Add(page);
                break;
            }
            File.WriteAllBytes(path, bytes);
        }
        return changed;
    }
}
