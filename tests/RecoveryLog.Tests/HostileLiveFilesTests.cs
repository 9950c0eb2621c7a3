using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.RecoveryLog.Tests;

/// <summary>Records that somebody means harm with cost what they are: not memory, not time without end.</summary>
public sealed class HostileLiveFilesTests
{
    readonly LiveFiles live = new();
    ulong lsn;

    Record Next(RecordKind kind, params byte[] body) => new(++lsn, kind, 0, 0, 1, body);

    void Apply(RecordKind kind, params byte[] body) => live.Apply(Next(kind, body));

    static byte[] Written(ulong fnode, long offset, byte[] bytes) => [.. FileRecords.Written(fnode, offset), .. bytes];

    static long AllocatedBy(Action action)
    {
        var before = GC.GetAllocatedBytesForCurrentThread();
        action();
        return GC.GetAllocatedBytesForCurrentThread() - before;
    }

    [Theory]
    [InlineData((int)FileClass.Plain, LiveFiles.MaxHoleBytes + 11)]
    [InlineData((int)FileClass.Plain, 1L << 46)]
    [InlineData((int)FileClass.Plain, long.MaxValue - 100)]
    [InlineData((int)FileClass.RocksSmall, LiveFiles.MaxHoleBytes + 11)]
    public void A_write_that_leaves_a_large_hole_is_refused_in_anothers_log(int fileClass, long offset)
    {
        var kind = (FileClass)fileClass;
        Apply(RecordKind.FileCreated, FileRecords.Created(1, kind, "CURRENT"));
        Apply(RecordKind.FileWritten, Written(1, 0, new byte[10]));
        var refused = Assert.Throws<RecoveryException>(() =>
        {
            var write = Next(RecordKind.FileWritten, Written(1, offset, new byte[1]));
            if (kind == FileClass.Plain) live.ApplyOfOther(write);
            else live.Apply(write);
        });
        Assert.Equal(RecoveryError.Corrupt, refused.Error);
        Assert.Contains("CURRENT", refused.Message);
        if (kind == FileClass.Plain) Assert.Equal(3ul, refused.Lsn);
    }

    [Theory]
    [InlineData(ulong.MaxValue)]
    [InlineData(ulong.MaxValue - 1)]
    [InlineData(HintsFormat.MaxFnode)]
    public void A_number_that_leaves_none_for_files_to_come_is_refused(ulong fnode)
    {
        foreach (var fileClass in (FileClass[])[FileClass.Plain, FileClass.RocksSmall])
        {
            var body = FileRecords.Created(fnode, fileClass, "CURRENT");
            Assert.Equal(RecoveryError.Corrupt,
                Assert.Throws<RecoveryException>(() => Apply(RecordKind.FileCreated, body)).Error);
            Assert.Equal(RecoveryError.Corrupt, Assert.Throws<RecoveryException>(
                () => live.ApplyOfOther(Next(RecordKind.FileCreated, body))).Error);
        }
        Assert.Equal(1ul, live.NewFnode());
    }

    [Theory]
    [InlineData(uint.MaxValue)]
    [InlineData(HintsFormat.MaxDatabaseId)]
    public void A_number_that_leaves_none_for_databases_to_come_is_refused(uint id)
    {
        var body = DatabaseRecords.Named(id, "a.db");
        Assert.Equal(RecoveryError.Corrupt,
            Assert.Throws<RecoveryException>(() => Apply(RecordKind.DatabaseCreated, body)).Error);
        Assert.Equal(1u, live.NextDatabaseId);
    }

    [Fact]
    public void A_sector_that_SQLite_leaves_out_is_none()
    {
        Apply(RecordKind.FileCreated, FileRecords.Created(1, FileClass.Plain, "a.db-journal"));
        live.ApplyOfOther(Next(RecordKind.FileWritten, Written(1, 65536, new byte[512])));
        Assert.Equal(66048, live.Find(1)!.SizeBytes);
    }

    [Fact]
    public void Small_files_that_are_changed_in_place_are_copied_only_for_who_looks()
    {
        const int size = 8 << 20;
        Apply(RecordKind.FileCreated, FileRecords.Created(1, FileClass.RocksSmall, "CURRENT"));
        Apply(RecordKind.FileWritten, Written(1, 0, new byte[size]));
        var seen = live.Find(1)!;
        Assert.InRange(AllocatedBy(() =>
        {
            for (var i = 0; i < 500; i++)
            {
                Apply(RecordKind.FileWritten, Written(1, 0, [(byte)(i + 1)]));
                Apply(RecordKind.FileTruncated, FileRecords.Truncated(1, size - i - 1));
            }
        }), 0, 4 * size);
        Assert.Equal(0, seen.Bytes.Span[0]);
        Assert.Equal(unchecked((byte)500), live.Find(1)!.Bytes.Span[0]);
        Assert.Equal(size - 500, live.Find(1)!.Bytes.Length);
    }

    [Fact]
    public void What_was_cut_away_does_not_come_back_behind_a_hole()
    {
        Apply(RecordKind.FileCreated, FileRecords.Created(1, FileClass.RocksSmall, "CURRENT"));
        Apply(RecordKind.FileWritten, Written(1, 0, "a secret"u8.ToArray()));
        Apply(RecordKind.FileTruncated, FileRecords.Truncated(1, 1));
        var cut = live.Find(1)!;
        Apply(RecordKind.FileWritten, Written(1, 4, "b"u8.ToArray()));
        Assert.Equal("a\0\0\0b"u8.ToArray(), live.Find(1)!.Bytes.ToArray());
        Assert.Equal("a"u8.ToArray(), cut.Bytes.ToArray());
    }

    [Fact]
    public void Many_small_files_are_not_counted_for_each_write()
    {
        const int count = 20_000;
        for (var i = 1u; i <= count; i++)
            Apply(RecordKind.FileCreated, FileRecords.Created(i, FileClass.RocksSmall, $"OPTIONS-{i:d6}"));
        for (var i = 1u; i <= count; i++) Apply(RecordKind.FileWritten, Written(i, 0, [1]));
        // All of them together may not have too much, whether some have gone or not.
        var large = new byte[LiveFiles.MaxSmallFileBytes];
        Apply(RecordKind.FileWritten, Written(1, 0, large));
        Assert.Throws<RecoveryException>(() => Apply(RecordKind.FileWritten, Written(2, 0, large)));
        Apply(RecordKind.FileDeleted, FileRecords.Deleted(1));
        Apply(RecordKind.FileWritten, Written(2, 0, large));
        Assert.Throws<RecoveryException>(() => Apply(RecordKind.FileWritten, Written(3, 0, large)));
    }

    [Fact]
    public void A_file_with_too_many_names_and_too_many_files_are_refused()
    {
        Apply(RecordKind.FileCreated, FileRecords.Created(1, FileClass.RocksSmall, "OPTIONS-000001"));
        for (var i = 2; i <= LiveFiles.MaxNames; i++)
            Apply(RecordKind.FileLinked, FileRecords.Linked(1, $"OPTIONS-{i:d6}"));
        Assert.Contains("names", Assert.Throws<RecoveryException>(() =>
            Apply(RecordKind.FileLinked, FileRecords.Linked(1, "OPTIONS-000999"))).Message);
        for (var i = 2u; i <= HintsFormat.MaxFiles; i++)
            Apply(RecordKind.FileCreated, FileRecords.Created(i, FileClass.Plain, $"{i}-wal"));
        Assert.Contains("files live", Assert.Throws<RecoveryException>(() =>
            Apply(RecordKind.FileCreated, FileRecords.Created(1 << 20, FileClass.Plain, "x-wal"))).Message);
    }

    [Fact]
    public void Checksums_of_a_hole_are_those_of_zeros()
    {
        var bytes = new byte[100_000];
        bytes[100] = 1;
        bytes[^1] = 2;
        var sums = new ChunkSums();
        sums.Write(100, bytes.AsSpan(100, 1));
        sums.Write(bytes.Length - 1, bytes.AsSpan(bytes.Length - 1));
        Assert.Equal(ChunkSums.Of(bytes),
            sums.Take((_, _) => throw new InvalidOperationException("Nothing is stale.")));
    }
}
