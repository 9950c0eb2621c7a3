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
    /// The bytes of small files are not copied: those below the size that is handed out never change. Appends write
    /// above it; anything else goes to a new array.
    /// </summary>
    public LiveFile View() => new()
    {
        Fnode = Fnode,
        Class = Class,
        Names = [.. Names],
        SizeBytes = Size,
        IsSealed = Sealed,
        Crc32C = Crc,
        BornLsn = BornLsn,
        Sha256 = Sha256,
        Bytes = Bytes.AsMemory(0, (int)Math.Min(Size, Bytes.Length)),
    };

    /// <summary>Takes bytes that were written; <paramref name="ofAll"/> counts what all small files hold.</summary>
    public void Write(long offset, ReadOnlySpan<byte> bytes, Func<long> ofAll)
    {
        var end = offset + bytes.Length;
        if (Class == FileClass.RocksSmall) Keep(offset, bytes, ofAll);
        if (Class == FileClass.RocksLog) Crc = offset == Size ? Crc32C.Compute(bytes, Crc) : 0;
        Size = Math.Max(Size, end);
    }

    void Keep(long offset, ReadOnlySpan<byte> bytes, Func<long> ofAll)
    {
        var end = offset + bytes.Length;
        if (end > LiveFiles.MaxSmallFileBytes)
            throw FileRecords.Damaged("FileWritten", $"makes the small file {Names[0]} {end} bytes large");
        // Bytes below the size may have been handed out: appending leaves them alone, anything else goes to a copy.
        if (end > Bytes.Length || offset < Size)
        {
            var larger = new byte[Math.Max(end, Math.Min(Size * 2, Size + (1 << 20)))];
            if (ofAll() - Bytes.Length + larger.Length > LiveFiles.MaxSmallFilesBytes)
                throw FileRecords.Damaged("FileWritten",
                    $"of {Names[0]} makes the small files {LiveFiles.MaxSmallFilesBytes >> 20} MiB large together");
            Bytes.AsSpan(0, (int)Size).CopyTo(larger);
            Bytes = larger;
        }
        bytes.CopyTo(Bytes.AsSpan((int)offset));
    }

    public void Truncate(long size)
    {
        Bytes = Bytes.AsSpan(0, (int)Math.Min(size, Bytes.Length)).ToArray();
        Size = size;
        Crc = 0;
    }
}
