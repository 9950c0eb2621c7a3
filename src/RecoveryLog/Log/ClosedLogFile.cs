using RecoveryVfs.RecoveryLog.Disk;

namespace RecoveryVfs.RecoveryLog.Log;

/// <summary>The file that a log appends to which is only read: none. Whoever uses it has a defect.</summary>
internal sealed class ClosedLogFile(string path) : ILogFile
{
    public string Path { get; set; } = path;

    public long SizeBytes => throw Unexpected();

    public int Read(long offset, Span<byte> destination) => throw Unexpected();

    public void Write(long offset, ReadOnlySpan<byte> source) => throw Unexpected();

    public void SyncData() => throw Unexpected();

    public void Truncate(long sizeBytes) => throw Unexpected();

    public void Dispose() { }

    InvalidOperationException Unexpected() => new($"The log that ends with {Path} was opened for reading.");
}
