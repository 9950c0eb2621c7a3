using System.Buffers;
using System.Buffers.Binary;
using RecoveryVfs.RecoveryLog.Disk;

namespace RecoveryVfs.Replicate.Wals;

/// <summary>
/// Reads a WAL frame by frame, by SQLite's rules: a frame counts when its salts are the header's and its checksum
/// continues that of the frame before. Whatever the file holds, it reads no more than the file has. Used by one thread
/// at a time.
/// </summary>
/// <remarks>
/// The file may be written meanwhile. What was read into the buffer is dropped by <see cref="Refresh"/>; a frame that
/// was half written then verifies when it is read again.
/// </remarks>
internal sealed class WalReader(ILogFile file)
{
    const int BufferBytes = 256 << 10;

    byte[] buffer = [];
    bool isRented;
    long bufferAt;
    int buffered;

    /// <summary>Forgets what was read of the file before.</summary>
    public void Refresh() => buffered = 0;

    /// <summary>Gives its memory back, until the next frame is read: of hundreds of databases most are idle.</summary>
    public void Release()
    {
        if (isRented) ArrayPool<byte>.Shared.Return(buffer);
        (buffer, buffered, isRented) = ([], 0, false);
    }

    /// <summary>The header; null when SQLite would take the WAL for empty.</summary>
    public WalHeader? ReadHeader()
    {
        Span<byte> bytes = stackalloc byte[WalHeader.SizeBytes];
        return file.Read(0, bytes) == WalHeader.SizeBytes ? WalHeader.TryParse(bytes) : null;
    }

    /// <summary>Reads the frame at a position and moves behind it; false when there is none that counts.</summary>
    public bool TryRead(ref WalPosition position, out WalFrame frame)
    {
        frame = default;
        var bytes = Fill(position.Offset, WalFrame.HeaderBytes + position.PageSize);
        if (bytes.IsEmpty) return false;
        var header = bytes[..WalFrame.HeaderBytes];
        var page = bytes[WalFrame.HeaderBytes..];
        var number = BinaryPrimitives.ReadUInt32BigEndian(header);
        if (number == 0 || WalSalt.Read(header[8..]) != position.Salt) return false;
        var checksum = position.Checksum.Then(header[..8], position.BigEndian).Then(page, position.BigEndian);
        if (checksum != WalChecksum.Read(header[16..])) return false;
        frame = new WalFrame(number, BinaryPrimitives.ReadUInt32BigEndian(header[4..]),
            position.Offset + WalFrame.HeaderBytes, page);
        position = position with { Frames = position.Frames + 1, Checksum = checksum };
        return true;
    }

    /// <summary>The bytes at an offset; empty when the file does not have all of them.</summary>
    ReadOnlySpan<byte> Fill(long offset, int count)
    {
        if (offset < bufferAt || offset + count > bufferAt + buffered)
        {
            if (buffer.Length < count)
            {
                Release();
                (buffer, isRented) = (ArrayPool<byte>.Shared.Rent(Math.Max(BufferBytes, count)), true);
            }
            (bufferAt, buffered) = (offset, file.Read(offset, buffer));
        }
        var at = (int)(offset - bufferAt);
        return at + count <= buffered ? buffer.AsSpan(at, count) : default;
    }
}
