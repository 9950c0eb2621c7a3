using System.Text;
using RecoveryVfs.Opening;
using RecoveryVfs.PageStore.Commits;
using RecoveryVfs.RecoveryLog.Disk;

namespace RecoveryVfs.Handles;

/// <summary>
/// The super-journals of commits over several attached databases: SQLite's file that names their journals. Its deletion
/// is the commit of all of them.
/// </summary>
/// <remarks>
/// They are kept in memory and never recorded, even with <c>journal=plain</c>. That suffices: a member's pages reach
/// its database only in the one atomic record group that the deletion appends. A crash before leaves every member as it
/// was, a crash after leaves all changed; in both cases a plain journal that is found later names a super-journal that
/// does not exist, which tells SQLite to discard it, and discarding is right both times.
///
/// SQLite's calls (vdbeCommit): EXCLUSIVE on all; xOpen(super), xWrite a name each; then for each database { its
/// journal; xWrite..; FCNTL_SYNC(super's name); xSync }; xClose(super); xDelete(super) = commit, its error is honoured;
/// then for each database { xDelete(journal); [xTruncate]; FCNTL_COMMIT_PHASETWO, its error ignored; xUnlock }. When
/// one fails before the delete, all are rolled back one by one, and the first to finish deletes the super-journal
/// (pager_delsuper) while the next still asks xAccess whether it exists, and does not restore anything when it does
/// not. So a broken super-journal stays until all have finished.
///
/// Databases of different stores commit store by store: each store's are atomic, all of them together are not. A plain
/// database that takes part through the default VFS is like a store of its own: after a crash it has the transaction or
/// not.
/// </remarks>
internal static class SuperJournals
{
    static readonly Lock gate = new();
    static readonly Dictionary<string, SuperJournal> all = new(StringComparer.Ordinal);
    static volatile int count;
    static volatile int waiting;

    public static SuperJournal? Find(ReadOnlySpan<byte> path)
    {
        if (count == 0) return null;
        lock (gate) return all.GetValueOrDefault(Encoding.UTF8.GetString(path));
    }

    public static VfsFile? Open(ReadOnlySpan<byte> path, int flags)
    {
        var name = Encoding.UTF8.GetString(path);
        lock (gate)
        {
            if (all.TryGetValue(name, out var found))
                return (flags & Sqlite.OpenExclusive) != 0 ? null : new SuperJournalFile(found);
            if ((flags & Sqlite.OpenCreate) == 0) return null;
            // A plain database in the same transaction has a journal on the disk, which after a crash counts only while
            // its super-journal is there, too.
            found = new SuperJournal { HasFile = PlainDatabases.Any && FilePlacing.TryCreateEmpty(name) };
            all.Add(name, found);
            count = all.Count;
            return new SuperJournalFile(found);
        }
    }

    /// <summary>
    /// xDelete: commits the databases that are tied together, unless their group is broken. Null when there is none at
    /// that path.
    /// </summary>
    public static int? Delete(ReadOnlySpan<byte> path)
    {
        if (Find(path) is not { } super) return null;
        if (!super.IsBroken)
        {
            try
            {
                super.Commit();
            }
            catch (Exception e)
            {
                super.IsBroken = true;
                return Failures.Report(e, Sqlite.IoErrWrite);
            }
        }
        else if (super.IsInUse)
        {
            super.DeleteWhenIdle = true;
            Interlocked.Increment(ref waiting);
            return Sqlite.Ok;
        }
        Forget(Encoding.UTF8.GetString(path));
        return Sqlite.Ok;
    }

    /// <summary>A handle left EXCLUSIVE: forgets broken super-journals that were kept for it.</summary>
    public static void Sweep()
    {
        if (waiting == 0) return;
        KeyValuePair<string, SuperJournal>[] candidates;
        lock (gate) candidates = [.. all.Where(s => s.Value.DeleteWhenIdle)];
        foreach (var (name, super) in candidates)
        {
            if (super.IsInUse || !Forget(name)) continue;
            Interlocked.Decrement(ref waiting);
        }
    }

    static bool Forget(string name)
    {
        lock (gate)
        {
            if (!all.Remove(name, out var gone)) return false;
            count = all.Count;
            if (gone.HasFile) FilePlacing.TryRemove(name);
            return true;
        }
    }
}

/// <summary>One super-journal, and the handles that prepared a commit under it.</summary>
internal sealed class SuperJournal
{
    readonly List<MainFile> members = [];

    /// <summary>Names of the members' journals, each ended by a zero byte.</summary>
    public List<byte> Content { get; } = [];

    /// <summary>
    /// A member failed, rolled back or went its own way: nothing may be published through this any more.
    /// </summary>
    public bool IsBroken { get; set; }

    /// <summary>Whether an empty file of its name is on the disk, for the journals of plain databases.</summary>
    public bool HasFile { get; init; }

    /// <summary>SQLite deleted it while members were still rolling back.</summary>
    public bool DeleteWhenIdle { get; set; }

    // All of this is called by the one thread that runs the connection's commit.
    public void Join(MainFile member) => members.Add(member);

    public void Leave(MainFile member, bool broken)
    {
        members.Remove(member);
        IsBroken |= broken;
    }

    /// <summary>Publishes all members: those of one store in one record group.</summary>
    public void Commit()
    {
        foreach (var store in members.GroupBy(m => m.Store).ToArray())
        {
            var files = store.ToArray();
            PageOverlay[] overlays = [.. files.Select(m => m.Transaction!.Pages)];
            var lsn = store.Key.Commit(overlays, durable: files.Any(m => m.Transaction!.IsSynced));
            foreach (var file in files) file.Published();
            files[0].WaitForRemote(lsn);
        }
    }

    /// <summary>Whether a database whose journal is named here is in the middle of its commit or rollback.</summary>
    public bool IsInUse
    {
        get
        {
            var names = Content.ToArray().AsSpan();
            while (!names.IsEmpty)
            {
                var end = names.IndexOf((byte)0);
                var name = end < 0 ? names : names[..end];
                names = end < 0 ? default : names[(end + 1)..];
                if (Companions.DatabaseOf(name, Companions.JournalSuffixBytes) is { IsCommitting: true }) return true;
            }
            return false;
        }
    }
}

/// <summary>An open handle on a super-journal.</summary>
internal sealed class SuperJournalFile(SuperJournal journal) : VfsFile
{
    // Names of a few journals; SQLite attaches at most 125 databases.
    const int SizeMax = 1 << 20;

    public override long SizeBytes => journal.Content.Count;

    public override int Read(Span<byte> destination, long offset)
    {
        var count = (int)Math.Clamp(journal.Content.Count - offset, 0, destination.Length);
        for (var i = 0; i < count; i++) destination[i] = journal.Content[(int)offset + i];
        return Found(count, destination);
    }

    public override int Write(ReadOnlySpan<byte> source, long offset)
    {
        if (offset + source.Length > SizeMax) return Sqlite.Full;
        while (journal.Content.Count < offset + source.Length) journal.Content.Add(0);
        for (var i = 0; i < source.Length; i++) journal.Content[(int)offset + i] = source[i];
        return Sqlite.Ok;
    }

    public override int Truncate(long sizeBytes)
    {
        if (sizeBytes < journal.Content.Count)
            journal.Content.RemoveRange((int)sizeBytes, (int)(journal.Content.Count - sizeBytes));
        return Sqlite.Ok;
    }

    public override int Sync() => Sqlite.Ok;

    public override int Close() => Sqlite.Ok;
}
