using System.Buffers;

namespace RecoveryVfs.RecoveryLog.Objects;

/// <summary>
/// A seekable, read-only stream over memory, in one block or several (which <see cref="MemoryStream"/> can only do over
/// arrays).
/// </summary>
sealed class MemoryContentStream(ReadOnlySequence<byte> bytes) : Stream
{
    long position;

    public MemoryContentStream(ReadOnlyMemory<byte> bytes) : this(new ReadOnlySequence<byte>(bytes)) { }

    public override bool CanRead => true;
    public override bool CanSeek => true;
    public override bool CanWrite => false;
    public override long Length => bytes.Length;
    public override long Position { get => position; set => position = Math.Clamp(value, 0, bytes.Length); }

    public override int Read(Span<byte> buffer)
    {
        var part = bytes.Slice(position);
        if (part.Length > buffer.Length) part = part.Slice(0, buffer.Length);
        part.CopyTo(buffer);
        position += part.Length;
        return (int)part.Length;
    }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        Task.FromResult(Read(buffer.AsSpan(offset, count)));

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
        new(Read(buffer.Span));

    public override long Seek(long offset, SeekOrigin origin) => Position = origin switch
    {
        SeekOrigin.Begin => offset,
        SeekOrigin.Current => position + offset,
        _ => bytes.Length + offset,
    };

    public override void Flush() { }
    public override void SetLength(long value) => throw new NotSupportedException();
    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
}
