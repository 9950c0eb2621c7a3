using Amazon.S3.Model;

namespace RecoveryVfs.RecoveryLog.Objects;

/// <summary>Cancels a request that makes no progress; each byte that moves winds it up again.</summary>
sealed class StallGuard : IDisposable
{
    readonly CancellationTokenSource stalled;
    readonly CancellationTokenSource linked;
    readonly TimeSpan stall;

    public StallGuard(TimeProvider time, TimeSpan stall, CancellationToken outer)
    {
        this.stall = stall;
        stalled = new CancellationTokenSource(stall, time);
        linked = CancellationTokenSource.CreateLinkedTokenSource(outer, stalled.Token);
    }

    public CancellationToken Token => linked.Token;

    public void Progressed()
    {
        try { stalled.CancelAfter(stall); }
        catch (ObjectDisposedException) { }  // the request ended while its last bytes were being counted
    }

    public void Dispose()
    {
        linked.Dispose();
        stalled.Dispose();
    }
}

/// <summary>Passes reads through and reports each; keeps the ability to seek, which request signing needs.</summary>
sealed class ProgressStream(Stream inner, Action progressed) : Stream
{
    public override bool CanRead => true;
    public override bool CanSeek => inner.CanSeek;
    public override bool CanWrite => false;
    public override long Length => inner.Length;
    public override long Position { get => inner.Position; set => inner.Position = value; }

    public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

    public override int Read(Span<byte> buffer)
    {
        progressed();
        return inner.Read(buffer);
    }

    public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        progressed();
        return inner.ReadAsync(buffer, cancellationToken);
    }

    public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) =>
        ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

    public override long Seek(long offset, SeekOrigin origin) => inner.Seek(offset, origin);

    protected override void Dispose(bool disposing)
    {
        if (disposing) inner.Dispose();
        base.Dispose(disposing);
    }

    public override void Flush() { }
    public override void SetLength(long value) => throw new NotSupportedException();
    public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
}

/// <summary>
/// The body of an S3 answer: owns the answer, gives up when it stalls, and turns every failure into an IOException.
/// </summary>
sealed class S3DownloadStream(GetObjectResponse response, StallGuard stall) : ForwardStream
{
    public override int Read(byte[] buffer, int offset, int count) =>
        ReadAsync(buffer.AsMemory(offset, count)).AsTask().GetAwaiter().GetResult();

    public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
    {
        try
        {
            stall.Progressed();
            return await response.ResponseStream.ReadAsync(buffer, stall.Token);
        }
        catch (Exception e) when (!cancellationToken.IsCancellationRequested && e is not IOException)
        {
            throw new IOException($"The connection broke: {e.Message}", e);
        }
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
        {
            response.Dispose();
            stall.Dispose();
        }
        base.Dispose(disposing);
    }
}
