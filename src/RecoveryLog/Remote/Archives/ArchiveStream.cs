using System.Security.Cryptography;
using RecoveryVfs.RecoveryLog.Remote.Formats;

namespace RecoveryVfs.RecoveryLog.Remote.Archives;

/// <summary>
/// A snapshot file as it is written: its beginning, one object after the other, its end. What was written without an
/// end is no snapshot.
/// </summary>
internal sealed class ArchiveStream(Stream to) : IDisposable
{
    readonly IncrementalHash all = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    IncrementalHash? own;
    string name = "";

    /// <summary>Bytes written.</summary>
    public long WrittenBytes { get; private set; }

    /// <summary>Objects written.</summary>
    public int Objects { get; private set; }

    /// <summary>Writes what it says of itself.</summary>
    public Task BeginAsync(ArchiveDescription description, CancellationToken cancellation) =>
        WriteAsync(ArchiveFormat.Begin(description), cancellation);

    /// <summary>Begins an object, whose bytes follow.</summary>
    public Task BeginObjectAsync(string objectName, long sizeBytes, CancellationToken cancellation)
    {
        (name, own) = (objectName, IncrementalHash.CreateHash(HashAlgorithmName.SHA256));
        return WriteAsync(ArchiveFormat.BeginEntry(objectName, sizeBytes), cancellation);
    }

    /// <summary>Writes bytes of the object.</summary>
    public Task PutAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellation)
    {
        own!.AppendData(bytes.Span);
        return WriteAsync(bytes, cancellation);
    }

    /// <summary>Ends the object. Throws Corrupt when it has another hash than it should have.</summary>
    public async Task EndObjectAsync(ObjectHash? expected, CancellationToken cancellation)
    {
        var hash = own!.GetHashAndReset();
        own.Dispose();
        own = null;
        if (expected is { } wanted && new ObjectHash(hash) != wanted)
            throw RemoteFormat.Damaged(name, "its bytes do not match its SHA-256");
        await WriteAsync(hash, cancellation);
        Objects++;
    }

    /// <summary>Writes an object that is in memory.</summary>
    public async Task AddAsync(string objectName, ReadOnlyMemory<byte> bytes, CancellationToken cancellation)
    {
        await BeginObjectAsync(objectName, bytes.Length, cancellation);
        await PutAsync(bytes, cancellation);
        await EndObjectAsync(null, cancellation);
    }

    /// <summary>Ends the file; returns its identity, as hex digits.</summary>
    public async Task<string> EndAsync(CancellationToken cancellation)
    {
        var end = new byte[1 + ObjectHash.Bytes];
        end[0] = ArchiveFormat.End;
        all.AppendData(end, 0, 1);
        all.GetHashAndReset(end.AsSpan(1));
        await to.WriteAsync(end, cancellation);
        await to.FlushAsync(cancellation);
        WrittenBytes += end.Length;
        return Convert.ToHexStringLower(end.AsSpan(1));
    }

    async Task WriteAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellation)
    {
        all.AppendData(bytes.Span);
        WrittenBytes += bytes.Length;
        await to.WriteAsync(bytes, cancellation);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        all.Dispose();
        own?.Dispose();
    }
}
