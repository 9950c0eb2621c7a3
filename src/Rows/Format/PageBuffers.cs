namespace RecoveryVfs.Rows.Format;

/// <summary>
/// Room for pages of one size, used again: who compares commit by commit would else make and drop a dozen for each.
/// What is not given back is no loss. One thread at a time.
/// </summary>
internal sealed class PageBuffers(int pageSize)
{
    const int MostKept = 64;

    readonly Stack<byte[]> free = new();

    public int PageSize => pageSize;

    public byte[] Take() => free.TryPop(out var buffer) ? buffer : new byte[pageSize];

    public void Give(byte[] buffer)
    {
        if (free.Count < MostKept) free.Push(buffer);
    }
}
