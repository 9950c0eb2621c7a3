using System.Buffers;

namespace RecoveryVfs.PageStore;

/// <summary>
/// The record bodies that say what an overlay changes, ready to be appended, and the version they will make. In memory up to a
/// bound, beyond it in a spill file.
/// </summary>
internal sealed class EncodedCommit : IDisposable
{
    const int MemoryBytesMax = 4 << 20;

    readonly Store store;
    readonly List<(long Offset, int Length)> parts = [];
    byte[] bytes = ArrayPool<byte>.Shared.Rent(4 << 10);
    SpillFile? spill;
    int length;

    public EncodedCommit(Store store, PageOverlay content, int changes)
    {
        this.store = store;
        Content = content;
        Changes = changes;
    }

    /// <summary>The pages as they will be kept: the overlay itself, or its copy in another page size.</summary>
    public PageOverlay Content { get; }

    /// <summary>The overlay's change count when this was encoded.</summary>
    public int Changes { get; }

    /// <summary>What the version after it is, but for its LSN.</summary>
    public long SizeBytes { get; set; }
    public int PageSize { get; set; }
    public bool IsWal { get; set; }
    public ulong Checksum { get; set; }

    public int PartCount => parts.Count;

    /// <summary>Bytes of all bodies together.</summary>
    public long TotalBytes { get; private set; }

    /// <summary>Keeps the body of one more part (copied); what exceeds the memory bound goes to the spill file.</summary>
    public void AddPart(ReadOnlySpan<byte> body)
    {
        TotalBytes += body.Length;
        if (length + body.Length > MemoryBytesMax)
        {
            spill ??= new SpillFile(store.SpillDirectory);
            parts.Add((~spill.Append(body), body.Length));
            return;
        }
        if (bytes.Length - length < body.Length)
        {
            var larger = ArrayPool<byte>.Shared.Rent(Math.Max(bytes.Length * 2, length + body.Length));
            bytes.AsSpan(0, length).CopyTo(larger);
            ArrayPool<byte>.Shared.Return(bytes);
            bytes = larger;
        }
        body.CopyTo(bytes.AsSpan(length));
        parts.Add((length, body.Length));
        length += body.Length;
    }

    /// <summary>The body of one part; <paramref name="scratch"/> is used when it was spilled.</summary>
    public ReadOnlySpan<byte> Part(int number, ref byte[]? scratch)
    {
        var (offset, size) = parts[number];
        if (offset >= 0) return bytes.AsSpan((int)offset, size);
        if (scratch is null || scratch.Length < size) scratch = new byte[size];
        spill!.ReadAt(~offset, scratch.AsSpan(0, size));
        return scratch.AsSpan(0, size);
    }

    /// <summary>Frees everything, with the content when it is not the overlay itself.</summary>
    public void Release(PageOverlay overlay)
    {
        Dispose();
        if (!ReferenceEquals(Content, overlay)) Content.ReleasePages();
    }

    /// <summary>Frees the bodies, not the content.</summary>
    public void Dispose()
    {
        if (bytes.Length > 0) ArrayPool<byte>.Shared.Return(bytes);
        bytes = [];
        spill?.Dispose();
        spill = null;
    }
}
