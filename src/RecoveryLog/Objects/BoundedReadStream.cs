namespace RecoveryVfs.RecoveryLog.Objects;

/// <summary>The next bytes of a stream, up to a bound, counted as they pass. Owns the stream.</summary>
sealed class BoundedReadStream(Stream inner, long lengthBytes, Action<long> counted) : ForwardStream
{
    long left = lengthBytes;

    public override int Read(Span<byte> buffer) => Count(inner.Read(buffer[..(int)Math.Min(buffer.Length, left)]));

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer,
        CancellationToken cancellationToken = default) =>
        left == 0 ? 0 : Count(await inner.ReadAsync(buffer[..(int)Math.Min(buffer.Length, left)], cancellationToken));

    int Count(int got)
    {
        left -= got;
        counted(got);
        return got;
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing) inner.Dispose();
        base.Dispose(disposing);
    }
}
