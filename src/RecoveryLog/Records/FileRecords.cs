using System.Buffers.Binary;
using System.Text;

namespace RecoveryVfs.RecoveryLog.Records;

/// <summary>What a tracked file is; part of the format.</summary>
internal enum FileClass : byte
{
    /// <summary>A journal or WAL of SQLite's: written anywhere, any number of times.</summary>
    Plain = 1,
    /// <summary>A table file of RocksDB's: shipped as an extent once it is sealed.</summary>
    RocksTable = 2,
    /// <summary>A blob file of RocksDB's: shipped as an extent once it is sealed.</summary>
    RocksBlob = 3,
    /// <summary>CURRENT, MANIFEST, OPTIONS and the like: small, their bytes are in the log and the hints.</summary>
    RocksSmall = 4,
    /// <summary>
    /// A write-ahead log of a RocksDB that has one: appended to, perhaps large; its bytes are in the log only.
    /// </summary>
    RocksLog = 5,
}

/// <summary>
/// The bodies of File* records, little-endian; <see cref="RecordKind"/> says what each holds. Readers throw Corrupt on
/// bytes that cannot be one.
/// </summary>
internal static class FileRecords
{
    /// <summary>The longest name.</summary>
    public const int MaxNameBytes = 4096;

    static readonly UTF8Encoding strictUtf8 = new(encoderShouldEmitUTF8Identifier: false, throwOnInvalidBytes: true);

    /// <summary>fnode u64, class u8, name.</summary>
    public static byte[] Created(ulong fnode, FileClass fileClass, string name)
    {
        var body = WithName(9, name);
        if (!TrackedName.IsValid(fileClass, name))
            throw new RecoveryException(RecoveryError.Invalid,
                $"A file of class {fileClass} cannot be called {DatabaseName.Shown(name)}.");
        BinaryPrimitives.WriteUInt64LittleEndian(body, fnode);
        body[8] = (byte)fileClass;
        return body;
    }

    /// <summary>Reads <see cref="Created"/>.</summary>
    public static (ulong Fnode, FileClass Class, string Name) ReadCreated(ReadOnlySpan<byte> body)
    {
        Need(body, 10, 9 + MaxNameBytes, "FileCreated");
        var fileClass = (FileClass)body[8];
        if (!IsKnown(fileClass)) throw Damaged("FileCreated", $"names the unknown file class {body[8]}");
        var name = ReadName(body[9..], "FileCreated");
        TrackedName.Check(fileClass, name, "A FileCreated record");
        return (BinaryPrimitives.ReadUInt64LittleEndian(body), fileClass, name);
    }

    /// <summary>fnode u64, offset u64; the bytes follow as the record's next span.</summary>
    public static byte[] Written(ulong fnode, long offset) => Pair(fnode, offset);

    /// <summary>Bytes before those that a FileWritten record carries.</summary>
    public const int WrittenStartBytes = 16;

    /// <summary>The same, into <see cref="WrittenStartBytes"/> bytes of the caller's.</summary>
    public static void StartWritten(Span<byte> to, ulong fnode, long offset)
    {
        BinaryPrimitives.WriteUInt64LittleEndian(to, fnode);
        BinaryPrimitives.WriteInt64LittleEndian(to[8..], offset);
    }

    /// <summary>Reads a FileWritten record.</summary>
    public static FileWrite ReadWritten(ReadOnlySpan<byte> body)
    {
        Need(body, 16, int.MaxValue, "FileWritten");
        var offset = BinaryPrimitives.ReadInt64LittleEndian(body[8..]);
        if (offset < 0 || offset > long.MaxValue - body.Length) throw Damaged("FileWritten", $"names offset {offset}");
        return new FileWrite(BinaryPrimitives.ReadUInt64LittleEndian(body), offset, body[16..]);
    }

    /// <summary>fnode u64, size u64.</summary>
    public static byte[] Truncated(ulong fnode, long sizeBytes) => Pair(fnode, sizeBytes);

    /// <summary>Reads <see cref="Truncated"/>.</summary>
    public static (ulong Fnode, long SizeBytes) ReadTruncated(ReadOnlySpan<byte> body)
    {
        Need(body, 16, 16, "FileTruncated");
        var size = BinaryPrimitives.ReadInt64LittleEndian(body[8..]);
        if (size < 0) throw Damaged("FileTruncated", $"names size {size}");
        return (BinaryPrimitives.ReadUInt64LittleEndian(body), size);
    }

    /// <summary>fnode u64.</summary>
    public static byte[] Deleted(ulong fnode)
    {
        var body = new byte[8];
        BinaryPrimitives.WriteUInt64LittleEndian(body, fnode);
        return body;
    }

    /// <summary>Reads <see cref="Deleted"/>.</summary>
    public static ulong ReadDeleted(ReadOnlySpan<byte> body)
    {
        Need(body, 8, 8, "FileDeleted");
        return BinaryPrimitives.ReadUInt64LittleEndian(body);
    }

    /// <summary>fnode u64, new name. Also the body of FileLinked (with one more name).</summary>
    public static byte[] Renamed(ulong fnode, string name)
    {
        var body = WithName(8, name);
        BinaryPrimitives.WriteUInt64LittleEndian(body, fnode);
        return body;
    }

    /// <summary>fnode u64, one more name.</summary>
    public static byte[] Linked(ulong fnode, string name) => Renamed(fnode, name);

    /// <summary>
    /// Reads <see cref="Renamed"/> and <see cref="Linked"/>. Whoever knows the file's class checks that the name is one
    /// of it (<see cref="TrackedName"/>).
    /// </summary>
    public static (ulong Fnode, string Name) ReadNamed(ReadOnlySpan<byte> body)
    {
        Need(body, 9, 8 + MaxNameBytes, "FileRenamed or FileLinked");
        var name = ReadName(body[8..], "FileRenamed or FileLinked");
        TrackedName.Check(FileClass.Plain, name, "A FileRenamed or FileLinked record");
        return (BinaryPrimitives.ReadUInt64LittleEndian(body), name);
    }

    /// <summary>fnode u64, size u64, crc32c u32.</summary>
    public static byte[] Sealed(ulong fnode, long sizeBytes, uint crc32c)
    {
        var body = new byte[20];
        BinaryPrimitives.WriteUInt64LittleEndian(body, fnode);
        BinaryPrimitives.WriteInt64LittleEndian(body.AsSpan(8), sizeBytes);
        BinaryPrimitives.WriteUInt32LittleEndian(body.AsSpan(16), crc32c);
        return body;
    }

    /// <summary>Reads <see cref="Sealed"/>.</summary>
    public static (ulong Fnode, long SizeBytes, uint Crc32C) ReadSealed(ReadOnlySpan<byte> body)
    {
        Need(body, 20, 20, "FileSealed");
        var size = BinaryPrimitives.ReadInt64LittleEndian(body[8..]);
        if (size < 0) throw Damaged("FileSealed", $"names size {size}");
        return (BinaryPrimitives.ReadUInt64LittleEndian(body), size,
            BinaryPrimitives.ReadUInt32LittleEndian(body[16..]));
    }

    static byte[] Pair(ulong first, long second)
    {
        var body = new byte[16];
        BinaryPrimitives.WriteUInt64LittleEndian(body, first);
        BinaryPrimitives.WriteInt64LittleEndian(body.AsSpan(8), second);
        return body;
    }

    internal static bool IsKnown(FileClass fileClass) => fileClass is >= FileClass.Plain and <= FileClass.RocksLog;

    /// <summary>
    /// A body with the name in its last bytes. A name that no reader would take is refused before it gets into the log.
    /// </summary>
    internal static byte[] WithName(int fixedBytes, string name)
    {
        int length;
        try
        {
            length = strictUtf8.GetByteCount(name);
        }
        catch (ArgumentException)
        {
            throw new RecoveryException(RecoveryError.Invalid,
                $"The name '{name}' is not valid text.",
                "Choose another one.");
        }
        if (length is 0 or > MaxNameBytes)
            throw new RecoveryException(RecoveryError.Invalid,
                $"A name of {length} bytes cannot be used: it has to have 1 to {MaxNameBytes}.",
                "Choose another one.");
        var body = new byte[fixedBytes + length];
        strictUtf8.GetBytes(name, body.AsSpan(fixedBytes));
        return body;
    }

    internal static string ReadName(ReadOnlySpan<byte> bytes, string kind)
    {
        try
        {
            return strictUtf8.GetString(bytes);
        }
        catch (ArgumentException)
        {
            throw Damaged(kind, "has a name that is not UTF-8");
        }
    }

    static void Need(ReadOnlySpan<byte> body, int least, int most, string kind)
    {
        if (body.Length < least || body.Length > most) throw Damaged(kind, $"has a body of {body.Length} bytes");
    }

    internal static RecoveryException Hole(ulong lsn, long offset, string name, long size) => new(RecoveryError.Corrupt,
        $"The record at LSN {lsn} writes at {offset} to {name}, which has {size} bytes, and nothing says what is in "
            + "between: it was written by something else.",
        "Restore an earlier state, and find out who wrote to the remote.")
    { Lsn = lsn };

    internal static RecoveryException Damaged(string kind, string what) => new(RecoveryError.Corrupt,
        $"A {kind} record {what}, though its checksum is right: it was written by something else.",
        "Keep the log and report this.");
}

/// <summary>A write to a tracked file, borrowed.</summary>
internal readonly ref struct FileWrite
{
    internal FileWrite(ulong fnode, long offset, ReadOnlySpan<byte> bytes)
    {
        Fnode = fnode;
        Offset = offset;
        Bytes = bytes;
    }

    /// <summary>The file.</summary>
    public ulong Fnode { get; }
    /// <summary>Where.</summary>
    public long Offset { get; }
    /// <summary>What.</summary>
    public ReadOnlySpan<byte> Bytes { get; }
}
