using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.Read;

namespace RecoveryVfs.RecoveryLog.Tests.Remote;

/// <summary>Hints whose hashes are right and that mean harm: what they may cost is bounded by what they have.</summary>
public sealed class HostileHintsTests
{
    static readonly Guid log = Guid.Parse("00112233-4455-6677-8899-aabbccddeeff");

    static byte[] Write(params LiveFile[] files) => Write([], files);

    static byte[] Write(Extent[] extents, LiveFile[] files)
    {
        var hints = new Hints
        {
            LogId = log,
            Epoch = 1,
            Lsn = 50,
            ReplayFrom = 40,
            NextFnode = 1000,
            NextDatabaseId = 2,
            Databases = [new LiveDatabase(1, "a.db")],
            Files = files,
        };
        var start = new RemoteLogEnd(35, ObjectHash.Of([4]), 1, 3, 20);
        return RemoteHintsFormat.Write(
            new RemoteHintsHeader
            {
                LogId = log,
                Epoch = 1,
                Author = 3,
                Lsn = 50,
                ReplayFrom = 40,
                TimeMs = 7,
                Start = start
            }, extents, hints);
    }

    static LiveFile Wal(int bytes)
        => new()
        {
            Fnode = 6,
            Class = FileClass.Plain,
            Names = ["a.db-wal"],
            SizeBytes = bytes,
            Bytes = new byte[bytes]
        };

    static (Exception? Error, long Allocated) Read(byte[] bytes)
    {
        var before = GC.GetAllocatedBytesForCurrentThread();
        var error = Xunit.Record.Exception(() => RemoteHintsFormat.Read(bytes, RemoteNames.HintsAt(50)));
        return (error, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    [Fact]
    public void A_small_object_that_says_it_holds_very_much_is_not_unpacked()
    {
        // What a real writer makes of a WAL of zeros, without what it adds behind the frame.
        var honest = Write(Wal(200 << 20));
        var end = Array.FindLastIndex(honest, honest.Length - 33, b => b != 0) + 1;
        var bomb = honest[..(end + 32)];
        ObjectHash.Of(bomb.AsSpan(0, end)).CopyTo(bomb.AsSpan(end));
        Assert.InRange(bomb.Length, 0, 200 << 10);
        var (error, allocated) = Read(bomb);
        Assert.Equal(RecoveryError.Corrupt, Assert.IsType<RecoveryException>(error).Error);
        Assert.Contains(RemoteNames.HintsAt(50), error.Message);
        Assert.InRange(allocated, 0, 1 << 20);
    }

    /// <summary>Memory is set aside as bytes come out, not as the header promises them.</summary>
    [Fact]
    public void A_small_object_that_promises_as_much_as_it_may_takes_what_it_has()
    {
        var less = Write(Wal(1000));
        BitConverter.TryWriteBytes(less.AsSpan(132), RemoteHintsFormat.FreeBytes);
        ObjectHash.Of(less.AsSpan(0, less.Length - 32)).CopyTo(less.AsSpan(less.Length - 32));
        var (error, allocated) = Read(less);
        Assert.Equal(RecoveryError.Corrupt, Assert.IsType<RecoveryException>(error).Error);
        Assert.InRange(allocated, 0, 8 << 20);
    }

    /// <summary>Whoever adds them up would come to no number.</summary>
    [Fact]
    public void Extents_that_no_disk_could_hold_are_refused()
    {
        LiveFile Of(ulong fnode, long size) => new()
        {
            Fnode = fnode,
            Class = FileClass.RocksTable,
            Names = [$"{fnode:d6}.sst"],
            SizeBytes = size,
            IsSealed = true,
        };
        foreach (var size in (long[])[1L << 40, 1L << 60, long.MaxValue])
        {
            var files = new[] { Of(7, size), Of(8, size) };
            var extents = files.Select(f => new Extent(f.Fnode, 1, size, ObjectHash.Of([1]))).ToArray();
            var (error, _) = Read(Write(extents, files));
            if (size == 1L << 40) Assert.Null(error);
            else Assert.Equal(RecoveryError.Corrupt, Assert.IsType<RecoveryException>(error).Error);
        }
    }

    /// <summary>Each name becomes a copy of the file where it is restored.</summary>
    [Fact]
    public void A_file_of_many_names_is_refused()
    {
        var names = Enumerable.Range(0, LiveFiles.MaxNames).Select(i => $"OPTIONS-{i:d6}").ToArray();
        var file = new LiveFile { Fnode = 7, Class = FileClass.RocksSmall, Names = names };
        Assert.Null(Read(Write(file)).Error);
        var (error, _) = Read(Write(file with { Names = [.. names, "CURRENT"] }));
        Assert.Equal(RecoveryError.Corrupt, Assert.IsType<RecoveryException>(error).Error);
        Assert.Contains("names", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(1 << 20)]
    [InlineData(RemoteHintsFormat.FreeBytes + 1000)]
    [InlineData(200 << 20)]
    public void What_a_writer_publishes_is_read_however_well_it_compresses(int bytes)
    {
        var (error, allocated) = Read(Write(Wal(bytes)));
        Assert.Null(error);
        Assert.InRange(allocated, bytes, 3L * bytes + (4 << 20));
    }

    [Fact]
    public void A_frame_that_holds_more_than_it_says_is_not_unpacked_to_its_end()
    {
        var honest = Write(Wal(16 << 20));
        BitConverter.TryWriteBytes(honest.AsSpan(132), 1000);
        ObjectHash.Of(honest.AsSpan(0, honest.Length - 32)).CopyTo(honest.AsSpan(honest.Length - 32));
        var (error, allocated) = Read(honest);
        Assert.IsType<RecoveryException>(error);
        Assert.InRange(allocated, 0, 1 << 20);
    }

    [Fact]
    public void Numbers_of_files_and_databases_have_a_bound()
    {
        var many = Write(
            [.. Enumerable.Range(1, 300_000)
            .Select(i => new LiveFile { Fnode = (ulong)i, Class = FileClass.Plain, Names = [$"{i}"] })]);
        var (error, allocated) = Read(many);
        Assert.IsType<RecoveryException>(error);
        Assert.InRange(allocated, 0, 64 << 20);
    }

    [Theory]
    [InlineData(FileClass.RocksSmall, "/etc/cron.d/x")]
    [InlineData(FileClass.RocksSmall, "../x")]
    [InlineData(FileClass.RocksSmall, "000001.log")]
    [InlineData(FileClass.RocksSmall, "LOCK")]
    [InlineData(FileClass.RocksSmall, "LOG")]
    [InlineData(FileClass.RocksSmall, "MANIFEST-")]
    [InlineData(FileClass.RocksSmall, "MANIFEST-1/2")]
    [InlineData(FileClass.RocksSmall, "MANIFEST-000000000000000000001")]
    [InlineData(FileClass.RocksSmall, "OPTIONS-1.dbtmp2")]
    [InlineData(FileClass.RocksSmall, "000001.sst")]
    [InlineData(FileClass.RocksTable, "CURRENT")]
    [InlineData(FileClass.RocksTable, ".sst")]
    [InlineData(FileClass.RocksTable, "../1.sst")]
    [InlineData(FileClass.RocksTable, "x1.sst")]
    [InlineData(FileClass.RocksBlob, "1.sst")]
    [InlineData(FileClass.RocksBlob, "1.blob/")]
    [InlineData(FileClass.Plain, "../a-wal")]
    [InlineData(FileClass.Plain, "/a-wal")]
    [InlineData(FileClass.Plain, "..")]
    [InlineData(FileClass.Plain, "a\0b")]
    public void Names_that_no_file_has_are_refused(object kind, string name)
    {
        var fileClass = (FileClass)kind;
        var (error, _) =
            Read(Write(new LiveFile
            {
                Fnode = 6,
                Class = fileClass,
                Names = [name],
                SizeBytes = 3,
                Bytes = new byte[3]
            }));
        Assert.Equal(RecoveryError.Corrupt, Assert.IsType<RecoveryException>(error).Error);
        Assert.Contains(RemoteNames.HintsAt(50), error.Message);
        Assert.DoesNotContain("\0", error.Message);
        // The same in a record, created or renamed.
        byte[] body = [.. BitConverter.GetBytes(6ul), (byte)fileClass, .. System.Text.Encoding.UTF8.GetBytes(name)];
        Assert.Throws<RecoveryException>(() => FileRecords.ReadCreated(body));
        Assert.Throws<RecoveryException>(() => FileRecords.Created(6, fileClass, name));
        var live = new LiveFiles();
        var known = fileClass switch
        {
            FileClass.RocksTable => "9.sst",
            FileClass.RocksBlob => "9.blob",
            FileClass.RocksSmall => "CURRENT",
            _ => "a-wal"
        };
        if (known == name) return;
        live.Apply(new RecoveryLog.Records.Record(1, RecordKind.FileCreated, 0, 0, 0,
            FileRecords.Created(6, fileClass, known)));
        Assert.Throws<RecoveryException>(() =>
            live.Apply(new RecoveryLog.Records.Record(2, RecordKind.FileRenamed, 0, 0, 0,
                [.. BitConverter.GetBytes(6ul), .. System.Text.Encoding.UTF8.GetBytes(name)])));
    }

    [Fact]
    public void Many_small_files_in_records_take_no_more_than_their_bound()
    {
        var live = new LiveFiles();
        var lsn = 1ul;
        Assert.Throws<RecoveryException>(() =>
        {
            for (var fnode = 1ul; fnode < 100; fnode++)
            {
                live.Apply(new RecoveryLog.Records.Record(lsn++, RecordKind.FileCreated, 0, 0, 0,
                    FileRecords.Created(fnode, FileClass.RocksSmall, $"MANIFEST-{fnode}")));
                live.Apply(new RecoveryLog.Records.Record(lsn++, RecordKind.FileWritten, 0, 0, 0,
                    [.. FileRecords.Written(fnode, LiveFiles.MaxSmallFileBytes - 1), 1]));
            }
        });
        Assert.InRange(live.Files.Sum(f => (long)f.Bytes.Length), 0, LiveFiles.MaxSmallFilesBytes);
    }
}
