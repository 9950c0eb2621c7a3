using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Win32.SafeHandles;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Remote.Formats;

namespace RecoveryVfs.RecoveryLog.Remote.Archives;

/// <summary>
/// A snapshot file, read whole and verified: what it says of itself, and where each object's bytes are.
/// </summary>
internal sealed class ArchiveFile : IDisposable
{
    const int BufferBytes = 256 << 10, NameBytesMax = 1024;

    readonly Dictionary<string, (long Offset, long SizeBytes)> objects = new(StringComparer.Ordinal);
    readonly string name;
    readonly IncrementalHash all = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    readonly byte[] buffer = new byte[BufferBytes];
    long at;

    ArchiveFile(string path)
    {
        name = path;
        Handle = File.OpenHandle(path);
        try
        {
            var head = Take(ArchiveFormat.HeadBytes).ToArray();
            Description = ArchiveFormat.ReadDescription(Take(ArchiveFormat.ReadHead(head, name)), name);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>The file.</summary>
    public SafeFileHandle Handle { get; }

    /// <summary>Its path.</summary>
    public string Path => name;

    /// <summary>What it says of itself.</summary>
    public ArchiveDescription Description { get; }

    /// <summary>The hash that ends it, as hex digits.</summary>
    public string Identity { get; private set; } = "";

    /// <summary>Where each object is.</summary>
    public IReadOnlyDictionary<string, (long Offset, long SizeBytes)> Objects => objects;

    /// <summary>Its size.</summary>
    public long SizeBytes => at;

    /// <summary>Reads all of it. Throws Corrupt, naming the file and the object, for what does not verify.</summary>
    public static ArchiveFile Open(string path, Action<long>? progressed = null,
        CancellationToken cancellation = default)
    {
        var file = new ArchiveFile(path);
        try
        {
            file.ReadAll(progressed, cancellation);
            return file;
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    void ReadAll(Action<long>? progressed, CancellationToken cancellation)
    {
        while (Take(1)[0] is var kind && kind != ArchiveFormat.End)
        {
            cancellation.ThrowIfCancellationRequested();
            if (kind != ArchiveFormat.Entry) throw RemoteFormat.Damaged(name, $"it has an entry of kind {kind}");
            ReadEntry(progressed);
        }
        var expected = all.GetHashAndReset();
        Span<byte> end = stackalloc byte[ObjectHash.Bytes];
        if (ReadAt(end) < end.Length || !end.SequenceEqual(expected))
            throw RemoteFormat.Damaged(name, "its bytes do not match the hash at its end");
        at += end.Length;
        if (RandomAccess.GetLength(Handle) != at)
            throw RemoteFormat.Damaged(name, $"it goes on behind its end (at {at})");
        Identity = Convert.ToHexStringLower(end);
    }

    void ReadEntry(Action<long>? progressed)
    {
        int length = BinaryPrimitives.ReadUInt16LittleEndian(Take(2));
        if (length is 0 or > NameBytesMax) throw RemoteFormat.Damaged(name, "the name of an object makes no sense");
        var entry = Encoding.UTF8.GetString(Take(length));
        var size = BinaryPrimitives.ReadInt64LittleEndian(Take(8));
        if (!ObjectName.IsValid(entry) || size < 0 || size > RandomAccess.GetLength(Handle) - at
            || !objects.TryAdd(entry, (at, size)))
            throw RemoteFormat.Damaged(name, $"its object at {at} makes no sense");
        using var own = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        for (var left = size; left > 0;)
        {
            var part = Take((int)Math.Min(left, BufferBytes));
            own.AppendData(part);
            left -= part.Length;
            progressed?.Invoke(part.Length);
        }
        var hash = own.GetHashAndReset();
        if (!Take(ObjectHash.Bytes).SequenceEqual(hash))
            throw RemoteFormat.Damaged(name, $"the bytes of {entry} in it do not match their SHA-256");
    }

    /// <summary>The next bytes, at most as many as the buffer holds; valid until the next call.</summary>
    ReadOnlySpan<byte> Take(int count)
    {
        var part = buffer.AsSpan(0, count);
        if (ReadAt(part) < count)
            throw RemoteFormat.Damaged(name, $"it ends at {RandomAccess.GetLength(Handle)}, cut short");
        at += count;
        all.AppendData(part);
        return part;
    }

    int ReadAt(Span<byte> destination)
    {
        var done = 0;
        while (done < destination.Length
            && RandomAccess.Read(Handle, destination[done..], at + done) is var got && got > 0)
            done += got;
        return done;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        Handle.Dispose();
        all.Dispose();
    }
}
