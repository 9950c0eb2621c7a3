using RecoveryVfs.PageStore.Directories;
using RecoveryVfs.PageStore.Follow;
using RecoveryVfs.PageStore.FollowedDirectories;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.Files;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.Read;
using Record = RecoveryVfs.RecoveryLog.Records.Record;

namespace RecoveryVfs.Testing;

/// <summary>A RocksDB's remote that somebody means harm with.</summary>
public sealed class HostileReplayTests(ShippedRocksDb shipped) : IClassFixture<ShippedRocksDb>
{
    /// <summary>
    /// The file would have a terabyte, of which all that looks into it reads zeros for hours.
    /// </summary>
    [Fact]
    public void A_write_ahead_log_with_a_hole_is_refused_and_named()
    {
        var remote = shipped.CopyOfRemote();
        var logs = new HashSet<ulong>();
        ulong? moved = null;
        CraftedRemote.EditRecords(remote, (in Record record) =>
        {
            if (record.Kind == RecordKind.FileCreated
                && FileRecords.ReadCreated(record.Body) is { Class: FileClass.RocksLog } created)
                logs.Add(created.Fnode);
            if (record.Kind != RecordKind.FileWritten) return null;
            var write = FileRecords.ReadWritten(record.Body);
            if (!logs.Contains(write.Fnode) || write.Offset == 0) return null;
            moved ??= record.Lsn;
            return [.. FileRecords.Written(write.Fnode, write.Offset + (1L << 40)), .. write.Bytes];
        });
        Assert.NotNull(moved);
        var to = shipped.At("with-a-hole");
        var said = Programs.Recovery("restore", "file://" + remote, to).MustEndWith(4);
        Assert.Contains("LSN ", said.Errors, StringComparison.Ordinal);
        Assert.Contains(".log", said.Errors, StringComparison.Ordinal);
        Assert.False(Directory.Exists(to));
        Programs.Recovery("verify", "file://" + remote).MustEndWith(4);
    }

    [Fact]
    public async Task Any_number_of_logs_and_lacking_tables_is_gone_through_once()
    {
        const uint count = 20_000;
        await using var objects = RemoteUrl.Parse(shipped.Url).Open(readOnly: true, TimeProvider.System);
        var work = Directory.CreateDirectory(shipped.At("replayed")).FullName;
        using var replay = new DirectoryReplay(Hints.Nothing(Guid.NewGuid(), 1), work,
            await LooseExtents.ListAsync(new RemoteContext { Store = objects }));
        var lsn = 0ul;
        void Take(RecordKind kind, byte[] body) => replay.Take(new Record(++lsn, kind, 0, 0, 1, body));
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 1u; i <= count; i++)
        {
            // Logs that live to the end, others whose name is taken at once, and tables that the remote lacks.
            Take(RecordKind.FileCreated,
                FileRecords.Created(i, FileClass.RocksLog, i % 2 == 0 ? $"{i:d6}.log" : "000001.log"));
            Take(RecordKind.FileWritten, [.. FileRecords.Written(i, 0), 1]);
            Take(RecordKind.FileCreated, FileRecords.Created(count + i, FileClass.RocksTable, $"{count + i:d6}.sst"));
            Take(RecordKind.FileSealed, FileRecords.Sealed(count + i, 1, 1));
        }
        // A look at all of them with each record would take gigabytes.
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 20_000L * count);
        Assert.InRange(OpenIn(work), 0, 100);
        Assert.Equal((int)(count / 2) + 1, Directory.EnumerateFiles(work).Count());
        Assert.NotNull(replay.Lacking);
        for (var i = 1u; i <= count; i++) Take(RecordKind.FileDeleted, FileRecords.Deleted(count + i));
        Assert.Null(replay.Lacking);
        Assert.Equal(lsn, replay.WholeLsn);
        // Those that are not open are written to as well.
        Take(RecordKind.FileWritten, [.. FileRecords.Written(2, 1), 2]);
        var hole = Assert.Throws<RecoveryException>(() =>
            Take(RecordKind.FileWritten, [.. FileRecords.Written(2, 3), 2]));
        Assert.Equal(RecoveryError.Corrupt, hole.Error);
        Assert.Contains("000002.log", hole.Message, StringComparison.Ordinal);
        replay.Dispose();
        Assert.Equal([1, 2], File.ReadAllBytes(replay.PathOf(2)));
    }

    /// <summary>A follower's records come later than those that a restore has looked at.</summary>
    [Fact]
    public void A_follower_refuses_a_write_ahead_log_with_a_hole_and_writes_nothing()
    {
        using var follower = Follow("follower-of-a-hole");
        var told = Assert.Throws<DivergedException>(() => follower.Apply(Segment(
            (RecordKind.FileCreated, FileRecords.Created(1, FileClass.RocksLog, "000001.log")),
            (RecordKind.FileWritten, [.. FileRecords.Written(1, 0), 1]),
            (RecordKind.FileWritten, [.. FileRecords.Written(1, 1L << 40), 2])), log, ulong.MaxValue));
        Assert.Equal((RecoveryError.Corrupt, 3ul), (told.Cause.Error, told.Cause.Lsn));
        Assert.Contains("000001.log", told.Cause.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_follower_has_few_files_open_and_writes_to_all()
    {
        const uint count = 300;
        var path = shipped.At("follower-of-many");
        using (var follower = Follow("follower-of-many"))
        {
            follower.Apply(Segment([.. Written(1, 1), .. Written(2, 2)]), log, ulong.MaxValue);
            await follower.SettleAsync(default);
            // Of those that are there already, each gets more, and so do new ones.
            follower.Apply(Segment(1 + count * 3, [.. Written(1, 3, first: false), .. Written(3, 4)]), log,
                ulong.MaxValue);
            await follower.SettleAsync(default);
        }
        Assert.Equal(2 * (int)count, Directory.EnumerateFiles(path, "*.log").Count());
        foreach (var file in Directory.EnumerateFiles(path, "*.log"))
            Assert.Equal(int.Parse(Path.GetFileNameWithoutExtension(file)) <= count ? [1, 2, 3] : [4],
                File.ReadAllBytes(file));
        var placement = new DirectoryPlacement(LocalDisk.Instance, path, Directory.CreateDirectory(
            shipped.At("placed")).FullName, Hints.Nothing(log, 1));
        var lsn = 0ul;
        foreach (var (kind, body) in Written(1, 1)) placement.Take(new Record(++lsn, kind, 0, 0, 1, body));
        Assert.InRange(OpenIn(shipped.At("placed")), 1, 100);
        placement.Dispose();

        // A log each, with a byte, or a byte more.
        IEnumerable<(RecordKind, byte[])> Written(int round, byte value, bool first = true)
        {
            for (var i = 1u; i <= count; i++)
            {
                var fnode = round == 3 && value == 4 ? count + i : i;
                var isNew = round != 2 && first;
                if (isNew)
                    yield return (RecordKind.FileCreated, FileRecords.Created(fnode, FileClass.RocksLog,
                        $"{fnode:d6}.log"));
                yield return (RecordKind.FileWritten,
                    [.. FileRecords.Written(fnode, isNew ? 0 : value - 1), value]);
            }
        }
    }

    static readonly Guid log = Guid.NewGuid();

    FollowedDirectory Follow(string name)
    {
        var store = new StoreOptions { Directory = Path.Combine(shipped.At(name), StoreHome.Name) };
        Directory.CreateDirectory(store.Directory);
        return FollowedDirectory.Open(new FollowerOptions { Url = shipped.Url, Store = store },
            new RemoteContext { Store = new FileObjectStore(shipped.At("none")) }, Hints.Nothing(log, 0),
            new DiskReserve(LocalDisk.Instance, store.Directory));
    }

    static RemoteSegment Segment(params (RecordKind Kind, byte[] Body)[] records) => Segment(1, records);

    static RemoteSegment Segment(ulong first, params (RecordKind Kind, byte[] Body)[] records)
    {
        using var builder = new SegmentBuilder();
        foreach (var (kind, body) in records) builder.Add(new Record(first++, kind, 0, 1, 0, body));
        using var packed = builder.Finish(log, 1, 1, default);
        return RemoteSegment.Parse(packed.Name, packed.Content.Bytes!.Value.ToArray());
    }

    /// <summary>Where each name of a file is a copy of it, many names of a large one would fill any disk.</summary>
    [Fact]
    public void A_table_of_many_names_is_refused()
    {
        var remote = shipped.CopyOfRemote();
        CraftedRemote.EditHints(remote, hints => hints with
        {
            Files = [.. hints.Files.Select(f => f.Class == FileClass.RocksTable ? f with
            {
                Names = [f.Name, .. Enumerable.Range(0, 1000).Select(i => $"{f.Fnode}{i:d6}.sst")],
            } : f)],
        });
        var to = shipped.At("of-many-names");
        Assert.Contains("names", Programs.Recovery("restore", "file://" + remote, to).MustEndWith(4).Errors,
            StringComparison.Ordinal);
        Assert.False(Directory.Exists(to));
    }

    /// <summary>RocksDB would not look at such a file; the recovery log would read it for ever.</summary>
    [Fact]
    public async Task A_pipe_called_as_a_small_file_is_not_waited_for()
    {
        using var site = new Site();
        site.Open().Dispose();
        using (var made = System.Diagnostics.Process.Start("mkfifo", [Path.Combine(site.Path, "OPTIONS-999999")]))
            made.WaitForExit();
        var opening = Task.Run(() => Assert.Throws<RecoveryException>(() => site.Open().Dispose()));
        Assert.Contains("OPTIONS-999999", (await opening.WaitAsync(TimeSpan.FromMinutes(2))).Message,
            StringComparison.Ordinal);
    }

    /// <summary>How many files of a directory this process has open.</summary>
    static int OpenIn(string directory) => Directory.EnumerateFiles("/proc/self/fd").Count(path =>
    {
        try
        {
            return new FileInfo(path).LinkTarget?.StartsWith(directory, StringComparison.Ordinal) ?? false;
        }
        catch (IOException)
        {
            return false; // another thread has closed it
        }
    });
}
