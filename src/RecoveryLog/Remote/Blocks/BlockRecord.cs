using System.Buffers.Binary;
using System.IO.MemoryMappedFiles;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Remote.Formats;

namespace RecoveryVfs.RecoveryLog.Remote.Blocks;

/// <summary>What a record says of a block.</summary>
enum BlockState
{
    /// <summary>Its bytes are not in the file.</summary>
    Absent = 0,
    /// <summary>They are, verified.</summary>
    Here = 1,
    /// <summary>They were before another start of the machine: to be verified anew.</summary>
    Claimed = 2,
}

/// <summary>
/// Which blocks of an extent are in its sparse file, and the list that verifies them: a file beside it, which all
/// processes share that read the extent. It is read through a mapping, without a call of the system; it is changed
/// under its lock, with writes that can fail in an orderly way on a full disk.
/// </summary>
/// <remarks>
/// <code>
///    0         8         12      16     24               56        72      76      80        112   128
///    +---------+---------+-------+------+----------------+---------+-------+-------+---------+-----+--------···+--------···
///    | magic   | version | shift | size | SHA-256 of the | boot id | blocks| flags | SHA-256 | zero| states    | the list
///    | u64     | u32 = 1 | u32   | u64  | extent         | 16      | here  | u32   | of list |     | u32 each  |
///    +---------+---------+-------+------+----------------+---------+-------+-------+---------+-----+--------···+--------···
/// </code>
/// A state is <see cref="BlockState"/> in its lowest two bits, and above them the number of its changes. Whoever reads
/// a block looks at the state before and after: the same "here" says that the bytes were the block's all the while.
/// Flags: 1 the list is here, 2 the file is whole and its own from now on: nothing is given back any more.
/// </remarks>
sealed class BlockRecord : IDisposable
{
    const uint Version = 1, ListIsHere = 1, IsSettledFlag = 2;
    const int HeaderBytes = 128, ShiftAt = 12, SizeAt = 16, HashAt = 24, BootAt = 56, HereAt = 72, FlagsAt = 76,
        ListHashAt = 80, StateBits = 2;

    readonly SparseFile file;
    readonly MemoryMappedFile mapping;
    readonly MemoryMappedViewAccessor view;
    readonly Lock changing = new();
    readonly Extent extent;
    readonly string path;
    WeakReference<BlockList>? list;

    BlockRecord(SparseFile file, Extent extent, string path)
    {
        (this.file, this.extent, this.path) = (file, extent, path);
        Shift = BlockList.ShiftOf(extent.SizeBytes);
        Count = (int)BlockList.CountOf(extent.SizeBytes, Shift);
        mapping = MemoryMappedFile.CreateFromFile(file.Handle, null, 0, MemoryMappedFileAccess.Read,
            HandleInheritability.None, leaveOpen: true);
        view = mapping.CreateViewAccessor(0, HeaderBytes + 4L * Count, MemoryMappedFileAccess.Read);
    }

    static ReadOnlySpan<byte> Magic => "RVFSBLK\n"u8;

    /// <summary>The binary logarithm of a block's size.</summary>
    public int Shift { get; }

    /// <summary>How many blocks the extent has.</summary>
    public int Count { get; }

    /// <summary>How many of them are in the file, for all processes.</summary>
    public int Here => view.ReadInt32(HereAt);

    long ListAt => HeaderBytes + 4L * Count;

    /// <summary>
    /// Opens the record of an extent, or makes one. <paramref name="isNew"/>: nobody has had one before. Throws Corrupt
    /// when it is that of another extent, TooNew when it is of a version that is not known.
    /// </summary>
    public static BlockRecord Open(string path, Extent extent, BlockCacheOptions options, out bool isNew)
    {
        isNew = false;
        if (extent.SizeBytes is < 0 or > BlockList.ExtentBytesMax)
            throw RemoteFormat.Damaged(extent.Name, $"no file has {extent.SizeBytes} bytes");
        while (true)
        {
            if (SparseFile.TryOpen(path, options.BeforeChange) is { } found)
            {
                BlockRecord? record = null;
                try
                {
                    Check(found, path, extent);
                    record = new BlockRecord(found, extent, path);
                    record.Adopt(options.BootId);
                    return record;
                }
                catch
                {
                    if (record is null) found.Dispose();
                    else record.Dispose();
                    throw;
                }
            }
            isNew |= Make(path, extent, options);
        }
    }

    /// <summary>
    /// How many of an extent's bytes a record says are here, for whoever only looks; null when there is no record.
    /// </summary>
    public static long? BytesHere(string path, in Extent extent)
    {
        try
        {
            using var file = LocalDisk.Instance.Open(path, LogFileMode.Read);
            Span<byte> header = stackalloc byte[HeaderBytes];
            if (file.Read(0, header) < HeaderBytes || !header.StartsWith(Magic)) return 0;
            var here = BinaryPrimitives.ReadInt32LittleEndian(header[HereAt..]);
            return Math.Clamp((long)here << BlockList.ShiftOf(extent.SizeBytes), 0, extent.SizeBytes);
        }
        catch (RecoveryException e) when (e.Error == RecoveryError.NotFound)
        {
            return null;
        }
    }

    /// <summary>Made whole aside, and linked: two processes may make it at once, and one record counts.</summary>
    static bool Make(string path, Extent extent, BlockCacheOptions options)
    {
        var aside = $"{path}.new-{Guid.NewGuid():N}";
        using (var file = SparseFile.TryCreate(aside, options.BeforeChange)
            ?? throw DiskErrors.From(DiskOperation.Open, aside, DiskErrors.EEXIST))
            WriteEmpty(file, extent, options.BootId);
        options.BeforeChange?.Invoke("link");
        var error = Posix.Link(aside, path) == 0 ? 0 : System.Runtime.InteropServices.Marshal.GetLastPInvokeError();
        _ = Posix.Unlink(aside);
        if (error is not (0 or DiskErrors.EEXIST)) throw DiskErrors.From(DiskOperation.Open, path, error);
        return error == 0;
    }

    static void WriteEmpty(SparseFile file, Extent extent, Guid bootId)
    {
        var shift = BlockList.ShiftOf(extent.SizeBytes);
        var header = new byte[HeaderBytes];
        Magic.CopyTo(header);
        BinaryPrimitives.WriteUInt32LittleEndian(header.AsSpan(8), Version);
        BinaryPrimitives.WriteInt32LittleEndian(header.AsSpan(ShiftAt), shift);
        BinaryPrimitives.WriteInt64LittleEndian(header.AsSpan(SizeAt), extent.SizeBytes);
        extent.Hash.CopyTo(header.AsSpan(HashAt));
        bootId.TryWriteBytes(header.AsSpan(BootAt));
        file.SetSize(HeaderBytes + 4L * BlockList.CountOf(extent.SizeBytes, shift));
        file.Write(0, header);
    }

    /// <summary>A header that a loss of power took is written anew: nothing is here then.</summary>
    static void Check(SparseFile file, string path, Extent extent)
    {
        Span<byte> header = stackalloc byte[HeaderBytes];
        file.Lock();
        try
        {
            var shift = BlockList.ShiftOf(extent.SizeBytes);
            var got = file.Read(0, header);
            if (got < HeaderBytes || !header.ContainsAnyExcept((byte)0)
                || file.SizeBytes < HeaderBytes + 4 * BlockList.CountOf(extent.SizeBytes, shift))
            {
                file.SetSize(0);
                WriteEmpty(file, extent, Guid.Empty);
                return;
            }
            var version = BinaryPrimitives.ReadUInt32LittleEndian(header[8..]);
            if (header[..8].SequenceEqual(Magic) && version > Version)
                throw new RecoveryException(RecoveryError.TooNew,
                    $"{path} has format version {version}; this software knows versions up to {Version}.",
                    "Use a newer release")
                { Path = path };
            if (!header[..8].SequenceEqual(Magic) || BinaryPrimitives.ReadInt32LittleEndian(header[ShiftAt..]) != shift
                || BinaryPrimitives.ReadInt64LittleEndian(header[SizeAt..]) != extent.SizeBytes
                || new ObjectHash(header[HashAt..]) != extent.Hash)
                throw new RecoveryException(RecoveryError.Corrupt, $"{path} is not the record of {extent.Name}.",
                    "Remove the directory, and open the remote again")
                { Path = path };
        }
        finally
        {
            file.Unlock();
        }
    }

    /// <summary>After another start of the machine nothing counts as here before it was verified.</summary>
    void Adopt(Guid bootId)
    {
        using var change = Change();
        Span<byte> boot = stackalloc byte[16];
        bootId.TryWriteBytes(boot);
        Span<byte> known = stackalloc byte[16];
        file.Read(BootAt, known);
        if (!known.SequenceEqual(boot))
        {
            for (var i = 0; i < Count; i++)
                if (StateOf(i) == BlockState.Here) Write(i, BlockState.Claimed);
            file.Write(BootAt, boot);
        }
        // A process that was killed may have left the number behind.
        var here = 0;
        for (var i = 0; i < Count; i++)
            if (StateOf(i) != BlockState.Absent) here++;
        if (here != Here) WriteNumber(HereAt, here);
    }

    /// <summary>A block's state with the number of its changes; equal numbers tell of the same bytes.</summary>
    public uint Number(int block) => view.ReadUInt32(HeaderBytes + 4L * block);

    /// <summary>What a number says.</summary>
    public static BlockState StateOf(uint number) =>
        (number & ((1 << StateBits) - 1)) switch
        {
            1 => BlockState.Here,
            2 => BlockState.Claimed,
            _ => BlockState.Absent,
        };

    /// <summary>A block's state.</summary>
    public BlockState StateOf(int block) => StateOf(Number(block));

    /// <summary>Whether blocks are all here.</summary>
    public bool AreHere(int first, int last)
    {
        for (var i = first; i <= last; i++)
            if (StateOf(i) != BlockState.Here) return false;
        return true;
    }

    /// <summary>Whether nothing is given back any more. To be asked during a change.</summary>
    public bool IsSettled => (view.ReadUInt32(FlagsAt) & IsSettledFlag) != 0;

    /// <summary>
    /// The right to change states and the bytes that they speak of: nobody else has it until it is given back.
    /// </summary>
    public Changing Change()
    {
        changing.Enter();
        try { file.Lock(); }
        catch
        {
            changing.Exit();
            throw;
        }
        return new Changing(this);
    }

    /// <summary>See <see cref="Change"/>.</summary>
    public readonly ref struct Changing(BlockRecord record)
    {
        /// <summary>Sets a block's state.</summary>
        public void Set(int block, BlockState state)
        {
            var was = record.StateOf(block);
            record.Write(block, state);
            var more = (state == BlockState.Absent ? 0 : 1) - (was == BlockState.Absent ? 0 : 1);
            if (more != 0) record.WriteNumber(HereAt, record.Here + more);
        }

        /// <summary>Nothing is given back from now on.</summary>
        public void Settle() => record.WriteNumber(FlagsAt, record.view.ReadInt32(FlagsAt) | (int)IsSettledFlag);

        /// <summary>Keeps the list.</summary>
        public void Keep(BlockList list)
        {
            record.file.Write(record.ListAt, list.Bytes.Span);
            Span<byte> hash = stackalloc byte[ObjectHash.Bytes];
            list.Hash.CopyTo(hash);
            record.file.Write(ListHashAt, hash);
            record.WriteNumber(FlagsAt, record.view.ReadInt32(FlagsAt) | (int)ListIsHere);
            record.list = new WeakReference<BlockList>(list);
        }

        /// <summary>Gives the right back.</summary>
        public void Dispose()
        {
            record.file.Unlock();
            record.changing.Exit();
        }
    }

    /// <summary>
    /// The list, if it is here and has the hash that it was kept with.
    /// </summary>
    public BlockList? FindList()
    {
        if (list?.TryGetTarget(out var known) == true) return known;
        if ((view.ReadUInt32(FlagsAt) & ListIsHere) == 0) return null;
        var bytes = new byte[BlockList.HeaderBytes + (long)Count * ObjectHash.Bytes];
        Span<byte> kept = stackalloc byte[ObjectHash.Bytes];
        if (file.Read(ListAt, bytes) < bytes.Length || file.Read(ListHashAt, kept) < kept.Length) return null;
        if (ObjectHash.Of(bytes) != new ObjectHash(kept)) return null;
        var read = BlockList.Read(bytes, extent, path);
        if (read.Shift != Shift) return null;
        list = new WeakReference<BlockList>(read);
        return read;
    }

    void Write(int block, BlockState state) =>
        WriteNumber(HeaderBytes + 4L * block, (int)(((Number(block) >> StateBits) + 1 << StateBits) | (uint)state));

    void WriteNumber(long at, int number)
    {
        Span<byte> bytes = stackalloc byte[4];
        BinaryPrimitives.WriteInt32LittleEndian(bytes, number);
        file.Write(at, bytes);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        view.Dispose();
        mapping.Dispose();
        file.Dispose();
    }
}
