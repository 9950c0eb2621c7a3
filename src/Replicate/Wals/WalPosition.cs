namespace RecoveryVfs.Replicate.Wals;

/// <summary>
/// How far a WAL was read: so many frames of the life that its salt names, and the checksum that the next frame
/// continues.
/// </summary>
internal readonly record struct WalPosition(WalSalt Salt, int PageSize, bool BigEndian, uint Frames,
    WalChecksum Checksum)
{
    /// <summary>Where the next frame is in the file.</summary>
    public long Offset => WalHeader.SizeBytes + (long)Frames * (WalFrame.HeaderBytes + PageSize);
}
