using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.RecoveryLog.Live;

/// <summary>A tracked file as its records leave it. Changed under the lock of the <see cref="LiveFiles"/>.</summary>
internal sealed class LiveEntry(ulong fnode, FileClass fileClass, string name)
{
    public readonly ulong Fnode = fnode;
    public readonly FileClass Class = fileClass;
    public readonly List<string> Names = [name];
    public byte[] Bytes = [];
    public long Size;
    public bool Sealed;
    public uint Crc;
    public ulong BornLsn;
    public ReadOnlyMemory<byte> Sha256;
    // How many of the first bytes of the array somebody has a view of.
    int shownBytes;

    public static LiveEntry Of(LiveFile file)
    {
        var entry = new LiveEntry(file.Fnode, file.Class, file.Name)
        {
            Bytes = file.Bytes.ToArray(),
            Size = file.SizeBytes,
            Sealed = file.IsSealed,
            Crc = file.Crc32C,
            BornLsn = file.BornLsn,
            Sha256 = file.Sha256
        };
        entry.Names.AddRange(file.Names.Skip(1));
        return entry;
    }

    public (bool, string) Key(string name) => (Class == FileClass.Plain, name);

    /// <summary>
    /// The bytes of small files are not copied: those that are handed out never change. Appends write above them; what
    /// changes them goes to a new array.
    /// </summary>
    public LiveFile View()
    {
        var bytes = Bytes.AsMemory(0, (int)Math.Min(Size, Bytes.Length));
        shownBytes = Math.Max(shownBytes, bytes.Length);
        return new()
        {
            Fnode = Fnode,
            Class = Class,
            Names = [.. Names],
            SizeBytes = Size,
            IsSealed = Sealed,
            Crc32C = Crc,
            BornLsn = BornLsn,
            Sha256 = Sha256,
            Bytes = bytes,
        };
    }

    /// <summary>Takes bytes that were written; the other small files hold so many.</summary>
    public void Write(long offset, ReadOnlySpan<byte> bytes, long others)
    {
        var end = offset + bytes.Length;
        if (Class == FileClass.RocksSmall) Keep(offset, bytes, others);
        if (Class == FileClass.RocksLog) Crc = offset == Size ? Crc32C.Compute(bytes, Crc) : 0;
        Size = Math.Max(Size, end);
    }

    void Keep(long offset, ReadOnlySpan<byte> bytes, long others)
    {
        var end = offset + bytes.Length;
        if (end > LiveFiles.MaxSmallFileBytes)
            throw FileRecords.Damaged("FileWritten", $"makes the small file {Names[0]} {end} bytes large");
        if (offset - Size > LiveFiles.MaxHoleBytes)
            throw FileRecords.Damaged("FileWritten",
                $"writes at {offset} to the small file {Names[0]}, which has {Size} bytes");
        if (end > Bytes.Length || Math.Min(offset, Size) < shownBytes)
        {
            var larger = new byte[Math.Max(end, Math.Min(Size * 2, Size + (1 << 20)))];
            if (others + larger.Length > LiveFiles.MaxSmallFilesBytes)
                throw FileRecords.Damaged("FileWritten",
                    $"of {Names[0]} makes the small files {LiveFiles.MaxSmallFilesBytes >> 20} MiB large together");
            Bytes.AsSpan(0, (int)Size).CopyTo(larger);
            (Bytes, shownBytes) = (larger, 0);
        }
        // What was cut away may still be in the array.
        else if (offset > Size) Bytes.AsSpan((int)Size, (int)(offset - Size)).Clear();
        bytes.CopyTo(Bytes.AsSpan((int)offset));
    }

    public void Truncate(long size)
    {
        Size = size;
        Crc = 0;
    }
}
