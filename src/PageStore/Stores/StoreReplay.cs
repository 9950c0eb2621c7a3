using RecoveryVfs.PageStore.Commits;
using RecoveryVfs.PageStore.Pages;
using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.PageStore.Stores;

/// <summary>
/// Applies PageCommit and Database records, in order, to a store's databases: the replay after a crash, and a
/// follower's life. Every commit's checksum is verified; a group is published only when it is whole.
/// </summary>
/// <param name="core">The databases that it brings forward.</param>
/// <param name="appliedBefore">Pages of commits up to here are in the page store.</param>
/// <param name="hintsLsn">The LSN of the hints that the replay started from.</param>
/// <param name="published">Told after each commit that was published.</param>
internal sealed class StoreReplay(StoreCore core, ulong appliedBefore, ulong hintsLsn, Action published)
{
    sealed class Part(PageOverlay overlay)
    {
        public readonly PageOverlay Overlay = overlay;
        public ulong Checksum;
        public ulong ExpectedChecksum;
    }

    /// <summary>When set: how much of the disk may be taken, where the records are somebody else's.</summary>
    public DiskReserve? Room { get; set; }

    readonly List<Part> group = [];
    readonly byte[] before = new byte[65536];
    readonly byte[] after = new byte[65536];

    /// <summary>Takes the next record.</summary>
    public void Take(in Record record)
    {
        switch (record.Kind)
        {
            case RecordKind.DatabaseCreated:
                var (created, name) = DatabaseRecords.ReadNamed(record.Body);
                core.Catalog.Adopt(created, name, record.Lsn);
                break;
            case RecordKind.DatabaseRenamed:
                var (renamed, newName) = DatabaseRecords.ReadNamed(record.Body);
                core.Catalog.ReplayedRename(renamed, newName);
                break;
            case RecordKind.DatabaseDeleted:
                var database = core.Catalog.ReplayedDelete(DatabaseRecords.ReadId(record.Body));
                if (record.Lsn <= appliedBefore) break;
                core.PublishReplayed(record.Lsn,
                    [new PendingPart(database ?? core.Catalog.Ghost(DatabaseRecords.ReadId(record.Body)), null, null)]);
                published();
                break;
            case RecordKind.PageCommit:
                if (record.Lsn > appliedBefore) TakePages(record);
                break;
        }
        if (!record.Continues && group.Count > 0) EndGroup(record.Lsn);
    }

    void TakePages(in Record record)
    {
        var commit = PageCommit.Read(record);
        var database = core.Catalog.Find(commit.Database);
        // Deleted before the hints were made: its deletion follows.
        if (database is null && record.Lsn <= hintsLsn) return;
        if (database is null) throw new RecoveryException(RecoveryError.Corrupt,
            $"The log names database id {commit.Database} at LSN {record.Lsn}, which it never created.",
            "Restore the store.")
        { Path = core.Directory, Lsn = record.Lsn };
        var part = group.Find(p => ReferenceEquals(p.Overlay.Database, database)) ?? BeginPart(database, commit);
        var overlay = part.Overlay;
        var pageSize = commit.PageSize;
        var existing = commit.IsRebase || overlay.IsRebase ? 0 : overlay.Basis.PageCount;
        foreach (var change in commit)
        {
            // A page of zeros has five bytes in the log: what it takes here is known here first.
            Room?.Take(pageSize);
            var page = change.Page;
            var old = before.AsSpan(0, pageSize);
            var fresh = after.AsSpan(0, pageSize);
            if (page <= existing) old[database.Read(overlay.Basis, (page - 1L) * pageSize, old)..].Clear();
            else old.Clear();
            old.CopyTo(fresh);
            change.ApplyTo(fresh);
            var known = page <= existing ? core.Cache.KnownHash(database.Id, page, overlay.Basis.Lsn) : 0;
            var hash = PageCommitFormat.HashOf(page, fresh);
            part.Checksum ^= (known != 0 ? known : PageCommitFormat.HashOf(page, old)) ^ hash;
            overlay.Changed.Add((page, hash));
            overlay.Write((page - 1L) * pageSize, fresh);
        }
        if (!commit.IsLastPart) return;
        overlay.SetSize(commit.SizeBytes);
        part.ExpectedChecksum = commit.Checksum;
    }

    Part BeginPart(Database database, in PageCommit commit)
    {
        var part = new Part(PageOverlay.ForReplay(core.Buffers, database, commit.PageSize, commit.IsRebase));
        part.Checksum = commit.IsRebase ? 0 : part.Overlay.Basis.Checksum;
        group.Add(part);
        if (commit.SizeBytes < part.Overlay.SizeBytes) CutBasis(part, commit.SizeBytes);
        return part;
    }

    void CutBasis(Part part, long sizeBytes)
    {
        var overlay = part.Overlay;
        var pageSize = overlay.PageSize;
        part.Checksum ^= core.Reader.Written.Checksum(overlay.Database, overlay.Basis,
            (uint)((sizeBytes + pageSize - 1) / pageSize) + 1, overlay.Basis.PageCount);
        overlay.SetSize(sizeBytes);
    }

    void EndGroup(ulong lsn)
    {
        var parts = new PendingPart[group.Count];
        for (var i = 0; i < parts.Length; i++)
        {
            var overlay = group[i].Overlay;
            var version =
                new DatabaseVersion(lsn, overlay.SizeBytes, overlay.PageSize, IsWal(overlay),
                group[i].ExpectedChecksum);
            parts[i] = new PendingPart(overlay.Database, overlay, version);
        }
        // Before anybody can read it.
        foreach (var part in group)
            if (part.Checksum != part.ExpectedChecksum) VerifyWhole(part, lsn);
        core.PublishReplayed(lsn, parts);
        published();
        group.Clear();
    }

    static bool IsWal(PageOverlay overlay)
    {
        Span<byte> header = stackalloc byte[20];
        return overlay.Read(0, header) == 20 && header[..16].SequenceEqual("SQLite format 3\0"u8) && header[19] == 2;
    }

    /// <summary>
    /// The running checksum is wrong when a crash had left part of a large commit in the page store already; the pages
    /// tell.
    /// </summary>
    void VerifyWhole(Part part, ulong lsn)
    {
        var overlay = part.Overlay;
        var kept = Math.Min(overlay.BasisLimit, overlay.SizeBytes);
        var whole = overlay.IsRebase ? 0 : (uint)(kept / overlay.PageSize);
        // A page that is cut in two is read like those that the commit has.
        var actual = !overlay.IsRebase && kept % overlay.PageSize != 0 && !overlay.Holds(whole + 1)
            ? HashIn(overlay, whole + 1)
            : 0;
        foreach (var number in overlay.Pages) actual ^= HashIn(overlay, number);
        actual ^= core.Reader.Written.Checksum(overlay.Database, overlay.Basis, 1, whole, overlay.Holds);
        if (actual == part.ExpectedChecksum) return;
        throw new RecoveryException(RecoveryError.Corrupt,
            $"Database {overlay.Database.Name} has checksum {actual:x16} after the commit at LSN {lsn}, and the log "
                + $"says {part.ExpectedChecksum:x16}: its pages were damaged before.",
            "Restore the store from its remote or a backup.")
        { Path = core.Directory, Lsn = lsn };
    }

    ulong HashIn(PageOverlay overlay, uint number)
    {
        var page = after.AsSpan(0, overlay.PageSize);
        page[overlay.Read((number - 1L) * overlay.PageSize, page)..].Clear();
        return PageCommitFormat.HashOf(number, page);
    }
}
