using RecoveryVfs.RecoveryLog.Disk;

namespace RecoveryVfs.Replicate.Wals;

/// <summary>
/// A piece of a WAL in memory, read as if it were the file: what is there may be overwritten meanwhile.
/// </summary>
internal sealed class WalCopy(string path, long offset, byte[] bytes) : ILogFile
{
    public string Path { get; set; } = path;

    public long SizeBytes => offset + bytes.Length;

    public int Read(long at, Span<byte> destination)
    {
        if (at < offset || at >= SizeBytes) return 0;
        var rest = bytes.AsSpan((int)(at - offset));
        var count = Math.Min(rest.Length, destination.Length);
        rest[..count].CopyTo(destination);
        return count;
    }

    public void Write(long at, ReadOnlySpan<byte> source) => throw new NotSupportedException();

    public void SyncData() => throw new NotSupportedException();

    public void Truncate(long sizeBytes) => throw new NotSupportedException();

    public void Dispose()
    {
    }
}
