using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Log;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.PageStore.Files;

/// <summary>
/// Repeats the records of plain files on the files themselves, after a crash. Repeating what the files hold already
/// changes nothing: writes and cuts assign. What no record touches must be as the hints say.
/// </summary>
internal sealed class PlainReplay : IDisposable
{
    const int OpenFilesMax = 64;

    readonly ILogDisk disk;
    readonly string directory;
    readonly Dictionary<ulong, ILogFile> open = [];
    readonly HashSet<ulong> unsynced = [];
    readonly Dictionary<ulong, ChunkSums> sums = [];
    readonly Dictionary<ulong, VouchedFile> vouched = [];
    // Of files that were opened here, and nobody else writes.
    readonly Dictionary<ulong, long> lengths = [];

    /// <param name="disk">Where the files are.</param>
    /// <param name="directory">Their directory.</param>
    /// <param name="hints">The state that the records follow; null for none.</param>
    public PlainReplay(ILogDisk disk, string directory, Hints? hints)
    {
        this.disk = disk;
        this.directory = directory;
        foreach (var file in hints?.Files ?? [])
        {
            if (file.Class != FileClass.Plain) continue;
            sums[file.Fnode] = ChunkSums.From(file.SizeBytes, file.Sums);
            vouched[file.Fnode] = new VouchedFile(file);
        }
    }

    string PathOf(ulong fnode) => Path.Combine(directory, fnode.ToString("x16"));

    /// <summary>A file's length; -1 when it is not there.</summary>
    public long LengthOf(ulong fnode)
    {
        if (open.TryGetValue(fnode, out var known)) return known.SizeBytes;
        if (lengths.TryGetValue(fnode, out var length)) return length;
        if (!disk.Exists(PathOf(fnode))) return -1;
        using var file = disk.Open(PathOf(fnode), LogFileMode.Read);
        return file.SizeBytes;
    }

    /// <summary>Takes the next record; <paramref name="live"/> has taken it before.</summary>
    public void Take(in Record record, LiveFiles live)
    {
        switch (record.Kind)
        {
            case RecordKind.FileCreated:
                var created = FileRecords.ReadCreated(record.Body);
                if (created.Class != FileClass.Plain) break;
                Change(created.Fnode, LogFileMode.Create);
                sums[created.Fnode] = new ChunkSums();
                vouched.Remove(created.Fnode);
                break;
            case RecordKind.FileWritten:
                var written = FileRecords.ReadWritten(record.Body);
                if (!IsPlain(live, written.Fnode)) break;
                Change(written.Fnode).Write(written.Offset, written.Bytes);
                SumsOf(written.Fnode).Write(written.Offset, written.Bytes);
                vouched.GetValueOrDefault(written.Fnode)?.Written(written.Offset, written.Bytes.Length);
                break;
            case RecordKind.FileTruncated:
                var (fnode, size) = FileRecords.ReadTruncated(record.Body);
                if (!IsPlain(live, fnode)) break;
                var file = Change(fnode);
                if (file.SizeBytes > size) file.Truncate(size);
                SumsOf(fnode).Truncate(size);
                vouched.GetValueOrDefault(fnode)?.Cut(size);
                break;
            case RecordKind.FileDeleted:
                Forget(FileRecords.ReadDeleted(record.Body));
                break;
        }
    }

    /// <summary>A file is of no use any more.</summary>
    public void Forget(ulong fnode)
    {
        sums.Remove(fnode);
        vouched.Remove(fnode);
        unsynced.Remove(fnode);
        lengths.Remove(fnode);
        if (open.Remove(fnode, out var closed)) closed.Dispose();
    }

    /// <summary>The checksums of a file after all that was taken.</summary>
    public ChunkSums SumsOf(ulong fnode) => sums.TryGetValue(fnode, out var known)
        ? known
        : sums[fnode] = ChunkSums.From(Math.Max(0, LengthOf(fnode)), default);

    /// <summary>Up to where hints still vouch for a file.</summary>
    public long VouchedUntil(ulong fnode) => vouched.GetValueOrDefault(fnode)?.Until ?? 0;

    /// <summary>Whether newer hints would vouch for more, see <see cref="VouchedFile.IsOfEarlierVersion"/>.</summary>
    public bool NeedsHints => vouched.Values.Any(v => v.IsOfEarlierVersion);

    /// <summary>The checksums of a file, for hints; none when it lacks some of its bytes.</summary>
    public ReadOnlyMemory<uint> TakeSums(ulong fnode)
        => SumsOf(fnode).Take((offset, destination) => Open(fnode, LogFileMode.Write).Read(offset, destination));

    /// <summary>
    /// Compares what no record has touched with what the hints say. A file that does not fit is made whole from what
    /// <paramref name="log"/> still has, if that is enough, which
    /// <paramref name="mended"/> is told; else throws, and names it.
    /// </summary>
    public void Verify(LocalLog? log, Action<RecoveryException>? mended)
    {
        foreach (var hinted in vouched.Values)
        {
            if (DamageOf(hinted) is not { } damage) continue;
            var what = $"The plain file {hinted.File.Name} ({PathOf(hinted.File.Fnode)}) was damaged: {damage}.";
            if (log is not null) Mend(hinted, log);
            if (DamageOf(hinted) is not null)
                throw new RecoveryException(RecoveryError.Corrupt,
                    $"{what} The log no longer has those bytes, and commits that were acknowledged may be among them.",
                    "Restore the store from its remote, or from a backup of the directory.")
                { Path = PathOf(hinted.File.Fnode) };
            mended?.Invoke(new RecoveryException(RecoveryError.Corrupt,
                $"{what} It was made whole from the log, and nothing is lost.",
                "Check the disk (kernel log, SMART).")
            { Path = PathOf(hinted.File.Fnode) });
        }
    }

    string? DamageOf(VouchedFile hinted)
    {
        var (fnode, size) = (hinted.File.Fnode, hinted.File.SizeBytes);
        if (!hinted.IsFound && disk.Exists(PathOf(fnode))) Open(fnode, LogFileMode.Write);
        hinted.Find(-1, null);
        if (hinted.IsShort)
            return LengthOf(fnode) < 0 ? "it is missing" : $"it had fewer than the {size} bytes that the hints say";
        return hinted.FirstDamaged((offset, destination) => Open(fnode, LogFileMode.Write).Read(offset, destination))
            is { } chunk
            ? $"its bytes from {(long)chunk * ChunkSums.ChunkBytes} on do not have the checksum that the hints say"
            : null;
    }

    /// <summary>
    /// Repeats all that the log has of a file, in order. What it does not have, the checksums then miss.
    /// </summary>
    void Mend(VouchedFile hinted, LocalLog log)
    {
        var fnode = hinted.File.Fnode;
        using var cursor = log.ReadFrom(log.FirstLsn, LogReach.Written, "mending a plain file");
        var hasAll = false;
        while (cursor.TryRead(out var record))
        {
            if (record.Kind == RecordKind.FileCreated && FileRecords.ReadCreated(record.Body).Fnode == fnode)
            {
                Change(fnode, LogFileMode.Create);
                hasAll = true;
            }
            else if (record.Kind == RecordKind.FileWritten && FileRecords.ReadWritten(record.Body) is var written
                && written.Fnode == fnode)
                Change(fnode).Write(written.Offset, written.Bytes);
            else if (record.Kind == RecordKind.FileTruncated
                && FileRecords.ReadTruncated(record.Body) is var (cut, size) && cut == fnode
                && Change(fnode).SizeBytes > size)
                Change(fnode).Truncate(size);
        }
        // Without its beginning, only checksums of all of it can tell whether it is whole.
        if (hasAll || hinted.Until == hinted.File.SizeBytes) hinted.IsShort = LengthOf(fnode) < hinted.Until;
    }

    /// <summary>
    /// The files that were written to and are not synced yet. Hints that come after say that their bytes are on the
    /// disk; until then the log has them.
    /// </summary>
    public IReadOnlyCollection<ulong> Unsynced => unsynced;

    /// <summary>Brings what was repeated to the disk.</summary>
    public void SyncAll()
    {
        if (unsynced.Count == 0) return;
        foreach (var fnode in unsynced)
            if (open.TryGetValue(fnode, out var file)) file.SyncData();
            else PlainFileRepair.SyncIfThere(disk, PathOf(fnode));
        disk.SyncDirectory(directory);
        unsynced.Clear();
    }

    static bool IsPlain(LiveFiles live, ulong fnode) => live.ClassOf(fnode) == FileClass.Plain;

    ILogFile Change(ulong fnode, LogFileMode mode = LogFileMode.Write)
    {
        unsynced.Add(fnode);
        return Open(fnode, mode);
    }

    ILogFile Open(ulong fnode, LogFileMode mode)
    {
        if (open.TryGetValue(fnode, out var known))
        {
            if (mode != LogFileMode.Create) return known;
            known.Dispose();
        }
        if (open.Count >= OpenFilesMax) Dispose();
        var isThere = disk.Exists(PathOf(fnode));
        var file = disk.Open(PathOf(fnode), mode == LogFileMode.Write && !isThere ? LogFileMode.Create : mode);
        if (mode != LogFileMode.Create && vouched.TryGetValue(fnode, out var hinted))
            hinted.Find(isThere ? file.SizeBytes : -1, isThere ? file.Read : null);
        return open[fnode] = file;
    }

    public void Dispose()
    {
        foreach (var (fnode, file) in open)
        {
            lengths[fnode] = file.SizeBytes;
            file.Dispose();
        }
        open.Clear();
    }
}
