using System.Buffers;
using RecoveryVfs.PageStore.Pages;

namespace RecoveryVfs.PageStore.Commits;

/// <summary>
/// The record bodies that say what an overlay changes, ready to be appended, and the version they will make. In memory
/// up to a bound, beyond it in a spill file.
/// </summary>
internal sealed class EncodedCommit : IDisposable
{
    const int MemoryBytesMax = 4 << 20;

    // In a pooled buffer, or where in the spill file.
    readonly List<(byte[]? Buffer, long Offset, int Length)> parts = [];
    SpillFile? spill;
    long inMemory;

    public EncodedCommit(PageOverlay content, int changes)
    {
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

    /// <summary>
    /// Keeps the body of one more part, taking over its pooled buffer; what exceeds the memory bound goes to the spill
    /// file.
    /// </summary>
    public void AddPart(byte[] buffer, int length)
    {
        TotalBytes += length;
        if (inMemory + length <= MemoryBytesMax)
        {
            inMemory += length;
            parts.Add((buffer, 0, length));
            return;
        }
        spill ??= new SpillFile(Content.SpillDirectory);
        parts.Add((null, spill.Append(buffer.AsSpan(0, length)), length));
        ArrayPool<byte>.Shared.Return(buffer);
    }

    /// <summary>
    /// The body of one part; a pooled <paramref name="scratch"/>, which the caller gives back, is used when it was
    /// spilled.
    /// </summary>
    public ReadOnlySpan<byte> Part(int number, ref byte[]? scratch)
    {
        var (buffer, offset, size) = parts[number];
        if (buffer is not null) return buffer.AsSpan(0, size);
        if (scratch is null || scratch.Length < size)
        {
            if (scratch is not null) ArrayPool<byte>.Shared.Return(scratch);
            scratch = ArrayPool<byte>.Shared.Rent(size);
        }
        spill!.ReadAt(offset, scratch.AsSpan(0, size));
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
        foreach (var (buffer, _, _) in parts)
            if (buffer is not null) ArrayPool<byte>.Shared.Return(buffer);
        parts.Clear();
        spill?.Dispose();
        spill = null;
    }
}
