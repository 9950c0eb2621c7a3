using System.Buffers.Binary;
using RecoveryVfs.PageStore.Wals;
using RecoveryVfs.RecoveryLog.Disk;

namespace RecoveryVfs.PageStore.Tests;

/// <summary>
/// A WAL as its writes come by: what a large transaction costs that spills, and writes its frames again and again.
/// </summary>
public sealed class FollowedWalTests : IDisposable
{
    const int PageSize = 512, FrameBytes = 24 + PageSize;

    readonly string directory = Directory.CreateTempSubdirectory("recovery-wal-").FullName;

    public void Dispose() => Directory.Delete(directory, recursive: true);

    [Theory]
    [InlineData(500)]
    [InlineData(4000)]
    public void A_transaction_that_is_written_again_in_whole_is_read_in_proportion(int frames)
    {
        var wal = Frames(frames, frames / 2);
        using var file = new Counted(UnnamedFile.OpenLogFile(directory));
        // A copy that was taken late: it has everything before the log tells of it.
        file.Write(0, wal);
        using var followed = new FollowedWal(file, directory, confirmed: 32);
        followed.Written(0, 0, 1);
        file.ReadBytes = 0;
        for (var i = 0; i < frames; i++)
        {
            followed.Written(32 + i * FrameBytes, 24, (ulong)(2 * i + 2));
            followed.Written(32 + i * FrameBytes + 24, PageSize, (ulong)(2 * i + 3));
        }
        // SQLite writes all headers once more.
        for (var i = 0; i < frames; i++)
            if (followed.View!.IsEmpty) followed.Written(32 + i * FrameBytes, 24, (ulong)(2 * frames + i + 3));
        var view = followed.View!;
        Assert.Equal(frames / 2, view.Pages.Count);
        Assert.InRange(file.ReadBytes, wal.Length, 3L * wal.Length);
        Assert.InRange(view.Frames.SizeBytes, frames / 2 * PageSize, wal.Length);
        var page = new byte[PageSize];
        for (var number = 1u; number <= frames / 2; number++)
        {
            Assert.True(view.TryRead(number, 0, page));
            Assert.Equal((byte)(number + frames / 2), page[10]);
        }
    }

    [Fact]
    public void Pages_that_are_overwritten_count_when_the_transaction_ends()
    {
        var (first, second) = (Frames(40, 40), Frames(40, 40, content: 100));
        using var file = new Counted(UnnamedFile.OpenLogFile(directory));
        using var followed = new FollowedWal(file, directory);
        void Write(int at, ReadOnlySpan<byte> bytes)
        {
            file.Write(at, bytes);
            followed.Written(at, bytes.Length, 1);
        }
        Write(0, first.AsSpan(0, 32));
        for (var i = 0; i < 39; i++) Write(32 + i * FrameBytes, first.AsSpan(32 + i * FrameBytes, FrameBytes));
        Assert.True(followed.View!.IsEmpty);
        // Other pages over them, then the headers in order, that of the commit last.
        for (var i = 38; i >= 0; i--)
            Write(32 + i * FrameBytes + 24, second.AsSpan(32 + i * FrameBytes + 24, PageSize));
        Write(32 + 39 * FrameBytes, second.AsSpan(32 + 39 * FrameBytes, FrameBytes));
        Assert.True(followed.View!.IsEmpty);
        for (var i = 0; i < 40; i++)
        {
            Assert.True(followed.View!.IsEmpty);
            Write(32 + i * FrameBytes, second.AsSpan(32 + i * FrameBytes, 24));
        }
        Assert.Equal(40, followed.View!.Pages.Count);
        var page = new byte[PageSize];
        Assert.True(followed.View.TryRead(7, 0, page));
        Assert.Equal(107, page[10]);
    }

    /// <summary>A WAL of one transaction, its pages numbered round and round.</summary>
    static byte[] Frames(int count, int pages, int content = 0)
    {
        var wal = new byte[32 + count * FrameBytes];
        BinaryPrimitives.WriteUInt32BigEndian(wal, 0x377f0682);
        BinaryPrimitives.WriteUInt32BigEndian(wal.AsSpan(4), 3007000);
        BinaryPrimitives.WriteInt32BigEndian(wal.AsSpan(8), PageSize);
        BinaryPrimitives.WriteUInt32BigEndian(wal.AsSpan(16), 1234);
        BinaryPrimitives.WriteUInt32BigEndian(wal.AsSpan(20), 5678);
        var (s1, s2) = Sum(wal.AsSpan(0, 24), 0, 0);
        Put(wal.AsSpan(24), s1, s2);
        for (var i = 0; i < count; i++)
        {
            var frame = wal.AsSpan(32 + i * FrameBytes, FrameBytes);
            BinaryPrimitives.WriteInt32BigEndian(frame, i % pages + 1);
            if (i == count - 1) BinaryPrimitives.WriteInt32BigEndian(frame[4..], pages);
            wal.AsSpan(16, 8).CopyTo(frame[8..]);
            frame[24..].Fill((byte)(i + 1 + content));
            (s1, s2) = Sum(frame[..8], s1, s2);
            (s1, s2) = Sum(frame[24..], s1, s2);
            Put(frame[16..], s1, s2);
        }
        return wal;
    }

    static void Put(Span<byte> to, uint s1, uint s2)
    {
        BinaryPrimitives.WriteUInt32BigEndian(to, s1);
        BinaryPrimitives.WriteUInt32BigEndian(to[4..], s2);
    }

    static (uint, uint) Sum(ReadOnlySpan<byte> bytes, uint s1, uint s2)
    {
        for (var i = 0; i < bytes.Length; i += 8)
        {
            s1 += BinaryPrimitives.ReadUInt32LittleEndian(bytes[i..]) + s2;
            s2 += BinaryPrimitives.ReadUInt32LittleEndian(bytes[(i + 4)..]) + s1;
        }
        return (s1, s2);
    }

    /// <summary>Counts what is read.</summary>
    sealed class Counted(ILogFile inner) : ILogFile
    {
        public long ReadBytes;
        public string Path { get => inner.Path; set => inner.Path = value; }
        public long SizeBytes => inner.SizeBytes;
        public int Read(long offset, Span<byte> destination)
        {
            ReadBytes += destination.Length;
            return inner.Read(offset, destination);
        }
        public void Write(long offset, ReadOnlySpan<byte> source) => inner.Write(offset, source);
        public void SyncData() => inner.SyncData();
        public void Truncate(long sizeBytes) => inner.Truncate(sizeBytes);
        public void Allocate(long from, long to) => inner.Allocate(from, to);
        public void Dispose() => inner.Dispose();
    }
}
