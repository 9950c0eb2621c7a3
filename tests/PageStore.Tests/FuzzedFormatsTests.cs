using System.Buffers;
using System.Buffers.Binary;
using System.IO.Pipelines;
using RecoveryVfs.PageStore.Pages;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Log;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.Collect;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.Pins;
using RecoveryVfs.RecoveryLog.Remote.Read;
using RecoveryVfs.RecoveryLog.Remote.Write;
using Record = RecoveryVfs.RecoveryLog.Records.Record;

namespace RecoveryVfs.PageStore.Tests;

/// <summary>
/// One fuzz target a format. Each takes a file of <c>corpus/</c>, as a real store or remote had it, changes it, makes
/// its checksums and hashes right again (so that what is behind them is reached), and reads it as users do. What comes
/// out is content or a RecoveryException, in bounded memory. ./build.sh soak gives each a minute or more.
/// </summary>
public sealed class FuzzedFormatsTests : IDisposable
{
    // A case's own input is small; what a reader sets aside beforehand is the rest.
    const long AllocatedMax = 160 << 20;
    // A few in a run of all tests; ./build.sh soak multiplies its own seconds, to a minute each round.
    const double Seconds = 4, SoakTimes = 4;

    readonly string directory = Directory.CreateTempSubdirectory("recovery-fuzz-").FullName;

    public void Dispose() => Directory.Delete(directory, recursive: true);

    internal static byte[] Corpus(string name)
        => File.ReadAllBytes(Path.Combine(AppContext.BaseDirectory, "corpus", name));

    static void Fuzz(string corpus, Action<byte[], Random> read)
        => Fuzz(corpus, () => Corpus(corpus), Seconds, read);

    internal static void Fuzz(string what, Func<byte[]> whole, double seconds, Action<byte[], Random> read)
        => Seeds.RunFor(seconds, 1, (seed, _) =>
    {
        var random = new Random(seed);
        var bytes = whole();
        if (random.Next(50) > 0) bytes = Changed(bytes, random);
        var before = GC.GetAllocatedBytesForCurrentThread();
        try
        {
            read(bytes, random);
        }
        catch (RecoveryException e)
        {
            Assert.NotEmpty(e.Message);
        }
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, AllocatedMax);
    }, SoakTimes, what);

    /// <summary>
    /// A few changes of the kinds that parsers trip over: bits, numbers at their limits, pieces gone, doubled or moved.
    /// </summary>
    static byte[] Changed(byte[] bytes, Random random)
    {
        for (var n = random.Next(1, 5); n > 0 && bytes.Length > 8; n--)
        {
            var at = random.Next(bytes.Length - 8);
            var length = random.Next(1, Math.Min(64, bytes.Length - at));
            switch (random.Next(7))
            {
                case 0: bytes[at] ^= (byte)(1 << random.Next(8)); break;
                case 1: bytes[at] = (byte)random.Next(256); break;
                case 2: BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(at), Limit(random)); break;
                case 3:
                    BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(at),
                    random.Next(2) == 0 ? ulong.MaxValue : Limit(random)); break;
                case 4: bytes = [.. bytes[..at], .. bytes[(at + length)..]]; break;
                case 5: bytes = [.. bytes[..at], .. bytes[at..(at + length)], .. bytes[at..]]; break;
                default: bytes.AsSpan(at, length).CopyTo(bytes.AsSpan(random.Next(bytes.Length - length))); break;
            }
        }
        return bytes;
    }

    static uint Limit(Random random)
        => random.Next(6) switch
        {
            0 => 0,
            1 => uint.MaxValue,
            2 => int.MaxValue,
            3 => 1u << 31,
            4 => 64 << 20,
            _ => (uint)random.Next(70_000)
        };

    /// <summary>A length and a checksum as the format wants them.</summary>
    static void MakeHintsWhole(byte[] bytes)
    {
        if (bytes.Length < 24) return;
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(12), bytes.Length - 4);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(bytes.Length - 4),
            Crc32C.Compute(bytes.AsSpan(0, bytes.Length - 4)));
    }

    static void Rehash(byte[] bytes)
    {
        if (bytes.Length > 32)
            ObjectHash.Of(bytes.AsSpan(0, bytes.Length - 32)).CopyTo(bytes.AsSpan(bytes.Length - 32));
    }

    [Fact]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void Local_hints() => Fuzz("hints", (bytes, _) =>
    {
        MakeHintsWhole(bytes);
        var place = Path.Combine(directory, "hints");
        Directory.CreateDirectory(place);
        foreach (var old in Directory.GetFiles(place)) File.Delete(old);
        var lsn = bytes.Length >= 48 ? BinaryPrimitives.ReadUInt64LittleEndian(bytes.AsSpan(40)) : 1;
        File.WriteAllBytes(Path.Combine(place, $"hints-{lsn:x16}"), bytes);
        if (LocalHints.LoadNewest(LocalDisk.Instance, place) is { } hints) new LiveFiles().Load(hints);
    });

    [Fact]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void Local_segment() => Fuzz("segment", (bytes, random) =>
    {
        if (random.Next(4) > 0) MakeRecordsWhole(bytes);
        var log = Path.Combine(directory, "store", "log");
        if (Directory.Exists(log)) Directory.Delete(log, recursive: true);
        Directory.CreateDirectory(log);
        File.WriteAllBytes(Path.Combine(log, SegmentFormat.FileName(1)), bytes);
        var live = new LiveFiles();
        LocalLog.Open(LocalDisk.Instance, Path.GetDirectoryName(log)!, new LogOptions { ReadOnly = true }, 1,
            (in Record record) => Take(record, live)).Dispose();
    });

    /// <summary>All that is made of records without pages of RocksDB's.</summary>
    static void Take(in Record record, LiveFiles live)
    {
        live.Apply(record);
        if (record.Kind != RecordKind.PageCommit) return;
        var page = new byte[65536];
        foreach (var change in PageCommit.Read(record)) change.ApplyTo(page.AsSpan(0, change.Length));
    }

    /// <summary>Gives every record whose length still makes sense its checksum back.</summary>
    internal static void MakeRecordsWhole(byte[] bytes)
    {
        if (bytes.Length < SegmentFormat.HeaderBytes) return;
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(60), Crc32C.Compute(bytes.AsSpan(0, 60)));
        var seed = Crc32C.Compute(bytes.AsSpan(16, 40));
        for (var at = SegmentFormat.HeaderBytes; at + 28 <= bytes.Length;)
        {
            var length = BinaryPrimitives.ReadUInt32LittleEndian(bytes.AsSpan(at));
            if (length == 0 || length > bytes.Length) return;
            var size = RecordFormat.SizeOf((int)length);
            if (at + size > bytes.Length) return;
            var crc = Crc32C.Compute(bytes.AsSpan(at, 4), seed);
            BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(at + 4),
                Crc32C.Compute(bytes.AsSpan(at + 8, size - 8), crc));
            at += size;
        }
    }

    [Fact]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void Remote_hints() => Fuzz("remote-hints", (bytes, _) =>
    {
        Rehash(bytes);
        Put("hints", RemoteNames.HintsAt(bytes.Length >= 48
            ? BinaryPrimitives.ReadUInt64LittleEndian(bytes.AsSpan(40))
            : 1), bytes);
    });

    [Fact]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void What_is_compressed_in_remote_hints() => Fuzz("remote-hints", (_, random) =>
    {
        var whole = Corpus("remote-hints");
        var body = RemoteHintsFormat.HeaderBytes + BinaryPrimitives.ReadInt32LittleEndian(whole.AsSpan(128)) * 56;
        var bytes = new byte[BinaryPrimitives.ReadInt32LittleEndian(whole.AsSpan(132))];
        using (var zstd =
            new ZstdReader(PipeReader.Create(new ReadOnlySequence<byte>(whole, body, whole.Length - 32 - body))))
            for (var done = 0; done < bytes.Length;) done += zstd.Read(bytes.AsSpan(done));
        bytes = Changed(bytes, random);
        MakeHintsWhole(bytes);
        var packed = new byte[Zstd.Bound(bytes.Length)];
        var size = Zstd.Compress(bytes, packed);
        byte[] made = [.. whole[..body], .. packed[..size], .. new byte[32]];
        BinaryPrimitives.WriteInt32LittleEndian(made.AsSpan(132), bytes.Length);
        Rehash(made);
        Put("hints", RemoteNames.HintsAt(BinaryPrimitives.ReadUInt64LittleEndian(made.AsSpan(40))), made);
    });

    [Fact]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void Remote_segment() => Fuzz("remote-segment", (bytes, _) =>
    {
        Rehash(bytes);
        Put("log", RemoteNames.Segment(bytes.Length >= 48
            ? Math.Max(1, BinaryPrimitives.ReadUInt64LittleEndian(bytes.AsSpan(40)))
            : 1), bytes);
    });

    [Fact]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void Records_in_a_remote_segment() => Fuzz("remote-segment", (bytes, random) =>
    {
        // What is behind the compression: the records, changed, packed again by the real writer.
        bytes = Corpus("remote-segment");
        using var segment =
            RemoteSegment.Parse(RemoteNames.Segment(BinaryPrimitives.ReadUInt64LittleEndian(bytes.AsSpan(40))), bytes);
        using var builder = new SegmentBuilder();
        var victim = random.Next((int)segment.Header.Count);
        using (var records = segment.OpenRecords())
            while (records.TryRead(out var record))
                builder.Add(victim--
                    == 0 ? new Record(record.Lsn, record.Kind, record.Flags, record.UnixTimeMs, 0,
                    Changed(record.Body.ToArray(), random)) : record);
        using var packed =
            builder.Finish(segment.Header.LogId, segment.Header.Epoch, segment.Header.Author, segment.Header.Previous);
        Put("log", packed.Name, packed.Content.Bytes!.Value.ToArray());
    });

    [Fact]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void Store_object() => Fuzz("store.json", (bytes, _) => Put("store", RemoteNames.Store, bytes));

    [Fact]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void Pins() => Fuzz("pin", (bytes, _) => Put("pins", "pins/fuzzed", bytes));

    [Fact]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void Remote_urls()
        => Fuzz("url", (bytes, _) => RemoteUrl.Parse(System.Text.Encoding.UTF8.GetString(bytes), static _ => null));

    /// <summary>
    /// Puts one object of a small real remote in its place, and looks at the remote as whoever restores does: plan,
    /// files, log.
    /// </summary>
    void Put(string kind, string name, byte[] bytes)
    {
        var remote = Path.Combine(directory, kind);
        if (Directory.Exists(remote)) Directory.Delete(remote, recursive: true);
        foreach (var (each, content) in (IEnumerable<(string, byte[])>)[(RemoteNames.Store, Corpus("store.json")),
            (NameOf("remote-hints", RemoteNames.HintsAt), Corpus("remote-hints")),
            (NameOf("remote-segment", RemoteNames.Segment), Corpus("remote-segment")), (name, bytes)])
        {
            Directory.CreateDirectory(Path.GetDirectoryName(Path.Combine(remote, each))!);
            File.WriteAllBytes(Path.Combine(remote, each), content);
        }
        var context = new RemoteContext { Store = new FileObjectStore(remote, readOnly: true), Tries = 1 };
        foreach (var pin in Pin.ListAsync(context).AsTask().GetAwaiter().GetResult().Values) _ = pin.Lsn;
        foreach (var from in (ulong?[])[null, 0])
        {
            try
            {
                var plan = RestorePlanner.PlanAsync(context, RestoreTarget.Newest, from).GetAwaiter().GetResult();
                var live = new LiveFiles();
                live.Load(plan.Hints.Hints);
                plan.ReplayAsync((in Record record) => Take(record, live)).GetAwaiter().GetResult();
            }
            catch (RecoveryException)
            {
                // What was put there does not verify, and is named.
            }
        }
    }

    internal static string NameOf(string corpus, Func<ulong, string> name)
        => name(BinaryPrimitives.ReadUInt64LittleEndian(Corpus(corpus).AsSpan(40)));

    [Fact]
    public void The_corpus_itself_is_read()
    {
        Assert.NotEmpty(HintsFormat.Read(Corpus("hints").AsMemory(), "hints").Files);
        Assert.NotEmpty(RemoteHintsFormat.Read(Corpus("remote-hints"), NameOf("remote-hints", RemoteNames.HintsAt))
            .Hints.Files);
        using var segment =
            RemoteSegment.Parse(NameOf("remote-segment", RemoteNames.Segment), Corpus("remote-segment"));
        Assert.NotEqual(0ul, segment.Header.Count);
        Assert.Equal(segment.Header.LogId, StoreObject.Parse(Corpus("store.json")).LogId);
        Assert.NotEqual(0ul, Pin.Parse(Corpus("pin"), "pin").Lsn);
        var log = Path.Combine(directory, "store", "log");
        Directory.CreateDirectory(log);
        File.WriteAllBytes(Path.Combine(log, SegmentFormat.FileName(1)), Corpus("segment"));
        var records = 0;
        LocalLog.Open(LocalDisk.Instance, Path.Combine(directory, "store"), new LogOptions { ReadOnly = true }, 1,
            (in Record _) => records++).Dispose();
        Assert.InRange(records, 5, 1000);
    }
}
