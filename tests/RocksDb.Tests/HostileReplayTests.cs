using RecoveryVfs.PageStore.Directories;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.Files;
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
