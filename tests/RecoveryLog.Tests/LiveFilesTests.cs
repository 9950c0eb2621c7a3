using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.Simulation;
using static RecoveryVfs.RecoveryLog.Tests.LogTesting;

namespace RecoveryVfs.RecoveryLog.Tests;

public sealed class LiveFilesTests
{
    sealed class Applier(LiveFiles live)
    {
        ulong lsn;

        public void Apply(RecordKind kind, ReadOnlySpan<byte> a, ReadOnlySpan<byte> b = default) =>
            live.Apply(new Record(++lsn, kind, 0, 0, 1, (byte[])[.. a, .. b]));
    }

    static (LiveFiles, Applier) New()
    {
        var live = new LiveFiles();
        return (live, new Applier(live));
    }

    [Fact]
    public void Small_files_keep_their_bytes_and_snapshots_do_not_change()
    {
        var (live, log) = New();
        log.Apply(RecordKind.FileCreated, FileRecords.Created(1, FileClass.RocksSmall, "MANIFEST-000001"));
        log.Apply(RecordKind.FileWritten, FileRecords.Written(1, 0), Text("hello"));
        var early = live.Find(1)!;
        log.Apply(RecordKind.FileWritten, FileRecords.Written(1, 5), Text(" world"));
        var middle = live.Find(1)!;
        log.Apply(RecordKind.FileWritten, FileRecords.Written(1, 0), Text("J"));
        log.Apply(RecordKind.FileWritten, FileRecords.Written(1, 12), Text("!"));
        log.Apply(RecordKind.FileWritten, FileRecords.Written(1, 50), []);
        Assert.Equal(Text("hello"), early.Bytes.ToArray());
        Assert.Equal(Text("hello world"), middle.Bytes.ToArray());
        Assert.Equal(Text("Jello world\0!"), live.Find(1)!.Bytes.ToArray());
        log.Apply(RecordKind.FileTruncated, FileRecords.Truncated(1, 4));
        log.Apply(RecordKind.FileWritten, FileRecords.Written(1, 6), Text("y"));
        Assert.Equal(Text("Jell\0\0y"), live.Find(1)!.Bytes.ToArray());
        log.Apply(RecordKind.FileSealed, FileRecords.Sealed(1, 7, 99));
        Assert.True(live.Find(1) is { IsSealed: true, Crc32C: 99u, SizeBytes: 7 });
        Assert.Equal(9ul, live.Lsn);
    }

    [Fact]
    public void Names_move_and_a_file_dies_with_its_last_one()
    {
        var (live, log) = New();
        log.Apply(RecordKind.FileCreated, FileRecords.Created(1, FileClass.RocksSmall, "CURRENT"));
        log.Apply(RecordKind.FileCreated, FileRecords.Created(2, FileClass.RocksSmall, "000002.dbtmp"));
        log.Apply(RecordKind.FileRenamed, FileRecords.Renamed(2, "CURRENT"));
        Assert.Null(live.Find(1));
        Assert.Equal(["CURRENT"], live.Find(2)!.Names);
        log.Apply(RecordKind.FileLinked, FileRecords.Linked(2, "IDENTITY"));
        log.Apply(RecordKind.FileCreated, FileRecords.Created(3, FileClass.RocksSmall, "CURRENT"));
        Assert.Equal(["IDENTITY"], live.Find(2)!.Names);
        log.Apply(RecordKind.FileCreated, FileRecords.Created(4, FileClass.RocksSmall, "IDENTITY"));
        Assert.Null(live.Find(2));
        log.Apply(RecordKind.FileDeleted, FileRecords.Deleted(3));
        log.Apply(RecordKind.FileDeleted, FileRecords.Deleted(4));
        Assert.Empty(live.Files);
        Assert.Equal(5ul, live.NewFnode());
    }

    [Fact]
    public void A_journal_called_like_a_file_of_RocksDB_takes_nothing_from_it()
    {
        var (live, log) = New();
        log.Apply(RecordKind.FileCreated, FileRecords.Created(1, FileClass.RocksSmall, "CURRENT"));
        log.Apply(RecordKind.FileCreated, FileRecords.Created(2, FileClass.Plain, "CURRENT"));
        Assert.Equal([1ul, 2ul], live.Files.Select(f => f.Fnode));
        Assert.Equal([1ul, 2ul], HintsFormat.Read(HintsFormat.Write(live.Snapshot(Id, 1, lsn => lsn + 1)), "x")
            .Files.Select(f => f.Fnode));
    }

    [Fact]
    public void Records_about_files_that_are_gone_are_passed_over()
    {
        var (live, log) = New();
        log.Apply(RecordKind.FileCreated, FileRecords.Created(5, FileClass.Plain, "a.db-wal"));
        log.Apply(RecordKind.FileWritten, FileRecords.Written(5, 100), Text("frames"));
        Assert.True(live.Find(5) is { SizeBytes: 106, Bytes.Length: 0 });
        log.Apply(RecordKind.FileDeleted, FileRecords.Deleted(5));
        log.Apply(RecordKind.FileWritten, FileRecords.Written(5, 0), Text("late"));
        log.Apply(RecordKind.FileTruncated, FileRecords.Truncated(5, 0));
        log.Apply(RecordKind.FileRenamed, FileRecords.Renamed(5, "b"));
        log.Apply(RecordKind.FileLinked, FileRecords.Linked(5, "c"));
        log.Apply(RecordKind.FileSealed, FileRecords.Sealed(5, 1, 1));
        log.Apply(RecordKind.FileDeleted, FileRecords.Deleted(5));
        log.Apply(RecordKind.FileDeleted, FileRecords.Deleted(777));
        Assert.Empty(live.Files);
    }

    [Fact]
    public void Databases_come_and_go_by_id()
    {
        var (live, log) = New();
        log.Apply(RecordKind.DatabaseCreated, DatabaseRecords.Named(1, "a.db"));
        log.Apply(RecordKind.DatabaseCreated, DatabaseRecords.Named(2, "b.db"));
        log.Apply(RecordKind.DatabaseRenamed, DatabaseRecords.Named(1, "c.db"));
        log.Apply(RecordKind.DatabaseDeleted, DatabaseRecords.Id(2));
        Assert.Equal([new LiveDatabase(1, "c.db")], live.Databases);
        Assert.Equal(3u, live.NextDatabaseId);
    }

    static Hints Full()
    {
        var (live, log) = New();
        log.Apply(RecordKind.DatabaseCreated, DatabaseRecords.Named(1, "ä.db"));
        log.Apply(RecordKind.FileCreated, FileRecords.Created(1, FileClass.RocksTable, "000001.sst"));
        log.Apply(RecordKind.FileSealed, FileRecords.Sealed(1, 1234, 42));
        log.Apply(RecordKind.FileCreated, FileRecords.Created(2, FileClass.RocksSmall, "CURRENT"));
        log.Apply(RecordKind.FileWritten, FileRecords.Written(2, 0), Text("MANIFEST-1\n"));
        log.Apply(RecordKind.FileCreated, FileRecords.Created(3, FileClass.RocksSmall, "IDENTITY"));
        log.Apply(RecordKind.FileCreated, FileRecords.Created(4, FileClass.Plain, "a-journal"));
        log.Apply(RecordKind.FileLinked, FileRecords.Linked(4, "b-journal"));
        log.Apply(RecordKind.FileWritten, FileRecords.Written(4, 0), Text("journal"));
        var hints = live.Snapshot(Id, 3, lsn => lsn - 2);
        return hints with
        {
            UnixTimeMs = 12345,
            Files = [.. hints.Files.Select(f => f.Fnode == 1 ? f with { Sha256 = Bytes(new Random(1), 32) } : f)],
        };
    }

    static string Shown(Hints h)
        => $"{h.LogId} {h.Epoch} {h.Lsn} {h.ReplayFrom} {h.NextFnode} {h.NextDatabaseId} {h.UnixTimeMs} "
        + string.Join(";", h.Databases) + string.Join(";", h.Files.Select(f =>
            $"{f.Fnode} {f.Class} {string.Join(",", f.Names)} {f.SizeBytes} {f.IsSealed} {f.Crc32C} "
                + $"{Convert.ToHexString(f.Sha256.Span)} {Convert.ToHexString(f.Bytes.Span)}"));

    [Fact]
    public void Hints_come_back_as_they_were_and_the_table_goes_on_from_them()
    {
        var hints = Full();
        var read = HintsFormat.Read(HintsFormat.Write(hints), "test");
        Assert.Equal(Shown(hints), Shown(read));
        var live = new LiveFiles();
        live.Load(read);
        Assert.Equal(Shown(hints), Shown(live.Snapshot(Id, 3, lsn => lsn - 2) with { UnixTimeMs = 12345 }));
        // What is in the hints already is passed over.
        live.Apply(new Record(hints.Lsn, RecordKind.FileDeleted, 0, 0, 1, FileRecords.Deleted(2)));
        Assert.NotNull(live.Find(2));
        live.Apply(new Record(hints.Lsn + 1, RecordKind.FileWritten, 0, 0, 1,
            (byte[])[.. FileRecords.Written(2, 11), 33]));
        Assert.Equal(Text("MANIFEST-1\n!"), live.Find(2)!.Bytes.ToArray());
        Assert.Equal(5ul, live.NewFnode());
    }

    [Fact]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void Damaged_hints_are_refused_by_name()
    {
        var good = HintsFormat.Write(Full());
        Seeds.Run(2000, random =>
        {
            var bytes = (byte[])good.Clone();
            bytes[random.Next(bytes.Length)] ^= (byte)(1 << random.Next(8));
            var e = Assert.Throws<RecoveryException>(() => HintsFormat.Read(bytes, "the-source"));
            Assert.True(e.Error is RecoveryError.Corrupt or RecoveryError.TooNew);
            Assert.Contains("the-source", e.Message);
            Assert.Throws<RecoveryException>(()
                => HintsFormat.Read(good.AsMemory(0, random.Next(good.Length)), "the-source"));

            // With a right checksum, too: nothing but an error of ours, and no allocation beyond the bytes' own
            // measure.
            for (var i = random.Next(1, 4); i > 0; i--)
                bytes[random.Next(16, bytes.Length - 4)] = (byte)random.Next(256);
            System.Buffers.Binary.BinaryPrimitives.WriteUInt32LittleEndian(bytes.AsSpan(^4),
                Crc32C.Compute(bytes.AsSpan(0, bytes.Length - 4)));
            var before = GC.GetAllocatedBytesForCurrentThread();
            try
            {
                new LiveFiles().Load(HintsFormat.Read(bytes, "the-source"));
            }
            catch (RecoveryException)
            {
            }
            Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 4 << 20);
        });
    }

    [Fact]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void Any_body_at_all_is_applied_or_reported()
    {
        Seeds.Run(3000, random =>
        {
            var (live, log) = New();
            log.Apply(RecordKind.FileCreated, FileRecords.Created(1, FileClass.RocksSmall, "MANIFEST-000009"));
            log.Apply(RecordKind.FileCreated, FileRecords.Created(2, FileClass.Plain, "b"));
            var before = GC.GetAllocatedBytesForCurrentThread();
            for (var i = 0; i < 10; i++)
            {
                var body = Bytes(random, random.Next(40));
                if (body.Length > 8 && random.Next(4) > 0)
                    System.Buffers.Binary.BinaryPrimitives.WriteUInt64LittleEndian(body, (ulong)random.Next(1, 4));
                try
                {
                    log.Apply((RecordKind)random.Next(0, 20), body);
                }
                catch (RecoveryException e) when (e.Error == RecoveryError.Corrupt)
                {
                }
            }
            Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 2L * LiveFiles.MaxSmallFileBytes);
        });
        Throws(RecoveryError.Invalid, () => FileRecords.Created(1, FileClass.Plain, new string('x', 5000)));
        Throws(RecoveryError.Invalid, () => FileRecords.Created(1, FileClass.Plain, ""));
        Throws(RecoveryError.Invalid, () => DatabaseRecords.Named(1, "\uD800"));
    }

    [Fact]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void Local_hints_survive_power_loss_whole_and_the_newest_counts()
    {
        Seeds.Run(40, random =>
        {
            var disk = new PowerLossDisk();
            Assert.Null(LocalHints.LoadNewest(disk, Dir));
            var hints = Full();
            for (ulong lsn = 10; lsn < 15; lsn++)
            {
                var next = hints with { Lsn = lsn, ReplayFrom = lsn };
                var started = disk.Now;
                LocalHints.Publish(disk, Dir, next);
                for (var moment = started; moment <= disk.Now; moment++)
                {
                    var found = LocalHints.LoadNewest(disk.AfterPowerLoss(moment), Dir);
                    Assert.True(found?.Lsn is null && lsn == 10 || found!.Lsn == lsn || found.Lsn == lsn - 1);
                }
                Assert.Equal(Shown(next), Shown(LocalHints.LoadNewest(disk.AfterPowerLoss(random), Dir)!));
            }
            Assert.Equal(2, disk.Files.Count(f => f.Contains("hints-")));
            disk.FlipBit(disk.Files[^1], 20, 1);
            var e = Throws(RecoveryError.Corrupt, () => LocalHints.LoadNewest(disk, Dir));
            Assert.Contains(disk.Files[^1], e.Message);
        });
    }
}
