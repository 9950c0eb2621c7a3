using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.Blocks;
using RecoveryVfs.RecoveryLog.Remote.Files;
using RecoveryVfs.RecoveryLog.Remote.Formats;

namespace RecoveryVfs.PageStore.Tests;

/// <summary>
/// The same as <see cref="FuzzedFormatsTests"/> for extents that are read block by block: the list of their blocks, and
/// the record of those that are here. What is read is what was shipped, or an error.
/// </summary>
public sealed class FuzzedBlocksTests : IDisposable
{
    const double Seconds = 2;
    const int SizeBytes = 300_000;

    readonly string directory = Directory.CreateTempSubdirectory("recovery-fuzz-").FullName;
    readonly byte[] content = new byte[SizeBytes];
    readonly RemoteContext context;
    readonly Extent extent;

    public FuzzedBlocksTests()
    {
        new Random(1).NextBytes(content);
        context = new RemoteContext { Store = new FileObjectStore(Path.Combine(directory, "remote")), Tries = 1 };
        extent = new Extents(context).UploadAsync([new SealedFile(1, SizeBytes, Crc32C.Compute(content),
            () => new MemoryStream(content))], 1).AsTask().GetAwaiter().GetResult()[0];
        Assert.True(extent.HasList);
    }

    public void Dispose() => Directory.Delete(directory, recursive: true);

    string At(string name) => Path.Combine(directory, name);

    [Fact]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void List_of_blocks()
    {
        var path = Path.Combine(directory, "remote", extent.ListName);
        var list = File.ReadAllBytes(path);
        FuzzedFormatsTests.Fuzz("blocks", () => (byte[])list.Clone(), Seconds, (bytes, random) =>
        {
            File.WriteAllBytes(path, bytes);
            // Mostly hints vouch for it, as a hostile writer's would.
            Read(random.Next(4) > 0 ? extent with { List = ObjectHash.Of(bytes) } : extent, random);
            File.Delete(At("file"));
            File.Delete(At("record"));
        });
    }

    [Fact]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void Record_of_blocks()
    {
        Read(extent, new Random(1));
        var record = File.ReadAllBytes(At("record"));
        FuzzedFormatsTests.Fuzz("record", () => (byte[])record.Clone(), Seconds, (bytes, random) =>
        {
            File.WriteAllBytes(At("record"), bytes);
            // After another start of the machine nothing in it is believed.
            Read(extent, random);
        });
    }

    void Read(Extent from, Random random)
    {
        using var cache = new BlockCache(context, new BlockCacheOptions { BootId = Guid.NewGuid() });
        using var file = cache.Open(from, At("file"), At("record"));
        for (var reads = 0; reads < 3; reads++)
        {
            var offset = random.Next(SizeBytes);
            var buffer = new byte[random.Next(1, 100_000)];
            var got = file.Read(offset, buffer);
            Assert.Equal(Math.Min(buffer.Length, SizeBytes - offset), got);
            Assert.True(content.AsSpan(offset, got).SequenceEqual(buffer.AsSpan(0, got)));
        }
    }
}
