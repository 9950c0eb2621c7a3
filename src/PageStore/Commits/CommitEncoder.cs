using System.Buffers;
using System.Buffers.Binary;
using System.Diagnostics;
using System.Numerics;
using RecoveryVfs.PageStore.Pages;
using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.PageStore.Commits;

/// <summary>
/// Turns an overlay into the bodies of PageCommit records: each changed page as the bytes that differ from its previous
/// version when that is shorter, and the checksum of the database after it.
/// </summary>
/// <remarks>
/// Cost for a page that exists: one read of the previous version and its hash (from the page cache as a rule), one
/// hash, one comparison, and no allocation.
/// </remarks>
internal static class CommitEncoder
{
    [ThreadStatic] static byte[]? oldPage;
    [ThreadStatic] static byte[]? newPage;
    [ThreadStatic] static PageCommitWriter? partWriter;

    public static EncodedCommit Encode(PageCache cache, PageOverlay overlay)
    {
        var changes = overlay.Changes;
        var (pageSize, isWal) = HeaderOf(overlay);
        var content = pageSize == overlay.PageSize ? overlay : overlay.Rebased(pageSize);
        var encoded = new EncodedCommit(content, changes);
        try
        {
            FillCutPages(content);
            encoded.SizeBytes = content.SizeBytes;
            encoded.PageSize = content.PageSize;
            encoded.IsWal = isWal;
            encoded.Checksum = content.IsRebase ? 0 : overlay.Basis.Checksum;
            EncodePages(cache, content, encoded);
            return encoded;
        }
        catch
        {
            encoded.Dispose();
            if (!ReferenceEquals(content, overlay)) content.ReleasePages();
            throw;
        }
    }

    /// <summary>
    /// The page size and WAL flag that the database will have: from its header, if it is one; else as they were.
    /// </summary>
    static (int PageSize, bool IsWal) HeaderOf(PageOverlay overlay)
    {
        var basis = overlay.Basis;
        if (overlay.PageSize == 0 || (!overlay.Holds(1) && basis.PageSize != 0))
            return (overlay.PageSize, basis.IsWal && overlay.SizeBytes > 0);
        Span<byte> header = stackalloc byte[100];
        if (overlay.Read(0, header) < 100 || !header[..16].SequenceEqual("SQLite format 3\0"u8))
            return (overlay.PageSize, false);
        int size = BinaryPrimitives.ReadUInt16BigEndian(header[16..]);
        if (size == 1) size = 65536;
        return (size >= 512 && BitOperations.IsPow2(size) ? size : overlay.PageSize, header[19] == 2);
    }

    /// <summary>
    /// Pages of the basis that the transaction cut off and then grew over without writing them are zeros now, and must
    /// be said to be.
    /// </summary>
    static void FillCutPages(PageOverlay content)
    {
        var basis = content.Basis;
        if (content.IsRebase || content.BasisLimit >= basis.SizeBytes) return;
        var pageSize = content.PageSize;
        var kept = (uint)((content.BasisLimit + pageSize - 1) / pageSize);
        var last = Math.Min(basis.PageCount, (uint)((content.SizeBytes + pageSize - 1) / pageSize));
        byte[]? zeros = null;
        for (var page = kept + 1; page <= last; page++)
            if (!content.Holds(page))
                content.Write((page - 1L) * pageSize,
                    (zeros ??= new byte[pageSize])
                    .AsSpan(0, (int)Math.Min(pageSize, content.SizeBytes - (page - 1L) * pageSize)));
    }

    static void EncodePages(PageCache cache, PageOverlay content, EncodedCommit encoded)
    {
        var basis = content.Basis;
        // Then hashes in the cache may be those of older pages. It does not come to be so later.
        var isBasisAhead = basis.IsAhead;
        var basisPages = content.IsRebase ? 0 : basis.PageCount;
        var pageSize = content.PageSize;
        var pageCount = pageSize == 0 ? 0 : (uint)((content.SizeBytes + pageSize - 1) / pageSize);
        var before = (oldPage ??= new byte[65536]).AsSpan(0, pageSize);
        var scratch = (newPage ??= new byte[65536]).AsSpan(0, pageSize);
        var checksum = encoded.Checksum;
        content.Changed.Clear();
        var (partFirst, isAllNew) = (0, true);
        var sorted = ArrayPool<uint>.Shared.Rent(Math.Max(1, content.Pages.Count));
        try
        {
            var count = content.CopyPagesTo(sorted);
            Array.Sort(sorted, 0, count);
            var writer = partWriter ??= new PageCommitWriter();
            var flags = content.IsRebase ? PageCommitFlags.Rebase : (byte)0;
            writer.Begin(content.Database.Id, content.PageBytes);
            for (var i = 0; i < count && sorted[i] <= pageCount; i++)
            {
                var page = sorted[i];
                var after = content.InMemory(page);
                if (after.IsEmpty)
                {
                    content.TryReadOwn(page, 0, scratch);
                    after = scratch;
                }
                var existed = page <= basisPages;
                if (existed)
                {
                    ReadBefore(content, page, before);
                    if (before.SequenceEqual(after)) continue;
                    checksum ^= HashBefore(cache, content, page, before, isBasisAhead);
                }
                if (writer.SizeBytes >= PageCommitFormat.PartBytes)
                {
                    AddPart(writer, flags);
                    writer.Begin(content.Database.Id, content.PageBytes);
                }
                var hash = PageCommitFormat.HashOf(page, after);
                checksum ^= hash;
                content.Changed.Add((page, hash));
                writer.AddPage(page, after, existed ? before : default);
                isAllNew &= !existed;
            }
            // Those that were ever written: a size that a crafted commit has claimed may have none of them.
            if (pageCount < basisPages)
                checksum ^= content.Database.ChecksumOf(basis, pageCount + 1, basisPages);
            encoded.Checksum = checksum;
            AddPart(writer, (byte)(flags | PageCommitFlags.LastPart));
        }
        finally
        {
            ArrayPool<uint>.Shared.Return(sorted);
        }

        void AddPart(PageCommitWriter writer, byte flags)
        {
            var length = writer.Finish(pageSize, content.SizeBytes, checksum, flags).Length;
            EncodedCommit.NewPages? made = isAllNew
                ? new(partFirst, content.Changed.Count - partFirst, checksum, flags)
                : null;
            encoded.AddPart(writer.Detach(), length, made);
            (partFirst, isAllNew) = (content.Changed.Count, true);
        }
    }

    static ulong HashBefore(PageCache cache, PageOverlay content, uint page, ReadOnlySpan<byte> before,
        bool isBasisAhead)
    {
        var known = isBasisAhead ? 0 : cache.KnownHash(content.Database.Id, page, content.Basis.Lsn);
        Debug.Assert(known == 0 || known == PageCommitFormat.HashOf(page, before),
            "a page's hash in the cache is that of its bytes");
        return known != 0 ? known : PageCommitFormat.HashOf(page, before);
    }

    static void ReadBefore(PageOverlay content, uint page, Span<byte> destination) =>
        destination[content.Database.Read(content.Basis, (page - 1L) * content.PageSize, destination)..].Clear();
}
