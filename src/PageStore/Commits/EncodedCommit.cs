using System.Buffers;
using RecoveryVfs.PageStore.Pages;

namespace RecoveryVfs.PageStore.Commits;

/// <summary>
/// The record bodies that say what an overlay changes, ready to be appended, and the version they will make. In memory
/// up to a bound. Beyond it, a part of pages that the database had not before is made again when it is asked for, since
/// it says nothing but what the overlay holds. Other parts go to a spill file.
/// </summary>
internal sealed class EncodedCommit : IDisposable
{
    const int MemoryBytesMax = 4 << 20;

    // In a pooled buffer, or where in the spill file, or made of pages.
    readonly List<(byte[]? Buffer, long Offset, int Length, NewPages? Made)> parts = [];
    SpillFile? spill;
    PageCommitWriter? again;
    byte[]? spilledPage;
    long inMemory;

    /// <summary>A part of new pages only: which of the content's changed ones, and what its header says.</summary>
    internal readonly record struct NewPages(int First, int Count, ulong Checksum, byte Flags);

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
    /// Keeps the body of one more part, taking over its pooled buffer. With <paramref name="made"/> it consists of new
    /// pages only.
    /// </summary>
    public void AddPart(byte[] buffer, int length, NewPages? made)
    {
        TotalBytes += length;
        if (inMemory + length <= MemoryBytesMax)
        {
            inMemory += length;
            parts.Add((buffer, 0, length, null));
            return;
        }
        if (made is null) spill ??= new SpillFile(Content.SpillDirectory);
        parts.Add((null, made is null ? spill!.Append(buffer.AsSpan(0, length)) : 0, length, made));
        ArrayPool<byte>.Shared.Return(buffer);
    }

    /// <summary>
    /// The body of one part, until the next is asked for; a pooled <paramref name="scratch"/>, which the caller gives
    /// back, is used when it was spilled.
    /// </summary>
    public ReadOnlySpan<byte> Part(int number, ref byte[]? scratch)
    {
        var (buffer, offset, size, made) = parts[number];
        if (buffer is not null) return buffer.AsSpan(0, size);
        if (made is { } pages)
        {
            var body = Make(pages, size);
            // Room in the log was reserved for what it was.
            return body.Length == size
                ? body
                : throw new InvalidOperationException(
                    $"Part {number} of a commit has {body.Length} bytes, and had {size} when it was made first.");
        }
        if (scratch is null || scratch.Length < size)
        {
            if (scratch is not null) ArrayPool<byte>.Shared.Return(scratch);
            scratch = ArrayPool<byte>.Shared.Rent(size);
        }
        spill!.ReadAt(offset, scratch.AsSpan(0, size));
        return scratch.AsSpan(0, size);
    }

    ReadOnlySpan<byte> Make(NewPages pages, int length)
    {
        again ??= new PageCommitWriter();
        again.Begin(Content.Database.Id, length);
        for (var i = pages.First; i < pages.First + pages.Count; i++)
        {
            var page = Content.Changed[i].Page;
            var bytes = Content.InMemory(page);
            if (bytes.IsEmpty)
            {
                Content.TryReadOwn(page, 0, spilledPage ??= new byte[PageSize]);
                bytes = spilledPage;
            }
            again.AddPage(page, bytes);
        }
        return again.Finish(PageSize, SizeBytes, pages.Checksum, pages.Flags);
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
        foreach (var part in parts)
            if (part.Buffer is { } buffer) ArrayPool<byte>.Shared.Return(buffer);
        parts.Clear();
        again?.Dispose();
        again = null;
        spill?.Dispose();
        spill = null;
    }
}
