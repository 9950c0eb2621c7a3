using System.Buffers.Binary;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.RecoveryLog.Log;

/// <summary>
/// The file <c>durable</c> beside the segments: up to where the log is durable, for all that is known. It vouches for
/// the newest records, which have nothing behind them that does.
/// </summary>
/// <remarks>
/// <code>
///   0       8         12      16           32       40       44
///   +-------+---------+-------+------------+--------+--------+
///   | magic | version | closed| log id     | LSN    | crc32c |
///   | u64   | u32     | u32   | 16 bytes   | u64    | u32    |
///   +-------+---------+-------+------------+--------+--------+
/// </code>
/// <para>
/// Written after each fdatasync, in place, and never synced itself: one write into the page cache. So it outlives the
/// process, and after a kill it is exact. A loss of power may leave an older one, or none. Each was true when it was
/// written, and stays so: what is durable once is durable always.
/// </para>
/// <para>
/// "Closed" (1) says more: that nothing was written after that LSN, so that nothing needs to be looked for. It is taken
/// back durably before the first byte is written again.
/// </para>
/// </remarks>
internal sealed class DurableMark(ILogDisk disk, string directory) : IDisposable
{
    const string Name = "durable";
    const uint Version = 1;
    const int SizeBytes = 44, ClosedAt = 12, LogIdAt = 16, LsnAt = 32, CrcAt = 40;

    readonly string path = Path.Combine(directory, Name);
    readonly byte[] bytes = new byte[SizeBytes];
    ILogFile? file;
    bool isGivenUp;

    static ReadOnlySpan<byte> Magic => "RVFSDUR\n"u8;

    /// <summary>
    /// What is known, and of which log; LSN 0 when that is nothing. Whoever reads beside a writer reads this before the
    /// segments.
    /// </summary>
    public (Guid LogId, ulong Lsn, bool IsClosed) Read()
    {
        if (!disk.Exists(path)) return default;
        using var found = disk.Open(path, LogFileMode.Read);
        var read = new byte[SizeBytes];
        if (found.Read(0, read) < SizeBytes || !read.AsSpan(0, 8).SequenceEqual(Magic)
            || BinaryPrimitives.ReadUInt32LittleEndian(read.AsSpan(8)) > Version)
            return default;
        if (Crc32C.Compute(read.AsSpan(0, CrcAt)) != BinaryPrimitives.ReadUInt32LittleEndian(read.AsSpan(CrcAt)))
            return default;
        return (new Guid(read.AsSpan(LogIdAt, 16), bigEndian: true),
            BinaryPrimitives.ReadUInt64LittleEndian(read.AsSpan(LsnAt)),
            BinaryPrimitives.ReadUInt32LittleEndian(read.AsSpan(ClosedAt)) == 1);
    }

    /// <summary>
    /// Whether the file may say that nothing was written since. Before anything is, <see cref="Reopen"/> must have
    /// returned.
    /// </summary>
    public bool IsClosed { get; set; }

    /// <summary>Notes that the log is durable up to an LSN, and that nothing will be written after that.</summary>
    public void Close(Guid logId, ulong lsn)
    {
        if (IsClosed) return;
        IsClosed = true;
        Note(logId, lsn);
    }

    /// <summary>Takes back, durably, that nothing is written.</summary>
    public void Reopen(Guid logId, ulong lsn)
    {
        IsClosed = false;
        try
        {
            Write(logId, lsn);
            file!.SyncData();
        }
        catch
        {
            IsClosed = true;
            throw;
        }
    }

    /// <summary>
    /// Notes that the log is durable up to an LSN. By one thread at a time. No allocation after the first. Never
    /// throws: what was noted before stays true.
    /// </summary>
    public void Note(Guid logId, ulong lsn)
    {
        if (isGivenUp) return;
        try
        {
            Write(logId, lsn);
        }
        catch (RecoveryException)
        {
            isGivenUp = true;
        }
    }

    void Write(Guid logId, ulong lsn)
    {
        file ??= disk.Open(path, disk.Exists(path) ? LogFileMode.Write : LogFileMode.Create);
        Magic.CopyTo(bytes);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(8), Version);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(ClosedAt), IsClosed ? 1u : 0u);
        logId.TryWriteBytes(bytes.AsSpan(LogIdAt), bigEndian: true, out _);
        BinaryPrimitives.WriteUInt64LittleEndian(bytes.AsSpan(LsnAt), lsn);
        BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(CrcAt), Crc32C.Compute(bytes.AsSpan(0, CrcAt)));
        file.Write(0, bytes);
    }

    public void Dispose() => file?.Dispose();
}
