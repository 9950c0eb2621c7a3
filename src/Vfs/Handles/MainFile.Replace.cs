using System.Buffers.Binary;
using RecoveryVfs.PageStore.Commits;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.Handles;

/// <summary>What replacing a database by another did.</summary>
/// <param name="UndoLsn">The newest LSN that does not have it: the state from before.</param>
/// <param name="Lsn">The commit's LSN; the same as <paramref name="UndoLsn"/> when nothing differed.</param>
/// <param name="Pages">Pages that differed; -1 where they were not compared.</param>
internal readonly record struct Replaced(ulong UndoLsn, ulong Lsn, long Pages);

/// <summary>
/// Replacing what databases hold by what files hold (<see cref="ReplacementFile"/>), as one commit: what a roll back
/// does. A writer as any other: it takes the locks in SQLite's order, and only pages that differ are written.
/// </summary>
/// <remarks>
/// The header goes on from the database's own: the change counter and the schema's cookie are one more than they were,
/// so that every connection that has cached the state before, or the same counter from an earlier life, sees that it
/// changed. Which journal mode the database is in stays as it is, too.
/// </remarks>
internal sealed partial class MainFile
{
    const int HeaderBytes = 100;
    const int ModeAt = 18, ModeBytes = 2, CounterAt = 24, CookieAt = 40, ValidForAt = 92;

    /// <summary>The last record of the store.</summary>
    public ulong LastLsn => Store.Lsn.Last;

    /// <summary>
    /// Replaces databases of one store, all by one commit or none; returns SQLite's result code. Busy when somebody
    /// else writes to one, or a WAL may be in use: pages of such a database are SQLite's to write. BusySnapshot when a
    /// file has only what differs from another commit than the newest. The handles must have no lock, and have none
    /// afterwards. Locks are only tried, so that two who do this do not wait for each other.
    /// </summary>
    public static int Replace(IReadOnlyList<(MainFile File, ReplacementFile With)> databases, out Replaced[] done)
    {
        done = new Replaced[databases.Count];
        try
        {
            foreach (var (file, _) in databases)
                if (file.LockToReplace() is var code && code != Sqlite.Ok) return code;
            foreach (var (file, with) in databases)
                if (!with.Fits(file.database.Current.Lsn)) return Sqlite.BusySnapshot;
            var changed = new List<MainFile>();
            var before = databases[0].File.LastLsn;
            for (var i = 0; i < done.Length; i++)
            {
                var (file, with) = databases[i];
                var pages = file.WriteDifferences(with);
                done[i] = new Replaced(before, before, pages);
                if (pages == 0) continue;
                file.OnSync([]);
                changed.Add(file);
            }
            if (changed.Count == 0) return Sqlite.Ok;
            var (undo, lsn) = Commit(changed);
            for (var i = 0; i < done.Length; i++)
                if (done[i].Pages > 0) done[i] = new Replaced(undo, lsn, done[i].Pages);
            return Sqlite.Ok;
        }
        finally
        {
            foreach (var (file, _) in databases) file.Unlock(LockLevel.None);
        }
    }

    int LockToReplace()
    {
        var code = Lock(LockLevel.Shared);
        if (code == Sqlite.Ok) code = pin is null ? Sqlite.Busy : Lock(LockLevel.Reserved);
        return code == Sqlite.Ok ? Lock(LockLevel.Exclusive) : code;
    }

    /// <summary>As the deletion of a super-journal commits those that it ties together.</summary>
    static (ulong Undo, ulong Lsn) Commit(List<MainFile> files)
    {
        foreach (var file in files) file.RequireDatabase();
        PageOverlay[] overlays = [.. files.Select(f => f.transaction!.Pages)];
        // Its records follow each other.
        var records = (ulong)overlays.Sum(o => o.Encoded!.PartCount);
        var lsn = files[0].Store.Commit(overlays, durable: true);
        foreach (var file in files)
        {
            file.Published();
            // No pager of this handle has seen what was written.
            file.pagerCache = default;
        }
        files[0].WaitForRemote(lsn);
        return (lsn - records, lsn);
    }

    /// <summary>Writes what differs into this handle's transaction; returns how many pages that is.</summary>
    long WriteDifferences(ReplacementFile with)
    {
        var size = with.SizeBytes;
        var first = new byte[HeaderBytes];
        with.Read(first, 0);
        var pageSize = PageSizeOf(first, size);
        var before = SizeBytes;
        var comparable = database.Current.PageSize == pageSize ? before : 0;
        var pages = size < before ? (before - size) / Math.Max(1, database.Current.PageSize) : 0;
        var (theirs, ours) = (new byte[ReplacementFile.MaxRunBytes], new byte[ReplacementFile.MaxRunBytes]);
        foreach (var (at, length) in with.Runs(pageSize))
        {
            var chunk = theirs.AsSpan(0, length);
            with.Read(chunk, at);
            var have = (int)Math.Clamp(comparable - at, 0, chunk.Length);
            if (have > 0 && Read(ours.AsSpan(0, have), at) is var read && read != Sqlite.Ok) throw Unreadable(read);
            for (var within = 0; within < chunk.Length; within += pageSize)
            {
                var page = chunk.Slice(within, Math.Min(pageSize, chunk.Length - within));
                if (within + page.Length <= have && page.SequenceEqual(ours.AsSpan(within, page.Length))) continue;
                Must(Write(page, at + within));
                pages++;
            }
        }
        pages += WriteFirst(with, pageSize, isOther: pages > 0 || comparable != before || size != before);
        if (size < SizeBytes) Must(Truncate(size));
        return pages;
    }

    /// <summary>
    /// The first page has the header, which is never the same; returns 0 when nothing else of the database differs.
    /// </summary>
    int WriteFirst(ReplacementFile with, int pageSize, bool isOther)
    {
        var page = new byte[pageSize];
        with.Read(page, 0);
        var header = new byte[HeaderBytes];
        var had = SizeBytes >= HeaderBytes && database.Current.PageSize > 0;
        if (had)
        {
            if (Read(header, 0) is var read && read != Sqlite.Ok) throw Unreadable(read);
            Copy(header, page, ModeAt, ModeBytes);
            if (!isOther && IsSameFirst(page, header)) return 0;
            Increase(header, page, CounterAt);
            Copy(page, page, CounterAt, 4, ValidForAt);
            Increase(header, page, CookieAt);
        }
        Must(Write(page, 0));
        return 1;
    }

    /// <summary>Whether the first page is the same but for what every commit changes.</summary>
    bool IsSameFirst(ReadOnlySpan<byte> wanted, ReadOnlySpan<byte> header)
    {
        var asWas = wanted.ToArray();
        foreach (var at in (ReadOnlySpan<int>)[CounterAt, ValidForAt, CookieAt]) Copy(header, asWas, at, 4);
        // SQLite's version that wrote last.
        Copy(header, asWas, ValidForAt + 4, 4);
        var own = new byte[asWas.Length];
        return Read(own, 0) == Sqlite.Ok && own.AsSpan().SequenceEqual(asWas);
    }

    static void Copy(ReadOnlySpan<byte> from, Span<byte> to, int at, int length, int toAt = -1)
        => from.Slice(at, length).CopyTo(to[(toAt < 0 ? at : toAt)..]);

    static void Increase(ReadOnlySpan<byte> from, Span<byte> to, int at) =>
        BinaryPrimitives.WriteUInt32BigEndian(to[at..], BinaryPrimitives.ReadUInt32BigEndian(from[at..]) + 1);

    int PageSizeOf(ReadOnlySpan<byte> header, long sizeBytes)
    {
        int size = BinaryPrimitives.ReadUInt16BigEndian(header[16..]);
        if (size == 1) size = 65536;
        if (header[..16].SequenceEqual("SQLite format 3\0"u8) && size is >= 512 and <= 65536
            && (size & size - 1) == 0 && sizeBytes > 0 && sizeBytes % size == 0)
            return size;
        throw new RecoveryException(RecoveryError.Invalid,
            $"What {open.Path} was to be replaced by is no SQLite database of whole pages; it was left as it is.")
        { Path = open.Path };
    }

    static void Must(int code)
    {
        if (code != Sqlite.Ok) throw new RecoveryException(RecoveryError.IoWrite, Failures.Last);
    }

    RecoveryException Unreadable(int code) => new(RecoveryError.IoRead,
        $"{open.Path} could not be read ({code}): {Failures.Last}");
}
