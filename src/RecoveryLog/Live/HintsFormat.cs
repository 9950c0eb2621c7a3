using System.Buffers;
using System.Buffers.Binary;
using System.Text;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.RecoveryLog.Live;

/// <summary>Hints as bytes, little-endian. One format for the local file and the remote object.</summary>
/// <remarks>
/// <code>
///   "RVFSHNT\n" | version u32 | length u32 of all before the crc | log id 16 | epoch u64 | lsn u64 | replay from u64 | next fnode u64
///   | next database id u32 | time u64 | databases u32 | files u32
///   database:  id u32 | name
///   file:      fnode u64 | class u8 | flags u8 | size u64 | crc32c u32 | names u16, each a name | [sha-256, 32 bytes]
///              | [checksums, a crc32c u32 for each 16 KB] | [bytes u32, bytes] | [born u64]
///   crc32c u32 of everything before it
///   name:      length u16, UTF-8
/// </code>
/// File flags: 1 sealed, 2 has a SHA-256, 4 has its bytes here, 8 has checksums (from version 2 on; hints without any
/// are written as version 1), 16 has the LSN that it was created at (from version 3 on, which only hints with a
/// write-ahead log of RocksDB's are).
/// </remarks>
internal static class HintsFormat
{
    /// <summary>The newest version this software knows.</summary>
    public const uint Version = 3;

    /// <summary>
    /// The most databases that a store can have, and files: what a reader holds in memory is bounded by them, whoever
    /// wrote the bytes.
    /// </summary>
    public const int MaxDatabases = 1 << 20, MaxFiles = 1 << 18;

    /// <summary>
    /// Numbers are given in order: no store comes so far, and those that are read leave room for its own.
    /// </summary>
    public const ulong MaxFnode = 1UL << 62;

    /// <inheritdoc cref="MaxFnode"/>
    public const uint MaxDatabaseId = 1u << 31;

    const int HeaderBytes = 84;
    const uint VersionWithoutSums = 1, VersionWithoutLogs = 2;
    const byte FlagSealed = 1, FlagSha = 2, FlagBytes = 4, FlagSums = 8, FlagBorn = 16;

    /// <summary>The first 8 bytes.</summary>
    public static ReadOnlySpan<byte> Magic => "RVFSHNT\n"u8;

    /// <summary>Writes hints.</summary>
    public static byte[] Write(Hints hints)
    {
        var writer = new ArrayBufferWriter<byte>(4096);
        var header = writer.GetSpan(HeaderBytes)[..HeaderBytes];
        Magic.CopyTo(header);
        BinaryPrimitives.WriteUInt32LittleEndian(header[8..], VersionOf(hints));
        hints.LogId.TryWriteBytes(header[16..], bigEndian: true, out _);
        BinaryPrimitives.WriteUInt64LittleEndian(header[32..], hints.Epoch);
        BinaryPrimitives.WriteUInt64LittleEndian(header[40..], hints.Lsn);
        BinaryPrimitives.WriteUInt64LittleEndian(header[48..], hints.ReplayFrom);
        BinaryPrimitives.WriteUInt64LittleEndian(header[56..], hints.NextFnode);
        BinaryPrimitives.WriteUInt32LittleEndian(header[64..], hints.NextDatabaseId);
        BinaryPrimitives.WriteInt64LittleEndian(header[68..], hints.UnixTimeMs);
        BinaryPrimitives.WriteInt32LittleEndian(header[76..], hints.Databases.Count);
        BinaryPrimitives.WriteInt32LittleEndian(header[80..], hints.Files.Count);
        writer.Advance(HeaderBytes);
        foreach (var database in hints.Databases)
        {
            PutUInt32(writer, database.Id);
            PutName(writer, database.Name);
        }
        foreach (var file in hints.Files) PutFile(writer, file);
        var bytes = new byte[writer.WrittenCount + 4];
        writer.WrittenSpan.CopyTo(bytes);
        BinaryPrimitives.WriteInt32LittleEndian(bytes.AsSpan(12), writer.WrittenCount);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(writer.WrittenCount),
            Crc32C.Compute(bytes.AsSpan(0, writer.WrittenCount)));
        return bytes;
    }

    static uint VersionOf(Hints hints) => hints.Files.Any(f => f.Class == FileClass.RocksLog) ? Version
        : hints.Files.Any(HasSums) ? VersionWithoutLogs : VersionWithoutSums;

    static void PutFile(ArrayBufferWriter<byte> writer, LiveFile file)
    {
        var head = writer.GetSpan(24)[..24];
        BinaryPrimitives.WriteUInt64LittleEndian(head, file.Fnode);
        head[8] = (byte)file.Class;
        head[9] = (byte)((file.IsSealed ? FlagSealed : 0) | (file.Sha256.Length == 32 ? FlagSha : 0)
            | (HasBytes(file) ? FlagBytes : 0) | (HasSums(file) ? FlagSums : 0)
            | (file.Class == FileClass.RocksLog ? FlagBorn : 0));
        BinaryPrimitives.WriteInt64LittleEndian(head[10..], file.SizeBytes);
        BinaryPrimitives.WriteUInt32LittleEndian(head[18..], file.Crc32C);
        BinaryPrimitives.WriteUInt16LittleEndian(head[22..], checked((ushort)file.Names.Count));
        writer.Advance(24);
        foreach (var name in file.Names) PutName(writer, name);
        if (file.Sha256.Length == 32) writer.Write(file.Sha256.Span);
        if (HasSums(file))
            foreach (var sum in file.Sums.Span) PutUInt32(writer, sum);
        if (HasBytes(file))
        {
            PutUInt32(writer, (uint)file.Bytes.Length);
            writer.Write(file.Bytes.Span);
        }
        if (file.Class != FileClass.RocksLog) return;
        BinaryPrimitives.WriteUInt64LittleEndian(writer.GetSpan(8), file.BornLsn);
        writer.Advance(8);
    }

    static bool HasSums(LiveFile file) => file.Sums.Length > 0 && file.Sums.Length == ChunkSums.CountOf(file.SizeBytes);

    static bool HasBytes(LiveFile file) => file.Bytes.Length > 0 && file.Bytes.Length == file.SizeBytes;

    static void PutUInt32(ArrayBufferWriter<byte> writer, uint value)
    {
        BinaryPrimitives.WriteUInt32LittleEndian(writer.GetSpan(4), value);
        writer.Advance(4);
    }

    static void PutName(ArrayBufferWriter<byte> writer, string name)
    {
        var length = Encoding.UTF8.GetByteCount(name);
        if (length > FileRecords.MaxNameBytes)
            throw new RecoveryException(RecoveryError.Invalid,
                $"The name {name[..64]}... is too long: {length} bytes.");
        var span = writer.GetSpan(2 + length);
        BinaryPrimitives.WriteUInt16LittleEndian(span, (ushort)length);
        Encoding.UTF8.GetBytes(name, span[2..]);
        writer.Advance(2 + length);
    }

    /// <summary>
    /// Reads and verifies hints; <paramref name="source"/> names the file or object for messages. The bytes of files
    /// are not copied: <paramref name="memory"/> stays in use.
    /// </summary>
    public static Hints Read(ReadOnlyMemory<byte> memory, string source)
    {
        var bytes = memory.Span;
        var (version, length) = CheckFrame(bytes, source);
        var (databaseCount, fileCount) =
            (BinaryPrimitives.ReadUInt32LittleEndian(bytes[76..]),
            BinaryPrimitives.ReadUInt32LittleEndian(bytes[80..]));
        if (databaseCount > MaxDatabases || fileCount > MaxFiles)
            throw Damaged(source, $"lists {databaseCount} databases and {fileCount} files, more than a store can have");
        var reader = new Cursor(memory[HeaderBytes..length], version, source);
        var databases = new List<LiveDatabase>();
        for (var left = databaseCount; left > 0; left--)
            databases.Add(new LiveDatabase(reader.UInt32(), reader.Name()));
        var files = new List<LiveFile>();
        for (var left = fileCount; left > 0; left--) files.Add(reader.File());
        if (reader.Left != 0) throw Damaged(source, $"has {reader.Left} bytes too many");
        var hints = new Hints
        {
            LogId = new Guid(bytes[16..32], bigEndian: true),
            Epoch = BinaryPrimitives.ReadUInt64LittleEndian(bytes[32..]),
            Lsn = BinaryPrimitives.ReadUInt64LittleEndian(bytes[40..]),
            ReplayFrom = BinaryPrimitives.ReadUInt64LittleEndian(bytes[48..]),
            NextFnode = BinaryPrimitives.ReadUInt64LittleEndian(bytes[56..]),
            NextDatabaseId = BinaryPrimitives.ReadUInt32LittleEndian(bytes[64..]),
            UnixTimeMs = BinaryPrimitives.ReadInt64LittleEndian(bytes[68..]),
            Files = files,
            Databases = databases,
        };
        Check(hints, source);
        return hints;
    }

    /// <summary>All of it is there, as it was written; returns its format, and its length without checksum.</summary>
    static (uint Version, int Length) CheckFrame(ReadOnlySpan<byte> bytes, string source)
    {
        if (bytes.Length < 16 || !bytes[..8].SequenceEqual(Magic)) throw Damaged(source, "does not start as hints do");
        var version = BinaryPrimitives.ReadUInt32LittleEndian(bytes[8..]);
        if (version > Version)
            throw new RecoveryException(RecoveryError.TooNew,
                $"{source} has hints of format {version}; this version knows up to {Version}.",
                "Upgrade RecoveryVfs.");
        if (version == 0 || bytes.Length < HeaderBytes + 4) throw Damaged(source, "ends too early");
        var length = bytes.Length - 4;
        if (BinaryPrimitives.ReadUInt32LittleEndian(bytes[12..]) != length)
            throw Damaged(source, $"has {bytes.Length} bytes, not what it says");
        if (Crc32C.Compute(bytes[..length]) != BinaryPrimitives.ReadUInt32LittleEndian(bytes[length..]))
            throw Damaged(source, "has a wrong checksum");
        return (version, length);
    }

    /// <summary>What must hold between the parts, whatever the checksum says.</summary>
    static void Check(Hints hints, string source)
    {
        if (hints.ReplayFrom > hints.Lsn && hints.ReplayFrom - hints.Lsn > 1)
            throw Damaged(source, $"is of LSN {hints.Lsn} and starts to replay at {hints.ReplayFrom}");
        if (hints.NextFnode > MaxFnode || hints.NextDatabaseId > MaxDatabaseId)
            throw Damaged(source, $"goes on with file {hints.NextFnode} and database {hints.NextDatabaseId}");
        var names = new HashSet<(bool, string)>();
        ulong lastFnode = 0;
        foreach (var file in hints.Files)
        {
            foreach (var name in file.Names) TrackedName.Check(file.Class, name, source);
            if (file.Names.Count > LiveFiles.MaxNames)
                throw Damaged(source, $"gives {file.Names[0]} {file.Names.Count} names");
            if (file.Fnode <= lastFnode || file.Fnode >= hints.NextFnode)
                throw Damaged(source, $"lists file {file.Fnode} where it cannot be");
            lastFnode = file.Fnode;
            foreach (var name in file.Names)
                if (!names.Add((file.Class == FileClass.Plain, name)))
                    throw Damaged(source, $"lists two files called {name}");
        }
        foreach (var database in hints.Databases)
            if (DatabaseName.NotAPart(database.Name) is { } problem)
                throw Damaged(source, $"names a database \"{DatabaseName.Shown(database.Name)}\", which {problem}");
        for (var i = 0; i < hints.Databases.Count; i++)
            if (hints.Databases[i].Id >= hints.NextDatabaseId
                || (i > 0 && hints.Databases[i].Id <= hints.Databases[i - 1].Id))
                throw Damaged(source, $"lists database {hints.Databases[i].Id} where it cannot be");
    }

    ref struct Cursor(ReadOnlyMemory<byte> bytes, uint version, string source)
    {
        ReadOnlyMemory<byte> rest = bytes;

        public readonly int Left => rest.Length;

        ReadOnlySpan<byte> Take(long count) => TakeMemory(count).Span;

        ReadOnlyMemory<byte> TakeMemory(long count)
        {
            if (count > rest.Length) throw Damaged(source, "ends too early");
            var taken = rest[..(int)count];
            rest = rest[(int)count..];
            return taken;
        }

        public uint UInt32() => BinaryPrimitives.ReadUInt32LittleEndian(Take(4));

        public string Name()
        {
            var bytes = Take(BinaryPrimitives.ReadUInt16LittleEndian(Take(2)));
            if (bytes.IsEmpty) throw Damaged(source, "lists an empty name");
            return FileRecords.ReadName(bytes, "hints");
        }

        ReadOnlyMemory<uint> Sums(long sizeBytes)
        {
            if (sizeBytes / ChunkSums.ChunkBytes > rest.Length / sizeof(uint)) throw Damaged(source, "ends too early");
            var sums = new uint[ChunkSums.CountOf(sizeBytes)];
            for (var i = 0; i < sums.Length; i++) sums[i] = UInt32();
            return sums;
        }

        public LiveFile File()
        {
            var head = Take(24);
            var names = new string[BinaryPrimitives.ReadUInt16LittleEndian(head[22..])];
            if (names.Length == 0 || names.Length > rest.Length / 3)
                throw Damaged(source, "lists a file without a name");
            for (var i = 0; i < names.Length; i++) names[i] = Name();
            var (fileClass, flags, size) =
                ((FileClass)head[8], head[9], BinaryPrimitives.ReadInt64LittleEndian(head[10..]));
            if (!FileRecords.IsKnown(fileClass)
                || (flags & ~(FlagSealed | FlagSha | FlagBytes | (version > VersionWithoutSums ? FlagSums : 0)
                    | (version > VersionWithoutLogs ? FlagBorn : 0))) != 0
                || size < 0)
                throw Damaged(source, $"lists {names[0]} with class {head[8]}, flags {flags} and size {size}");
            var file = new LiveFile
            {
                Fnode = BinaryPrimitives.ReadUInt64LittleEndian(head),
                Class = fileClass,
                Names = names,
                SizeBytes = size,
                IsSealed = (flags & FlagSealed) != 0,
                Crc32C = BinaryPrimitives.ReadUInt32LittleEndian(head[18..]),
                Sha256 = (flags & FlagSha) != 0 ? Take(32).ToArray() : default,
                Sums = (flags & FlagSums) != 0 ? Sums(size) : default,
                Bytes = (flags & FlagBytes) != 0 ? TakeMemory(UInt32()) : default,
                BornLsn = (flags & FlagBorn) != 0 ? BinaryPrimitives.ReadUInt64LittleEndian(Take(8)) : 0,
            };
            if ((flags & FlagBytes) != 0 && file.Bytes.Length != size)
                throw Damaged(source, $"has {file.Bytes.Length} of {size} bytes of {names[0]}");
            return file;
        }
    }

    static RecoveryException Damaged(string source, string what) => new(RecoveryError.Corrupt,
        $"The hints {source} are damaged: it {what}.", "Use older hints, or restore the store from its remote.");
}
