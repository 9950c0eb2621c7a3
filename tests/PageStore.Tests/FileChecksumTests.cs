using RecoveryVfs.PageStore.Interop;
using RecoveryVfs.PageStore.Rocks;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.PageStore.Tests;

/// <summary>
/// The native library's CRC-32C, by instruction, is the one that everybody means: RocksDB's files carry it too.
/// </summary>
public sealed class FileChecksumTests
{
    sealed class Recorder : IFileRecorder
    {
        public readonly List<(string Name, long Size, uint Crc)> Files = [];
        public void Created(string name) { }
        public void Appended(string name, ReadOnlySpan<byte> bytes, long sizeBytes, uint crc32c) { }
        public void Sealed(string name, long sizeBytes, uint crc32c) => Files.Add((name, sizeBytes, crc32c));
        public void Truncated(string name, long sizeBytes) { }
        public void Renamed(string name, string newName) { }
        public void Linked(string name, string otherName) { }
        public void Deleted(string name) { }
    }

    [Fact]
    public void Sealed_files_have_the_checksum_of_their_bytes()
    {
        using var directory = new TempDirectory();
        var recorder = new Recorder();
        using var pages =
            RocksPageStore.Open(new RocksPageStoreOptions { Directory = directory["pages"], Recorder = recorder });
        // What compactions replace stays.
        using var held = pages.HoldFiles();
        using var batch = pages.CreateBatch();
        var random = new Random(5);
        for (var round = 1u; round <= 5; round++)
        {
            for (var page = 1u; page < 40; page++)
            {
                var bytes = new byte[random.Next(1, 9000)];
                random.NextBytes(bytes);
                batch.Put(1, page, bytes);
            }
            pages.Apply(batch, round);
            pages.Flush();
        }
        var sealedFiles = recorder.Files.Where(f => f.Name.EndsWith(".blob", StringComparison.Ordinal)).ToArray();
        Assert.NotEmpty(sealedFiles);
        foreach (var (name, size, crc) in sealedFiles)
        {
            var bytes = File.ReadAllBytes(directory[$"pages/{name}"]);
            Assert.Equal(size, bytes.Length);
            Assert.Equal(Crc32C.Compute(bytes), crc);
        }
    }
}
