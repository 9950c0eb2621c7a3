using System.Buffers.Binary;
using System.Text;
using RecoveryVfs.PageStore.Lazy;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Log;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.Read;
using RecoveryVfs.RecoveryLog.Remote.Write;

namespace RecoveryVfs.PageStore.Tests;

/// <summary>
/// The same as <see cref="FuzzedFormatsTests"/> for what a directory says of itself: its marks, the list of files that
/// are fetched when they are read, the log that a dead machine left; and for the hashes of block lists.
/// </summary>
public sealed class FuzzedMarksTests : IDisposable
{
    const double Seconds = 1;

    readonly string directory = Directory.CreateTempSubdirectory("recovery-fuzz-").FullName;

    public void Dispose() => Directory.Delete(directory, recursive: true);

    string At(string name) => Path.Combine(directory, name);

    static Extent ExtentOf(ulong fnode) => new(fnode, 3, 1 << 20, ObjectHash.Of([(byte)fnode]))
    { List = ObjectHash.Of([1, (byte)fnode]) };

    static LazyList Lazy => new(77, "s3://bucket/app",
        [new LazyEntry("000012.sst", ExtentOf(7)), new LazyEntry("000013.blob", ExtentOf(8))]);

    [Fact]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void List_of_files_that_are_fetched() => FuzzedFormatsTests.Fuzz("lazy",
        () => Encoding.UTF8.GetBytes(Lazy.ToText()), Seconds, (bytes, _) =>
    {
        var list = LazyList.Parse(Encoding.UTF8.GetString(bytes), "lazy");
        Assert.Equal(list.Files, LazyList.Parse(list.ToText(), "lazy").Files);
        Assert.All(list.Files, file => Assert.True(TrackedName.RocksClassOf(file.Name) is not null));
    });

    [Fact]
    public void The_list_itself_is_read() => Assert.Equal(Lazy.Files, LazyList.Parse(Lazy.ToText(), "lazy").Files);

    static byte[] HintsWithLists()
    {
        var log = new Guid("00112233-4455-6677-8899-aabbccddeeff");
        Extent[] extents = [ExtentOf(7), ExtentOf(8)];
        var hints = Hints.Nothing(log, 1) with
        {
            Lsn = 50,
            ReplayFrom = 40,
            NextFnode = 100,
            Files = [.. extents.Select(e => new LiveFile
            {
                Fnode = e.Fnode,
                Class = FileClass.RocksTable,
                Names = [$"{e.Fnode:d6}.sst"],
                SizeBytes = e.SizeBytes,
                IsSealed = true,
            })],
        };
        return RemoteHintsFormat.Write(new RemoteHintsHeader
        {
            LogId = log,
            Epoch = 1,
            Author = 3,
            Lsn = 50,
            ReplayFrom = 40,
            TimeMs = 7,
            Start = new RemoteLogEnd(35, ObjectHash.Of([4]), 1, 3, 20),
        }, extents, hints);
    }

    [Fact]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void Hints_with_hashes_of_block_lists() => FuzzedFormatsTests.Fuzz("lists", () => HintsWithLists()[..^32],
        Seconds, (bytes, _) => RemoteHintsFormat.Read([.. bytes, .. HashOf(bytes)], RemoteNames.HintsAt(50)));

    static byte[] HashOf(byte[] bytes)
    {
        var hash = new byte[ObjectHash.Bytes];
        ObjectHash.Of(bytes).CopyTo(hash);
        return hash;
    }

    [Fact]
    public void The_hashes_themselves_are_read() => Assert.All(
        RemoteHintsFormat.Read(HintsWithLists(), RemoteNames.HintsAt(50)).Extents.Values, e => Assert.True(e.HasList));

    [Fact]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void Marks()
    {
        string[] names = ["starting-over", "replica", "restored", "unsettled", "author", "remote", "remote-wanted",
            "following", "place", "pin", "pin-hints", "moment", "rocksdb", "caught-up"];
        var home = new StoreHome(directory);
        var hints = Hints.Nothing(Guid.Empty, 1) with { Lsn = 12, ReplayFrom = 13 };
        FuzzedFormatsTests.Fuzz("marks", () => Encoding.UTF8.GetBytes("0000000000000012\nfile:///a b\n s3://b/c shown"),
            Seconds, (bytes, random) =>
        {
            var name = names[random.Next(names.Length)];
            foreach (var left in Directory.GetFiles(directory)) File.Delete(left);
            File.WriteAllBytes(At(name), bytes);
            _ = (home.IsStartingOver, home.IsReplica, home.IsOfRocksDb, home.RestoredLsn, home.Following, home.Moment);
            _ = (home.RemoteUrl, home.RemoteUrls.Count, home.PinName, home.HintsPinName, home.IsRestarting);
            _ = (home.FirstLsnAfterRestore(hints), home.CaughtUpAt(isFollowed: true), home.WhyNotOwner("file:///a"));
            using (var unsettled = home.OpenUnsettled()) _ = unsettled.Lsn;
            home.ThrowUnlessOf(null);
            // It is told by its path when it says nothing.
            _ = home.Author;
        });
    }

    /// <summary>What a restore joins to the remote: sent as it is, up to where it is damaged.</summary>
    [Fact]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void Log_that_a_dead_machine_left() => FuzzedFormatsTests.Fuzz("left", () =>
        FuzzedFormatsTests.Corpus("segment"), Seconds, (bytes, random) =>
    {
        if (random.Next(4) > 0) FuzzedFormatsTests.MakeRecordsWhole(bytes);
        if (bytes.Length < SegmentFormat.HeaderBytes) return;
        foreach (var left in (string[])["old", "remote"])
            if (Directory.Exists(At(left))) Directory.Delete(At(left), recursive: true);
        var first = Math.Max(1, BinaryPrimitives.ReadUInt64LittleEndian(bytes.AsSpan(48)));
        Directory.CreateDirectory(At("old/log"));
        Directory.CreateDirectory(At("remote"));
        File.WriteAllBytes(Path.Combine(At("old/log"), SegmentFormat.FileName(random.Next(8) == 0 ? 1 : first)), bytes);
        var store = StoreObject.Parse(FuzzedFormatsTests.Corpus("store.json")) with
        {
            LogId = new Guid(bytes.AsSpan(16, 16), bigEndian: true),
        };
        File.WriteAllBytes(At("remote/" + RemoteNames.Store), store.ToBytes());
        var context = new RemoteContext { Store = new FileObjectStore(At("remote")), Tries = 1 };
        using var log = LeftLog.Open(LocalDisk.Instance, At("old"), author: 5);
        if (log.FindPlaceAsync(context, store, default).AsTask().GetAwaiter().GetResult() is { } place)
            log.ShipAsync(context, place, static _ => { }, default).AsTask().GetAwaiter().GetResult();
    });
}
