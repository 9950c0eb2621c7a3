using System.Buffers.Binary;
using System.Collections.Immutable;
using RecoveryVfs.PageStore.Commits;
using RecoveryVfs.PageStore.Pages;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;

namespace RecoveryVfs.PageStore.Wals;

/// <summary>
/// Reads one WAL as its writes are repeated here, by SQLite's own rules: a frame counts when its salts are the header's
/// and its checksum continues that of the frame before, and it is committed when a later one of its transaction says
/// so. Called by the applying thread.
/// </summary>
/// <remarks>
/// <code>
///   0       4         8           12           16      20      24          28         32
///   | magic | version | page size | checkpoint | salt1 | salt2 | checksum1 | checksum2 | frames...
///   frame:  | page number | size in pages after commit, or 0 | salt1 | salt2 | checksum1 | checksum2 | page |     all big-endian
/// </code>
/// The checksum runs over pairs of 32-bit words, little- or big-endian as the magic's last bit says.
/// <para>
/// A transaction that spills writes some frames again, and their headers once more at its end. A write makes only those
/// frames be looked at that it touches, and those behind them when it may end the transaction; and a frame that is
/// taken again goes to the place that it had. So reads and temporary space grow with what was written, however often.
/// </para>
/// </remarks>
internal sealed class FollowedWal(ILogFile file, string spillDirectory, long? confirmed = null) : IDisposable
{
    const uint Magic = 0x377f0682;

    readonly record struct Frame(uint Page, long At, uint Check1, uint Check2);

    // The frames of the transaction that is being written that were found whole.
    readonly List<Frame> uncommitted = [];
    // Where the pages of its frames are, by their order: no view has them yet, so that a frame that is taken again goes
    // to the place it had.
    readonly List<long> places = [];
    byte[] buffer = [];
    uint salt1, salt2, check1, check2;
    bool bigEndian;
    long committedEnd;
    // Of a copy that may have more than the log says: how far it is believed.
    long limit = confirmed ?? long.MaxValue;
    WalFrames? frames;
    ImmutableDictionary<uint, long> pages = ImmutableDictionary<uint, long>.Empty;

    /// <summary>Told of each page that a commit wrote, before the view of the commit is there.</summary>
    public Action<uint>? Committed { get; set; }

    /// <summary>The newest commit; null when the WAL holds none.</summary>
    public WalView? View { get; private set; }

    int FrameBytes => Wal.FrameHeaderBytes + frames!.PageSize;

    /// <summary>Bytes were written; the file has them. Returns whether the view has changed.</summary>
    public bool Written(long offset, int length, ulong lsn)
    {
        if (length > 0 && limit != long.MaxValue)
            limit = offset < Wal.HeaderBytes ? offset + length : Math.Max(limit, offset + length);
        if (confirmed is not null && length > 0 && offset >= Wal.HeaderBytes && offset < committedEnd)
            throw new RecoveryException(RecoveryError.Corrupt,
                $"The log at LSN {lsn} overwrites a transaction that was found in a copy of a WAL, and that it never "
                    + "had: its writer died before.",
                "Read it again.")
            { Lsn = lsn };
        if (offset < Wal.HeaderBytes) Begin();
        if (frames is null) return View is null && offset < Wal.HeaderBytes;
        if (offset >= committedEnd) ForgetFrom(offset);
        if (offset >= Wal.HeaderBytes && !MayCommit(offset, length))
        {
            while (committedEnd + uncommitted.Count * (long)FrameBytes < offset + length && TryTakeFrame(lsn)) { }
            return false;
        }
        var before = View;
        while (TryTakeFrame(lsn)) { }
        return offset < Wal.HeaderBytes || !ReferenceEquals(before, View);
    }

    /// <summary>
    /// A new header begins a new life of the WAL; what was committed before is in the main file by then.
    /// </summary>
    void Begin()
    {
        frames = null;
        View = null;
        uncommitted.Clear();
        places.Clear();
        pages = ImmutableDictionary<uint, long>.Empty;
        Span<byte> header = stackalloc byte[Wal.HeaderBytes];
        if (file.Read(0, header) < Wal.HeaderBytes) return;
        var magic = BinaryPrimitives.ReadUInt32BigEndian(header);
        var pageSize = BinaryPrimitives.ReadInt32BigEndian(header[8..]);
        if ((magic & ~1u) != Magic || pageSize is < 512 or > 65536 || (pageSize & (pageSize - 1)) != 0) return;
        bigEndian = (magic & 1) != 0;
        (check1, check2) = Checksum(header[..24], 0, 0);
        if (check1 != BinaryPrimitives.ReadUInt32BigEndian(header[24..])
            || check2 != BinaryPrimitives.ReadUInt32BigEndian(header[28..]))
            return;
        (salt1, salt2) =
            (BinaryPrimitives.ReadUInt32BigEndian(header[16..]), BinaryPrimitives.ReadUInt32BigEndian(header[20..]));
        frames = new WalFrames(new SpillFile(spillDirectory), pageSize);
        View = new WalView(frames, pages, 0, 0);
        committedEnd = Wal.HeaderBytes;
        buffer = new byte[FrameBytes];
    }

    /// <summary>
    /// A rolled-back transaction, or a page written twice: what was read from there on is not so any more.
    /// </summary>
    void ForgetFrom(long offset)
    {
        var keep = (offset - committedEnd) / FrameBytes;
        if (keep < uncommitted.Count) uncommitted.RemoveRange((int)keep, uncommitted.Count - (int)keep);
    }

    /// <summary>
    /// Whether a write touches a frame whose header says that it ends a transaction. SQLite writes that one last.
    /// </summary>
    bool MayCommit(long offset, int length)
    {
        Span<byte> sizePages = stackalloc byte[4];
        var (first, last) =
            ((offset - Wal.HeaderBytes) / FrameBytes, (offset + length - 1 - Wal.HeaderBytes) / FrameBytes);
        for (var frame = first; frame <= last; frame++)
            if (file.Read(Wal.HeaderBytes + frame * FrameBytes + 4, sizePages) == 4
                && BinaryPrimitives.ReadUInt32BigEndian(sizePages) != 0)
                return true;
        return false;
    }

    bool TryTakeFrame(ulong lsn)
    {
        var at = committedEnd + uncommitted.Count * (long)FrameBytes;
        if (limit < at + FrameBytes || file.SizeBytes < at + FrameBytes || file.Read(at, buffer) < FrameBytes)
            return false;
        var header = buffer.AsSpan(0, Wal.FrameHeaderBytes);
        var page = BinaryPrimitives.ReadUInt32BigEndian(header);
        if (page == 0 || BinaryPrimitives.ReadUInt32BigEndian(header[8..]) != salt1
            || BinaryPrimitives.ReadUInt32BigEndian(header[12..]) != salt2)
            return false;
        var (c1, c2) = uncommitted.Count > 0 ? (uncommitted[^1].Check1, uncommitted[^1].Check2) : (check1, check2);
        (c1, c2) = Checksum(header[..8], c1, c2);
        (c1, c2) = Checksum(buffer.AsSpan(Wal.FrameHeaderBytes), c1, c2);
        if (c1 != BinaryPrimitives.ReadUInt32BigEndian(header[16..])
            || c2 != BinaryPrimitives.ReadUInt32BigEndian(header[20..]))
            return false;
        uncommitted.Add(new Frame(page, Keep(buffer.AsSpan(Wal.FrameHeaderBytes)), c1, c2));
        var sizePages = BinaryPrimitives.ReadUInt32BigEndian(header[4..]);
        if (sizePages > 0) Commit(sizePages, lsn);
        return true;
    }

    void Commit(uint sizePages, ulong lsn)
    {
        var builder = pages.ToBuilder();
        foreach (var frame in uncommitted) builder[frame.Page] = frame.At;
        pages = builder.ToImmutable();
        if (Committed is { } tell)
            foreach (var frame in uncommitted) tell(frame.Page);
        (check1, check2) = (uncommitted[^1].Check1, uncommitted[^1].Check2);
        committedEnd += uncommitted.Count * (long)FrameBytes;
        uncommitted.Clear();
        places.Clear();
        View = new WalView(frames!, pages, sizePages, lsn);
    }

    /// <summary>Keeps the page of the frame that is taken next.</summary>
    long Keep(ReadOnlySpan<byte> page)
    {
        if (uncommitted.Count == places.Count) places.Add(frames!.Append(page));
        else frames!.Overwrite(places[uncommitted.Count], page);
        return places[uncommitted.Count];
    }

    (uint, uint) Checksum(ReadOnlySpan<byte> bytes, uint s1, uint s2)
    {
        for (var i = 0; i < bytes.Length; i += 8)
        {
            var (first, second) = bigEndian
                ? (BinaryPrimitives.ReadUInt32BigEndian(bytes[i..]),
                BinaryPrimitives.ReadUInt32BigEndian(bytes[(i + 4)..]))
                : (BinaryPrimitives.ReadUInt32LittleEndian(bytes[i..]),
                BinaryPrimitives.ReadUInt32LittleEndian(bytes[(i + 4)..]));
            s1 += first + s2;
            s2 += second + s1;
        }
        return (s1, s2);
    }

    public void Dispose() => file.Dispose();
}
