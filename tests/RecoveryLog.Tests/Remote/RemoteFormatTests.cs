using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.RecoveryLog.Remote.Collect;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.Pins;
using RecoveryVfs.RecoveryLog.Remote.Read;
using RecoveryVfs.RecoveryLog.Remote.Write;
using RecoveryVfs.Simulation;

namespace RecoveryVfs.RecoveryLog.Tests.Remote;

/// <summary>The formats of a remote's objects: what is written is read back, and other bytes are an error.</summary>
public sealed class RemoteFormatTests
{
    static readonly Guid Log = ToyMachine.LogId;

    static PackedSegment Pack(int records, int bodyBytes, Random random, Func<Stream>? spool = null,
        int memory = SegmentBuilder.DefaultMemoryBytes)
    {
        using var builder = new SegmentBuilder(spool, memory);
        for (int i = 0; i < records; i++)
        {
            var body = new byte[bodyBytes];
            random.NextBytes(body.AsSpan(0, bodyBytes / 2));
            builder.Add(new Record(100 + (ulong)i, RecordKind.PageCommit, i % 3 == 2
                || i == records - 1 ? (byte)0 : RecordFlags.Continues, 1_800_000_000_000 + i * 7 % 5, 0, body));
        }
        return builder.Finish(Log, 3, 9, ObjectHash.Of([1, 2, 3]));
    }

    static byte[] BytesOf(PackedSegment segment)
    {
        var bytes = new byte[segment.Content.LengthBytes];
        using var stream = segment.Content.Open();
        stream.ReadExactly(bytes);
        return bytes;
    }

    static List<(ulong, byte, long, string)> RecordsOf(RemoteSegment segment)
    {
        var found = new List<(ulong, byte, long, string)>();
        using var records = segment.OpenRecords();
        while (records.TryRead(out var r)) found.Add((r.Lsn, r.Flags, r.UnixTimeMs, Convert.ToHexString(r.Body)));
        return found;
    }

    [Theory]
    [InlineData(1, 0)]
    [InlineData(1, 40)]
    [InlineData(7, 300)]
    [InlineData(2000, 120)]
    [InlineData(5, 400_000)]
    public void Segment_is_read_back(int records, int bodyBytes)
    {
        using var packed = Pack(records, bodyBytes, new Random(1));
        using var segment = RemoteSegment.Parse(packed.Name, BytesOf(packed));
        Assert.Equal(packed.Header, segment.Header);
        Assert.Equal(packed.Hash, segment.Hash);
        Assert.Equal((3ul, 9ul, 100ul, (ulong)records),
            (segment.Header.Epoch, segment.Header.Author, segment.Header.FirstLsn, segment.Header.Count));
        Assert.Equal(records, RecordsOf(segment).Count);
        Assert.Equal(RecordsOf(segment), RecordsOf(segment));
    }

    [Fact]
    public async Task Huge_group_spools_and_reads_back_the_same()
    {
        var random = new Random(2);
        int spools = 0;
        Stream Spool() { spools++; return new MemoryStream(); }
        using var packed = Pack(60, 500_000, random, Spool, memory: 1 << 20);
        Assert.Equal(1, spools);
        using var inMemory = Pack(60, 500_000, new Random(2));
        await using var store = new SimulatedObjectStore(
            new SimulatedBucket(TimeProvider.System), random);
        await store.CreateAsync(packed.Name, packed.Content);
        using var fetched = (await RemoteSegment.FetchAsync(store, packed.Name, Spool))!;
        using var plain = RemoteSegment.Parse(inMemory.Name, BytesOf(inMemory));
        Assert.Equal(RecordsOf(plain), RecordsOf(fetched));
    }

    [Fact]
    public void Any_changed_byte_of_a_segment_is_found()
    {
        using var packed = Pack(3, 60, new Random(1));
        var bytes = BytesOf(packed);
        for (int i = 0; i < bytes.Length; i++)
        {
            var damaged = (byte[])bytes.Clone();
            damaged[i] ^= 0x10;
            var e = Assert.Throws<RecoveryException>(() => RemoteSegment.Parse(packed.Name, damaged));
            Assert.True(e.Error is RecoveryError.Corrupt or RecoveryError.TooNew);
            Assert.Contains(packed.Name, e.Message);
        }
        for (int length = 0; length < bytes.Length; length++)
            Assert.Throws<RecoveryException>(() => RemoteSegment.Parse(packed.Name, bytes[..length]));
    }

    [Fact]
    public void Swapped_segment_is_found_by_its_name()
    {
        using var packed = Pack(3, 60, new Random(1));
        var e = Assert.Throws<RecoveryException>(() => RemoteSegment.Parse(RemoteNames.Segment(7), BytesOf(packed)));
        Assert.Contains("swapped", e.Message);
    }

    [Fact]
    public void Newer_version_is_refused_as_such()
    {
        using var packed = Pack(1, 60, new Random(1));
        var bytes = BytesOf(packed);
        bytes[4] = 2;
        Assert.Equal(RecoveryError.TooNew,
            Assert.Throws<RecoveryException>(() => RemoteSegment.Parse(packed.Name, bytes)).Error);
    }

    [Fact]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void Fuzzed_bytes_are_an_error_never_a_crash_or_a_huge_allocation() => Seeds.Run(3000, random =>
    {
        // Valid trailers, so that the parsing behind them is reached: what a hostile writer could send.
        using var packed = Pack(random.Next(1, 5), random.Next(200), random);
        var segment = Mutate(BytesOf(packed), random);
        Rehash(segment);
        Try(() =>
        {
            using var read = RemoteSegment.Parse("log/fuzz", segment);
            using var records = read.OpenRecords();
            while (records.TryRead(out _)) { }
        });
        var hints = Mutate(SampleHints(random, ObjectHash.Of([(byte)random.Next(2)])), random);
        Rehash(hints);
        Try(() => RemoteHintsFormat.Read(hints, "hints/fuzz"));
        var (list, extent) = SampleList(random);
        Try(() => BlockList.Read(Mutate(list, random), extent, "extents/fuzz.blocks"));
        Try(() => StoreObject.Parse(Mutate(StoreObject.Make(Log, 1, 2, DateTimeOffset.UnixEpoch).ToBytes(), random)));
        Try(() => Pin.Parse(Mutate(Pin.At(5, expires: DateTimeOffset.UnixEpoch).ToBytes(), random), "pins/fuzz"));
        var noise = new byte[random.Next(400)];
        random.NextBytes(noise);
        Try(() => RemoteSegment.Parse("log/fuzz", noise));
        Try(() => RemoteHintsFormat.Read(noise, "hints/fuzz"));
        Try(() => BlockList.Read(noise, extent, "extents/fuzz.blocks"));
        Try(() => StoreObject.Parse(noise));
        Try(() => Pin.Parse(noise, "pins/fuzz"));
    });

    static void Try(Action read)
    {
        long before = GC.GetAllocatedBytesForCurrentThread();
        try { read(); }
        catch (RecoveryException e) when (e.Error is RecoveryError.Corrupt or RecoveryError.TooNew) { }
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 8 << 20);
    }

    static byte[] Mutate(byte[] bytes, Random random)
    {
        for (int n = random.Next(1, 6); n > 0; n--)
            switch (random.Next(3))
            {
                case 0: bytes[random.Next(bytes.Length)] = (byte)random.Next(256); break;
                case 1: bytes.AsSpan(random.Next(bytes.Length)).Fill((byte)random.Next(256)); break;
                default: bytes = bytes[..random.Next(1, bytes.Length + 1)]; break;
            }
        return bytes;
    }

    static void Rehash(byte[] bytes)
    {
        if (bytes.Length > 32)
            ObjectHash.Of(bytes.AsSpan(0, bytes.Length - 32)).CopyTo(bytes.AsSpan(bytes.Length - 32));
    }

    static (byte[] List, Extent Extent) SampleList(Random random)
    {
        var bytes = new byte[random.Next(1, 5 << BlockList.UsualShift)];
        using var builder = new BlockList.Builder(BlockList.UsualShift);
        builder.Append(bytes);
        var (list, hash) = builder.Finish();
        return (list!.Bytes.ToArray(), new Extent(5, 1, bytes.Length, hash) { List = list.Hash });
    }

    [Fact]
    public void A_list_of_blocks_is_that_of_its_extent_and_no_other()
    {
        var (bytes, extent) = SampleList(new Random(4));
        var list = BlockList.Read(bytes, extent, extent.ListName);
        Assert.Equal(extent.List, list.Hash);
        Assert.Equal((extent.SizeBytes + list.BlockBytes - 1) / list.BlockBytes, list.Count);
        Assert.True(list.Matches(0, new byte[Math.Min(extent.SizeBytes, list.BlockBytes)]));
        Assert.False(list.Matches(0, new byte[10]));
        foreach (var other in new[]
        {
            extent with { SizeBytes = extent.SizeBytes + 1 },
            extent with { Hash = ObjectHash.Of([8]) },
        })
            Assert.Contains(extent.ListName, Assert.Throws<RecoveryException>(
                () => BlockList.Read(bytes, other, extent.ListName)).Message);
        bytes[4] = 2;
        Assert.Equal(RecoveryError.TooNew, Assert.Throws<RecoveryException>(
            () => BlockList.Read(bytes, extent, extent.ListName)).Error);
    }

    [Fact]
    public void Hints_give_lists_and_hints_without_them_are_read()
    {
        static Extent Of(byte[] bytes) => RemoteHintsFormat.Read(bytes, RemoteNames.HintsAt(50)).Extents[5];
        var with = SampleHints(new Random(1), ObjectHash.Of([5]));
        Assert.Equal(ObjectHash.Of([5]), Of(with).List);
        Assert.False(Of(SampleHints(new Random(1))).HasList);
        // A version of the lists that nobody knows yet: the whole extent serves.
        var at = with.AsSpan().IndexOf(new byte[] { 0x5B, 0x2A, 0x4D, 0x18 });
        with[at + 8] = 2;
        Rehash(with);
        Assert.False(Of(with).HasList);
        // What says that it is of a known version has to fit.
        (with[at + 8], with[at + 12]) = (1, 2);
        Rehash(with);
        Assert.Equal(RecoveryError.Corrupt, Assert.Throws<RecoveryException>(() => Of(with)).Error);
    }

    [Fact]
    public void Software_that_knows_no_lists_reads_the_same_hints()
    {
        // It reads up to the end of the frame and looks at nothing behind it: what is there may be anything.
        var bytes = SampleHints(new Random(1), ObjectHash.Of([5]));
        var at = bytes.AsSpan().IndexOf(new byte[] { 0x5B, 0x2A, 0x4D, 0x18 });
        bytes.AsSpan(at, bytes.Length - 32 - at).Clear();
        Rehash(bytes);
        Assert.Equal(1000, RemoteHintsFormat.Read(bytes, RemoteNames.HintsAt(50)).Extents[5].SizeBytes);
    }

    static byte[] SampleHints(Random random, ObjectHash list = default)
    {
        var extent = new Extent(5, 1, 1000, ObjectHash.Of([9])) { List = list };
        var hints = new Hints
        {
            LogId = Log,
            Epoch = 1,
            Lsn = 50,
            ReplayFrom = 40,
            NextFnode = 9,
            NextDatabaseId = 2,
            Databases = [new LiveDatabase(1, "a.db")],
            Files =
            [
                new LiveFile { Fnode = 5, Class = FileClass.RocksTable, Names = ["5.sst"], SizeBytes = 1000,
                    IsSealed = true, Crc32C = 77 },
                new LiveFile { Fnode = 6, Class = FileClass.Plain, Names = ["a.db-journal"], SizeBytes = 30,
                    Bytes = new byte[30] },
            ],
        };
        return RemoteHintsFormat.Write(new RemoteHintsHeader
        {
            LogId = Log,
            Epoch = 1,
            Author = 3,
            Lsn = 50,
            ReplayFrom = 40,
            TimeMs = random.Next(),
            Start = new RemoteLogEnd(35, ObjectHash.Of([4]), 1, 3, 20),
        }, [extent], hints);
    }

    [Fact]
    public void Hints_are_read_back_with_hashes_and_bytes()
    {
        var read = RemoteHintsFormat.Read(SampleHints(new Random(1)), RemoteNames.HintsAt(50));
        Assert.Equal(new RemoteLogEnd(35, ObjectHash.Of([4]), 1, 3, 20), read.Header.Start);
        Assert.Equal((1000, 32), (read.Extents[5].SizeBytes, read.Hints.Files[0].Sha256.Length));
        Assert.Equal(30, read.Hints.Files[1].Bytes.Length);
        Assert.Contains("swapped",
            Assert.Throws<RecoveryException>(()
            => RemoteHintsFormat.Read(SampleHints(new Random(1)), RemoteNames.HintsAt(51))).Message);
    }

    [Fact]
    public void Names_sort_as_they_should_and_parse_back()
    {
        Assert.Equal("log/000000000000000a", RemoteNames.Segment(10));
        Assert.True(string.CompareOrdinal(RemoteNames.HintsAt(10), RemoteNames.HintsAt(9)) < 0);
        Assert.True(RemoteNames.TryParseHints(RemoteNames.HintsAt(10), out ulong lsn) && lsn == 10);
        var hash = ObjectHash.Of([1]);
        Assert.True(RemoteNames.TryParseExtent(RemoteNames.Extent(1, 2, hash), out var parts));
        Assert.Equal((1ul, 2ul, hash.Prefix), parts);
        Assert.False(RemoteNames.TryParseSegment("log/A000000000000000", out _));
        Assert.False(RemoteNames.TryParseExtent("extents/zz", out _));
    }
}
