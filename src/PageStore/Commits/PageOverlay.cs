using RecoveryVfs.PageStore.Pages;
using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Log;
using RecoveryVfs.RecoveryLog.Remote.Collect;

namespace RecoveryVfs.PageStore.Commits;

/// <summary>
/// A transaction's private page writes over a basis version. Byte-addressed: writes of any offset and length are taken.
/// Spills to an unlinked file beyond the budget. Used by one thread at a time until it is committed; from then on it
/// never changes, and any thread may read its pages while it waits to enter the page store.
/// </summary>
internal sealed class PageOverlay : IDisposable
{
    readonly PageBuffers buffers;
    readonly OverlayPages pages;
    long basisLimit;
    bool disposed;

    internal PageOverlay(PageBuffers buffers, Database database, DatabaseVersion basis)
    {
        this.buffers = buffers;
        pages = new OverlayPages(buffers);
        Database = database;
        Basis = basis;
        PageSize = basis.PageSize;
        SizeBytes = basis.SizeBytes;
        basisLimit = basis.SizeBytes;
    }

    /// <summary>The database that is changed.</summary>
    public Database Database { get; }

    /// <summary>The version this lies on.</summary>
    public DatabaseVersion Basis { get; }

    /// <summary>The size of the file as this transaction sees it.</summary>
    public long SizeBytes { get; private set; }

    /// <summary>The unit in which pages are held: the basis' page size, else the length of the first write.</summary>
    internal int PageSize
    {
        get => pages.PageSize;
        private set => pages.PageSize = value;
    }

    /// <summary>
    /// Bytes of the basis beyond this were cut off by this transaction and read as zeros, whatever follows.
    /// </summary>
    internal long BasisLimit => basisLimit;

    /// <summary>Copies the numbers of the pages it holds, in no order.</summary>
    internal int CopyPagesTo(uint[] destination)
    {
        pages.Numbers.CopyTo(destination, 0);
        return pages.Count;
    }

    /// <summary>
    /// An overlay that a replay fills: in the page size that the record names, and seeing nothing of the basis when it
    /// replaces all.
    /// </summary>
    internal static PageOverlay ForReplay(PageBuffers buffers, Database database, int pageSize, bool rebase)
    {
        var overlay = new PageOverlay(buffers, database, database.Pin()) { PageSize = pageSize };
        if (rebase)
        {
            overlay.SizeBytes = 0;
            overlay.basisLimit = 0;
        }
        return overlay;
    }

    /// <summary>Sets the size that a replayed record names, after its pages were written.</summary>
    internal void SetSize(long sizeBytes)
    {
        if (sizeBytes < SizeBytes) Truncate(sizeBytes);
        else SizeBytes = sizeBytes;
    }

    /// <summary>The pages it holds, in no order.</summary>
    internal IReadOnlyCollection<uint> Pages => pages.Numbers;

    /// <summary>
    /// The pages that differ from the basis, with their hashes: what encoding (or a replay) found out. Valid once it is
    /// committed.
    /// </summary>
    internal readonly List<(uint Page, ulong Hash)> Changed = [];

    /// <summary>Counts changes, so that what was encoded earlier is known to be stale.</summary>
    internal int Changes { get; private set; }

    /// <summary>Bytes of pages it holds, in memory or spilled.</summary>
    internal long PageBytes => (long)pages.Count * PageSize;

    /// <summary>Log space set aside for its commit.</summary>
    internal LogReservation? Reservation;

    /// <summary>What was encoded of it by preparing its commit, if still true.</summary>
    internal EncodedCommit? Encoded;

    /// <summary>Reads the transaction's view; returns bytes read (fewer only at the end of the file).</summary>
    public int Read(long offset, Span<byte> destination)
    {
        if (offset >= SizeBytes) return 0;
        var total = (int)Math.Min(destination.Length, SizeBytes - offset);
        destination = destination[..total];
        while (destination.Length > 0)
        {
            var page = (uint)(offset / PageSize) + 1;
            var within = (int)(offset % PageSize);
            var count = Math.Min(PageSize - within, destination.Length);
            ReadWithin(page, within, destination[..count]);
            destination = destination[count..];
            offset += count;
        }
        return total;
    }

    void ReadWithin(uint page, int within, Span<byte> destination)
    {
        if (TryReadOwn(page, within, destination)) return;
        var start = (page - 1L) * PageSize + within;
        var inBasis = (int)Math.Clamp(basisLimit - start, 0, destination.Length);
        if (inBasis > 0) inBasis = Database.Read(Basis, start, destination[..inBasis]);
        destination[inBasis..].Clear();
    }

    /// <summary>
    /// Copies bytes of a page that this transaction wrote; false when it did not write that page. Safe from any thread
    /// once committed.
    /// </summary>
    internal bool TryReadOwn(uint page, int within, Span<byte> destination)
        => pages.TryRead(page, within, destination);

    /// <summary>Whether this transaction wrote the page.</summary>
    internal bool Holds(uint page) => pages.Holds(page);

    /// <summary>The page's bytes in memory, or empty when it is spilled or not here.</summary>
    internal ReadOnlySpan<byte> InMemory(uint page) => pages.InMemory(page);

    /// <summary>
    /// Writes into the transaction's view, growing it when needed (gaps read as zeros). Throws Full when nothing can
    /// take it.
    /// </summary>
    public void Write(long offset, ReadOnlySpan<byte> source)
    {
        if (source.IsEmpty) return;
        if (PageSize == 0) PageSize = FirstUnit(offset, source.Length);
        if ((offset + source.Length - 1) / PageSize >= uint.MaxValue - 1)
            throw new RecoveryException(RecoveryError.Full,
                $"Database {Database.Name} cannot grow beyond {uint.MaxValue - 1} pages.");
        Changes++;
        while (source.Length > 0)
        {
            var page = (uint)(offset / PageSize) + 1;
            var within = (int)(offset % PageSize);
            var count = Math.Min(PageSize - within, source.Length);
            WriteWithin(page, within, source[..count]);
            source = source[count..];
            offset += count;
            if (offset > SizeBytes) SizeBytes = offset;
        }
        pages.SpillIfOverBudget();
    }

    static int FirstUnit(long offset, int length) =>
        length is >= 512 and <= 65536 && System.Numerics.BitOperations.IsPow2(length) && offset % length == 0
            ? length
            : 4096;

    void WriteWithin(uint page, int within, ReadOnlySpan<byte> source)
    {
        if (pages.TryOverwrite(page, within, source)) return;
        var added = pages.Rent(page);
        try
        {
            if (source.Length < PageSize) ReadWithin(page, 0, added.Bytes);
        }
        catch
        {
            added.GiveUp();
            throw;
        }
        source.CopyTo(added.Bytes[within..]);
        added.Keep();
    }

    /// <summary>Cuts the transaction's view (never grows it).</summary>
    public void Truncate(long sizeBytes)
    {
        if (sizeBytes >= SizeBytes) return;
        Changes++;
        var keep = (uint)((sizeBytes + PageSize - 1) / PageSize);
        foreach (var page in pages.Numbers.Where(p => p > keep).ToArray()) pages.Drop(page);
        if (sizeBytes % PageSize != 0)
        {
            // The rest of the last page must read as zeros when the file grows again.
            var rest = (int)(PageSize - sizeBytes % PageSize);
            Span<byte> zeros = stackalloc byte[512];
            zeros.Clear();
            for (var at = 0; at < rest; at += 512)
                WriteWithin(keep, (int)(sizeBytes % PageSize) + at, zeros[..Math.Min(512, rest - at)]);
        }
        SizeBytes = sizeBytes;
        basisLimit = Math.Min(basisLimit, sizeBytes);
    }

    /// <summary>
    /// A copy of the content held in another page size, all pages of it, for a commit that replaces every page. It does
    /// not own the basis' pin: whoever makes it calls <see cref="ReleasePages"/>.
    /// </summary>
    internal PageOverlay Rebased(int pageSize)
    {
        var other = new PageOverlay(buffers, Database, Basis)
        {
            PageSize = pageSize,
            SizeBytes = 0,
            basisLimit = 0,
            disposed = true
        };
        var buffer = new byte[pageSize];
        try
        {
            for (long at = 0; at < SizeBytes; at += pageSize)
            {
                buffer.AsSpan(Read(at, buffer)).Clear();
                other.Write(at, buffer);
            }
        }
        catch
        {
            other.ReleasePages();
            throw;
        }
        other.SizeBytes = SizeBytes;
        return other;
    }

    /// <summary>Whether this replaces every page of the basis (the page size changed).</summary>
    internal bool IsRebase => PageSize != Basis.PageSize;

    /// <summary>
    /// Hands the basis' pin over to whoever keeps the committed pages; the overlay can no longer be disposed by its
    /// writer.
    /// </summary>
    internal void Consume()
    {
        disposed = true;
        Reservation?.Dispose();
        Reservation = null;
        Database.Unpin(Basis);
    }

    /// <summary>
    /// Frees the pages. Called once: by the writer's dispose, or when a committed overlay has entered the page store.
    /// </summary>
    internal void ReleasePages() => pages.Release();

    /// <summary>Forgets what was encoded: the pages have changed since, or will not be committed.</summary>
    internal void DropEncoded()
    {
        var encoded = Encoded;
        Encoded = null;
        encoded?.Release(this);
    }

    /// <summary>
    /// Whether the next writer can go on with what a prepared commit of this leaves, before it is durable: a commit
    /// like most. One that makes a database, or changes its page size or its journal mode, changes more than pages.
    /// </summary>
    internal bool ChangesOnlyPages => Encoded is { IsWal: false } encoded && ReferenceEquals(encoded.Content, this)
        && !Basis.IsWal && Basis.SizeBytes > 0 && encoded.SizeBytes > 0 && encoded.PageSize == Basis.PageSize;

    /// <summary>Where its scratch files go.</summary>
    internal string SpillDirectory => buffers.SpillDirectory;

    /// <summary>Drops everything and unpins the basis. Disposing twice, or after a commit, does nothing.</summary>
    public void Dispose()
    {
        if (disposed) return;
        DropEncoded();
        Consume();
        ReleasePages();
    }
}
