using System.Collections.Concurrent;
using System.Globalization;
using RecoveryVfs.PageStore.Interop;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Remote.Formats;

namespace RecoveryVfs.PageStore.Sealed;

/// <summary>
/// Proves of a page store's files, without RocksDB, that no blob which RocksDB can come to read is other than what a
/// store writes. Blob files are looked at while they are fetched, so nothing is read twice. Thread-safe.
/// </summary>
/// <remarks>
/// What is proved: every blob file is a row of whole blobs with right checksums, each of a page, each of which
/// decompresses to as many bytes as it says. The MANIFEST has as many blobs and bytes of the file as there are. And
/// every entry of every table that names a blob names one that is there, by file, offset, size and key. So RocksDB
/// reads nothing that it could stumble over. What else is in MANIFEST and tables is not looked at here: that is left to
/// <see cref="Rocks.RocksTrial"/>. The code is managed, and the decompressors write no further than they are told to.
/// What this does not know is not proved, and then all is tried.
/// </remarks>
internal sealed class BlobProof
{
    /// <summary>12 bytes a blob: with more than this (for some 20 GB of pages) nothing is proved.</summary>
    const int BlobsMax = 5 << 20;

    const int PageBytesMax = 64 << 10, ChunkBytes = 256 << 10;

    readonly ConcurrentDictionary<string, Seen> files = new(StringComparer.Ordinal);
    long blobs;

    /// <summary>Bytes of blob files that nobody had seen on their way.</summary>
    public long ReadBytes { get; private set; }

    /// <summary>What sees the bytes of a blob file as they are fetched; null for another file.</summary>
    public IExtentWitness? WitnessOf(string fileName, long sizeBytes) =>
        fileName.EndsWith(".blob", StringComparison.Ordinal)
            ? files.GetOrAdd(fileName, _ => new Seen(this, fileName, sizeBytes))
            : null;

    /// <summary>
    /// Whether it is proved of the files in a directory. Blob files that nobody has seen on their way are read now.
    /// </summary>
    public bool Holds(string directory)
    {
        try
        {
            var current = File.ReadAllText(Path.Combine(directory, "CURRENT")).TrimEnd('\n');
            // It comes from whoever wrote to the remote, and becomes a path here.
            if (!current.StartsWith("MANIFEST-", StringComparison.Ordinal) || !current[9..].All(char.IsAsciiDigit))
                throw new UnfamiliarFileException("CURRENT", "names no MANIFEST");
            var stated = Manifest.BlobFiles(File.ReadAllBytes(Path.Combine(directory, current)), current);
            foreach (var path in Directory.EnumerateFiles(directory, "*.blob"))
                Check(SeenOf(path), stated.GetValueOrDefault(Path.GetFileName(path)));
            // Those that the MANIFEST does not call live, too: then it does not matter how it is read.
            var named = new NamedBlobs(files);
            foreach (var path in Directory.EnumerateFiles(directory, "*.sst"))
                SealedTable.Read(File.ReadAllBytes(path), Path.GetFileName(path), named);
            return true;
        }
        catch (Exception e) when (e is UnfamiliarFileException or IOException or RecoveryException)
        {
            return false;
        }
    }

    Seen SeenOf(string path)
    {
        var name = Path.GetFileName(path);
        if (files.TryGetValue(name, out var known)) return known;
        using var file = RegularFile.OpenRead(path);
        var seen = files[name] = new Seen(this, name, file.Length);
        var chunk = new byte[ChunkBytes];
        seen.Begin();
        for (int got; (got = file.Read(chunk)) > 0; ReadBytes += got) seen.Take(chunk.AsSpan(0, got));
        return seen;
    }

    static void Check(Seen seen, BlobFileEdit? stated)
    {
        seen.End();
        if (stated is not null && (stated.Blobs != seen.Count
            || stated.Bytes != seen.SizeBytes - BlobFile.HeaderBytes - BlobFile.FooterBytes))
            throw new UnfamiliarFileException(seen.Name, "is not as large as the MANIFEST says");
    }

    /// <summary>Where a blob's value begins, and which page's it is.</summary>
    readonly record struct Blob(uint Offset, uint Database, uint Page);

    /// <summary>The blobs of one file, as its bytes came. By one thread at a time.</summary>
    sealed class Seen : IExtentWitness, IBlobs
    {
        readonly BlobProof proof;
        readonly BlobFile file;
        readonly List<Blob> found = [];
        Codecs? codecs;
        byte[]? page;
        UnfamiliarFileException? wrong;
        BlobCompression compressed;

        public Seen(BlobProof proof, string name, long sizeBytes)
        {
            (this.proof, Name, SizeBytes) = (proof, name, sizeBytes);
            file = new BlobFile(name, sizeBytes, this, verifies: true);
        }

        public string Name { get; }

        public long SizeBytes { get; }

        public long Count => found.Count;

        public void Begin()
        {
            file.Begin();
            Interlocked.Add(ref proof.blobs, -found.Count);
            found.Clear();
            wrong = SizeBytes > uint.MaxValue ? new UnfamiliarFileException(Name, "is too large") : null;
            codecs ??= new Codecs();
            page ??= new byte[PageBytesMax];
        }

        public void Take(ReadOnlySpan<byte> bytes)
        {
            if (wrong is not null) return;
            try
            {
                file.Take(bytes);
            }
            catch (UnfamiliarFileException e)
            {
                wrong = e;
            }
        }

        public void Take(ulong key, long offset, BlobCompression compression, ReadOnlySpan<byte> value)
        {
            if (Interlocked.Increment(ref proof.blobs) > BlobsMax)
                throw new UnfamiliarFileException(Name, "has more blobs than are proved");
            compressed = compression;
            found.Add(new Blob((uint)offset, (uint)(key >> 32), (uint)key));
            if (codecs!.Decompress(compression, value, page) < 0)
                throw new UnfamiliarFileException(Name, $"has a blob at {offset} that cannot be decompressed");
        }

        /// <summary>All bytes have come, and were those of the extent.</summary>
        public void End()
        {
            codecs?.Dispose();
            (codecs, page) = (null, null);
            if (wrong is not null) throw wrong;
            file.End();
        }

        /// <summary>Whether a blob lies there; <paramref name="next"/> is where the one after the last lies.</summary>
        public bool Has(ulong key, ulong offset, ulong size, byte compression, ref int next)
        {
            if (next >= found.Count || found[next].Offset != offset) next = IndexOf(offset);
            if (next < 0) return false;
            var blob = found[next++];
            var end = next < found.Count
                ? found[next].Offset - BlobFile.BlobHeaderBytes - BlobFile.KeyBytes
                : SizeBytes - BlobFile.FooterBytes;
            return blob.Database == (uint)(key >> 32) && blob.Page == (uint)key && (ulong)end - offset == size
                && compression == (byte)compressed;
        }

        int IndexOf(ulong offset)
        {
            var (low, high) = (0, found.Count - 1);
            while (low <= high)
            {
                var middle = (low + high) / 2;
                if (found[middle].Offset == offset) return middle;
                if (found[middle].Offset < offset) low = middle + 1;
                else high = middle - 1;
            }
            return -1;
        }
    }

    /// <summary>Looks for each blob that a table names.</summary>
    sealed class NamedBlobs(ConcurrentDictionary<string, Seen> files) : ITableEntries
    {
        readonly Dictionary<ulong, (Seen File, int Next)> places = [];

        public void Take(ulong key, ulong sequence, EntryKind kind, ReadOnlySpan<byte> value)
        {
            if (kind != EntryKind.Blob) return;
            var index = new FileBytes(value, "A table");
            if (index.Byte() != 1) throw new UnfamiliarFileException("A table", "has a blob of another kind");
            var (number, offset, size, compression) =
                (index.Varint(), index.Varint(), index.Varint(), index.Byte());
            if (!index.IsEmpty) throw new UnfamiliarFileException("A table", "has a blob with more than a place");
            if (!places.TryGetValue(number, out var place))
                place = (files.GetValueOrDefault(string.Create(CultureInfo.InvariantCulture, $"{number:d6}.blob"))
                    ?? throw new UnfamiliarFileException("A table", $"names a file {number} that is not there"), 0);
            var next = Math.Max(0, place.Next);
            if (!place.File.Has(key, offset, size, compression, ref next))
                throw new UnfamiliarFileException("A table", $"names no blob of page {key:x16} in file {number}");
            places[number] = (place.File, next);
        }

        public void TakeRangeDeletion(ulong first, ulong last, ulong sequence)
        {
        }
    }
}
