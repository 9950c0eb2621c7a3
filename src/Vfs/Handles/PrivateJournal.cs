using System.Buffers;
using Microsoft.Win32.SafeHandles;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;

namespace RecoveryVfs.Handles;

/// <summary>
/// A rollback journal that only its own transaction can see. A commit is atomic without it, so it never outlives its
/// handle: it is there for ROLLBACK and savepoints. Small ones stay in memory, large ones move to an unlinked file
/// beside the store.
/// </summary>
internal sealed class PrivateJournal(string directory) : VfsFile
{
    const int ChunkBytes = 64 << 10;

    /// <summary>
    /// Beyond this a journal lies on disk: originals of a thousand 4 KiB pages, more than most transactions touch.
    /// </summary>
    const long MemoryBytesMax = 4L << 20;

    readonly List<byte[]> chunks = [];
    SafeFileHandle? spill;
    long size;

    public override long SizeBytes => size;

    public override int Read(Span<byte> destination, long offset)
    {
        var count = (int)Math.Clamp(size - offset, 0, destination.Length);
        if (spill is not null) ReadSpilled(destination[..count], offset);
        else
        {
            for (var done = 0; done < count;)
            {
                var (chunk, within) = Math.DivRem(offset + done, ChunkBytes);
                var part = (int)Math.Min(ChunkBytes - within, count - done);
                chunks[(int)chunk].AsSpan((int)within, part).CopyTo(destination[done..]);
                done += part;
            }
        }
        return Found(count, destination);
    }

    public override int Write(ReadOnlySpan<byte> source, long offset)
    {
        if (spill is null && offset + source.Length > MemoryBytesMax) Spill();
        if (spill is not null) WriteSpilled(source, offset);
        else
        {
            if (offset > size) Fill(size, offset - size);
            WriteChunks(source, offset);
        }
        size = Math.Max(size, offset + source.Length);
        return Sqlite.Ok;
    }

    void WriteChunks(ReadOnlySpan<byte> source, long offset)
    {
        while (source.Length > 0)
        {
            var (chunk, within) = Math.DivRem(offset, ChunkBytes);
            while (chunks.Count <= chunk) chunks.Add(ArrayPool<byte>.Shared.Rent(ChunkBytes));
            var part = (int)Math.Min(ChunkBytes - within, source.Length);
            source[..part].CopyTo(chunks[(int)chunk].AsSpan((int)within));
            source = source[part..];
            offset += part;
        }
    }

    // Rented chunks hold old bytes: what a write skips over must read as zeros.
    void Fill(long offset, long count)
    {
        Span<byte> zeros = stackalloc byte[512];
        zeros.Clear();
        for (; count > 0; offset += 512, count -= 512) WriteChunks(zeros[..(int)Math.Min(512, count)], offset);
    }

    public override int Truncate(long sizeBytes)
    {
        if (sizeBytes >= size) return Sqlite.Ok;
        if (spill is not null) RandomAccess.SetLength(spill, sizeBytes);
        size = sizeBytes;
        return Sqlite.Ok;
    }

    public override int Sync() => Sqlite.Ok;

    public override int Close()
    {
        foreach (var chunk in chunks) ArrayPool<byte>.Shared.Return(chunk);
        chunks.Clear();
        spill?.Dispose();
        return Sqlite.Ok;
    }

    void Spill()
    {
        try
        {
            spill = UnnamedFile.Open(directory);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new RecoveryException(RecoveryError.IoWrite,
                $"Cannot create a file in {directory} for the rollback journal of a large transaction: {e.Message}",
                e)
            { Path = directory };
        }
        for (long at = 0; at < size; at += ChunkBytes)
            WriteSpilled(chunks[(int)(at / ChunkBytes)].AsSpan(0, (int)Math.Min(ChunkBytes, size - at)), at);
        foreach (var chunk in chunks) ArrayPool<byte>.Shared.Return(chunk);
        chunks.Clear();
    }

    void WriteSpilled(ReadOnlySpan<byte> source, long offset)
    {
        try
        {
            RandomAccess.Write(spill!, source, offset);
        }
        catch (IOException e)
        {
            // ENOSPC: .NET reports it as ERROR_DISK_FULL or as errno 28.
            var full = (e.HResult & 0xffff) is 112 or 28;
            throw new RecoveryException(full ? RecoveryError.Full : RecoveryError.IoWrite,
                $"Cannot write the rollback journal of a large transaction in {directory}: "
                + $"{e.Message} Free some space, or write in smaller transactions."
                + (full ? DiskRoom.Tell(directory, source.Length) : ""), e)
            { Path = directory };
        }
    }

    void ReadSpilled(Span<byte> destination, long offset)
    {
        for (var done = 0; done < destination.Length;)
        {
            var count = RandomAccess.Read(spill!, destination[done..], offset + done);
            if (count > 0) done += count;
            else throw new RecoveryException(RecoveryError.IoRead,
                $"The rollback journal of a large transaction in {directory} ended early.")
            { Path = directory };
        }
    }
}
