using Microsoft.Win32.SafeHandles;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;

namespace RecoveryVfs.PageStore.Pages;

/// <summary>
/// An unlinked scratch file for what a large transaction cannot hold in memory. It needs no durability: it dies with
/// the process.
/// </summary>
internal sealed class SpillFile : IDisposable
{
    readonly SafeFileHandle handle;
    readonly string path;
    long end;

    public SpillFile(string directory)
    {
        Directory.CreateDirectory(directory);
        path = directory;
        try
        {
            handle = UnnamedFile.Open(directory);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new RecoveryException(RecoveryError.CannotOpen,
                $"Pages could not be spilled to {path}: {e.Message}",
                "Check space and rights there, or raise overlay-bytes.", e)
            { Path = path };
        }
    }

    /// <summary>Bytes ever appended.</summary>
    public long SizeBytes => end;

    /// <summary>Appends and returns the offset.</summary>
    public long Append(ReadOnlySpan<byte> bytes)
    {
        var at = end;
        WriteAt(at, bytes);
        end += bytes.Length;
        return at;
    }

    public void WriteAt(long offset, ReadOnlySpan<byte> bytes)
    {
        try
        {
            RandomAccess.Write(handle, bytes, offset);
        }
        catch (IOException e)
        {
            throw new RecoveryException(RecoveryError.Full,
                $"Pages could not be spilled to {path}: {e.Message} The transaction fails.",
                $"Free space there and try again.{DiskRoom.Tell(path, bytes.Length)}", e)
            { Path = path };
        }
    }

    public void ReadAt(long offset, Span<byte> destination)
    {
        while (destination.Length > 0)
        {
            var got = RandomAccess.Read(handle, destination, offset);
            if (got <= 0) throw new RecoveryException(RecoveryError.IoRead,
                $"The spill file {path} ended early at offset {offset}.")
            { Path = path };
            destination = destination[got..];
            offset += got;
        }
    }

    public void Dispose() => handle.Dispose();
}
