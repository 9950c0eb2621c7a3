using Microsoft.Win32.SafeHandles;

namespace RecoveryVfs.Rows;

/// <summary>
/// The pages of a plain SQLite file that nobody writes to. What waits in a <c>-wal</c> or a hot <c>-journal</c> beside
/// it is not looked at.
/// </summary>
public sealed class FilePages : IPageSource, IDisposable
{
    readonly SafeFileHandle file;

    /// <summary>Opens the file at <paramref name="path"/>.</summary>
    public FilePages(string path)
    {
        file = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        var length = RandomAccess.GetLength(file);
        PageSize = 4096;
        if (length == 0) return;
        Span<byte> size = stackalloc byte[2];
        size.Clear();
        RandomAccess.Read(file, size, Format.FileHeader.PageSizeAt);
        PageSize = Format.FileHeader.PageSizeOf(size);
        PageCount = (uint)Math.Min(length / PageSize, uint.MaxValue);
    }

    /// <inheritdoc/>
    public int PageSize { get; }

    /// <inheritdoc/>
    public uint PageCount { get; }

    /// <inheritdoc/>
    public void Read(uint page, Span<byte> destination)
    {
        var at = (page - 1L) * PageSize;
        while (destination.Length > 0)
        {
            var read = RandomAccess.Read(file, destination, at);
            if (read == 0) throw new DatabaseDamagedException(page, "the file ends before it");
            destination = destination[read..];
            at += read;
        }
    }

    /// <summary>Closes the file.</summary>
    public void Dispose() => file.Dispose();
}
