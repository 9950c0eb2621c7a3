using System.Buffers;

namespace RecoveryVfs.RecoveryLog.Objects;

/// <summary>
/// The bytes of an object to be created. Can be opened several times (a retry sends the same bytes again).
/// </summary>
internal sealed class ObjectContent
{
    readonly Func<Stream>? open;

    /// <summary>Content in memory; the bytes must not change while it is in use.</summary>
    public ObjectContent(ReadOnlyMemory<byte> bytes) => (Bytes, LengthBytes) = (bytes, bytes.Length);

    /// <summary>The same, in several blocks.</summary>
    public ObjectContent(ReadOnlySequence<byte> bytes) : this(bytes.Length, () => new MemoryContentStream(bytes)) { }

    /// <summary>
    /// Content that is read from a stream, opened anew for each use; each must give exactly
    /// <paramref name="lengthBytes"/>.
    /// </summary>
    public ObjectContent(long lengthBytes, Func<Stream> open)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(lengthBytes);
        (LengthBytes, this.open) = (lengthBytes, open);
    }

    /// <summary>The size.</summary>
    public long LengthBytes { get; }

    /// <summary>The bytes, when they are in one block of memory.</summary>
    public ReadOnlyMemory<byte>? Bytes { get; }

    /// <summary>A new stream over the bytes, from the first.</summary>
    public Stream Open() => open is not null ? open() : new MemoryContentStream(Bytes!.Value);

    /// <summary>Wraps bytes.</summary>
    public static implicit operator ObjectContent(byte[] bytes) => new(bytes);
}
