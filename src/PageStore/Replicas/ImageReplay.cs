using RecoveryVfs.PageStore.Files;
using RecoveryVfs.PageStore.Pages;
using RecoveryVfs.PageStore.Sealed;
using RecoveryVfs.PageStore.Wals;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.PageStore.Replicas;

/// <summary>
/// Applies the log to a plain file: the commits of one database, each verified by its checksum, and what its WAL has at
/// the end. A rollback journal is not needed, since commits are whole.
/// </summary>
internal sealed class ImageReplay : IDisposable
{
    readonly Hints hints;
    readonly PlainImage image;
    readonly string scratch;
    readonly LiveFiles live = new();
    readonly PlainReplay plain;
    readonly HashSet<ulong> wals = [];
    readonly DiskReserve room;
    readonly byte[] after = new byte[PageCommitFormat.MaxPageBytes];
    string? wanted;
    ulong appliedLsn, expected;
    long pagesSeen;
    bool isOpen, isVerified;

    /// <param name="hints">Where the log's part begins.</param>
    /// <param name="database">The database; 0 when the log will say which number it has.</param>
    /// <param name="name">Its name; null for the first one that there is.</param>
    /// <param name="image">What it has already.</param>
    /// <param name="appliedLsn">The commit that the image shows, if its checksum is the expected one.</param>
    /// <param name="expected">The checksum after that commit.</param>
    /// <param name="scratch">A directory for WALs.</param>
    public ImageReplay(Hints hints, uint database, string? name, PlainImage image, ulong appliedLsn, ulong expected,
        string scratch)
    {
        (this.hints, Database, wanted, this.image, this.appliedLsn, this.expected, this.scratch) =
            (hints, database, name, image, appliedLsn, expected, scratch);
        isVerified = image.Checksum == expected;
        pagesSeen = image.PageSize == 0 ? 0 : image.SizeBytes / image.PageSize;
        room = new DiskReserve(LocalDisk.Instance, System.IO.Path.GetDirectoryName(image.Path)!);
        live.Load(hints);
        LocalDisk.Instance.CreateDirectory(scratch);
        var mine = hints.Files.Where(f => f.Class == FileClass.Plain && IsWal(f.Name)).ToList();
        plain = new PlainReplay(LocalDisk.Instance, scratch,
            hints with { Files = [.. mine.Select(f => f with { Sums = default })] });
        foreach (var file in mine)
        {
            wals.Add(file.Fnode);
            using var target = LocalDisk.Instance.Open(PathOf(file.Fnode), LogFileMode.Create);
            if (file.Bytes.Length > 0) target.Write(0, file.Bytes.Span);
        }
    }

    /// <summary>The database's number.</summary>
    public uint Database { get; private set; }

    /// <summary>What lives after what was taken.</summary>
    public IReadOnlyList<LiveDatabase> Databases => live.Databases;

    string PathOf(ulong fnode) => Path.Combine(scratch, fnode.ToString("x16"));

    bool IsWal(string name) => wanted is not null && name == wanted + Wal.Suffix;

    /// <summary>Takes the next record, of whole groups.</summary>
    public void Take(in Record record)
    {
        room.Take(record.Body.Length);
        if (record.Lsn > hints.Lsn)
        {
            live.ApplyOfOther(record);
            TakeFile(record);
        }
        if (record.Kind == RecordKind.DatabaseCreated && Database == 0
            && DatabaseRecords.ReadNamed(record.Body) is var (id, name) && (wanted is null || wanted == name))
            (Database, wanted) = (id, name);
        if (record.Kind == RecordKind.PageCommit && record.Lsn > appliedLsn) TakePages(PageCommit.Read(record));
        if (isOpen && !record.Continues) EndGroup(record.Lsn);
    }

    void TakeFile(in Record record)
    {
        var isMine = record.Kind switch
        {
            RecordKind.FileCreated => FileRecords.ReadCreated(record.Body) is var (created, kind, name)
                && kind == FileClass.Plain && IsWal(name) && wals.Add(created),
            RecordKind.FileWritten => wals.Contains(FileRecords.ReadWritten(record.Body).Fnode),
            RecordKind.FileTruncated => wals.Contains(FileRecords.ReadTruncated(record.Body).Fnode),
            _ => false,
        };
        if (isMine) plain.Take(record, live);
        if (isMine && record.Kind == RecordKind.FileCreated) DropOlder();
    }

    /// <summary>A WAL that began anew is another file, and there may be very many of them.</summary>
    void DropOlder()
    {
        foreach (var fnode in wals.Where(f => live.ClassOf(f) is null).ToArray())
        {
            wals.Remove(fnode);
            plain.Forget(fnode);
            LocalDisk.Instance.Delete(PathOf(fnode));
        }
    }

    void TakePages(in PageCommit commit)
    {
        if (commit.Database != Database) return;
        // A file of so many pages that nobody wrote is read for very long. A store knows which pages there are.
        pagesSeen += commit.Count;
        if (commit.PageSize > 0 && commit.SizeBytes / commit.PageSize > PlainRestore.PagesFree + (8 * pagesSeen))
            throw new UnfamiliarFileException("A commit",
                $"says {commit.SizeBytes} bytes in pages of {commit.PageSize}, of which most were never written");
        if (!isOpen && commit.IsRebase) image.Begin(commit.PageSize, 0);
        if (!isOpen || commit.IsLastPart) image.Resize(commit.PageSize, commit.SizeBytes);
        isOpen = true;
        foreach (var change in commit)
        {
            room.Take(commit.PageSize);
            var old = image.Read(change.Page);
            var hash = PageCommitFormat.HashOf(change.Page, old);
            var fresh = after.AsSpan(0, commit.PageSize);
            old.CopyTo(fresh);
            change.ApplyTo(fresh);
            image.Replace(change.Page, hash, fresh);
        }
        if (commit.IsLastPart) expected = commit.Checksum;
    }

    /// <summary>
    /// The running checksum may be wrong as long as the pages were not yet compared: a crash may have left part of a
    /// large commit in the page store, which this one completes.
    /// </summary>
    void EndGroup(ulong lsn)
    {
        isOpen = false;
        appliedLsn = lsn;
        if (image.Checksum != expected && (isVerified || image.Recount() != expected)) throw Diverged(lsn);
        isVerified = true;
    }

    /// <summary>All records have been taken: brings in what the WAL has, and verifies what was not.</summary>
    public void Finish()
    {
        if (!isVerified && image.Checksum != expected && image.Recount() != expected) throw Diverged(appliedLsn);
        if (wanted is null
            || live.Files.FirstOrDefault(f => f.Class == FileClass.Plain && f.Names.Contains(wanted + Wal.Suffix))
            is not { } file)
            return;
        if (!wals.Contains(file.Fnode)) throw new UnfamiliarFileException(file.Name, "had another name before");
        plain.Dispose();
        using var wal = new FollowedWal(LocalDisk.Instance.Open(PathOf(file.Fnode), LogFileMode.Read), scratch);
        wal.Written(0, 0, appliedLsn);
        if (wal.View is not { IsEmpty: false } view) return;
        image.Resize(view.PageSize, view.SizeBytes);
        foreach (var page in view.Pages.Keys.Order())
        {
            var bytes = after.AsSpan(0, view.PageSize);
            if (page <= view.SizePages && view.TryRead(page, 0, bytes)) image.Replace(page, 0, bytes);
        }
    }

    UnfamiliarFileException Diverged(ulong lsn)
        => new(image.Path, $"does not have the checksum that the log says after the commit at LSN {lsn}");

    public void Dispose() => plain.Dispose();
}
