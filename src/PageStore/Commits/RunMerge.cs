using RecoveryVfs.PageStore.Pages;
using RecoveryVfs.PageStore.Reading;

namespace RecoveryVfs.PageStore.Commits;

/// <summary>
/// Merges consecutive commits into one batch: for each database the newest of each page, without the pages that a later
/// commit cut off, and the header of its newest version.
/// </summary>
internal sealed class RunMerge(IReadOnlyList<PendingCommit> run)
{
    sealed class Share
    {
        public readonly HashSet<uint> Done = [];
        public uint PagesLeft = uint.MaxValue;
        public uint PagesBefore;
        public uint LowestCut = uint.MaxValue;
        public bool ReplacedByNewer;
        public PendingPart Newest;
    }

    readonly Dictionary<Database, Share> shares = [];

    public void WriteTo(IPageBatch batch)
    {
        // Cuts first: in a batch, later changes win over earlier ones.
        for (var i = run.Count - 1; i >= 0; i--)
            foreach (ref readonly var part in run[i].Parts.AsSpan()) Measure(part);
        foreach (var (database, share) in shares)
        {
            if (share.Newest.Overlay is null) batch.DeleteRange(database.Id, 0, uint.MaxValue);
            else WriteCut(batch, database.Id, share.LowestCut, share.PagesBefore);
        }
        foreach (var share in shares.Values) share.ReplacedByNewer = share.Newest.Overlay is null;
        for (var i = run.Count - 1; i >= 0; i--)
            foreach (ref readonly var part in run[i].Parts.AsSpan()) PutPages(batch, part);
        foreach (var (database, share) in shares)
            if (share.Newest.Version is { } version) WriteHeader(batch, database.Id, version);
    }

    void Measure(in PendingPart part)
    {
        if (!shares.TryGetValue(part.Database, out var share))
            shares[part.Database] = share = new Share { Newest = part };
        if (part.Overlay is not { } overlay) return;
        share.PagesBefore = Math.Max(share.PagesBefore, overlay.Basis.PageCount);
        var left = overlay.IsRebase ? 0 : part.Version!.PageCount;
        if (left < overlay.Basis.PageCount) share.LowestCut = Math.Min(share.LowestCut, left);
    }

    void PutPages(IPageBatch batch, in PendingPart part)
    {
        var share = shares[part.Database];
        if (share.ReplacedByNewer || part.Overlay is not { } overlay) return;
        share.PagesLeft = Math.Min(share.PagesLeft, part.Version!.PageCount);
        byte[]? buffer = null;
        foreach (var page in overlay.Pages)
        {
            if (page > share.PagesLeft || !share.Done.Add(page)) continue;
            var bytes = overlay.InMemory(page);
            if (bytes.IsEmpty)
            {
                buffer ??= new byte[overlay.PageSize];
                overlay.TryReadOwn(page, 0, buffer);
                bytes = buffer;
            }
            batch.Put(part.Database.Id, page, bytes);
        }
        share.ReplacedByNewer = overlay.IsRebase;
    }

    /// <summary>Removes what lies beyond the pages that are left of those that were there.</summary>
    public static void WriteCut(IPageBatch batch, uint database, uint pagesLeft, uint pagesBefore)
    {
        if (pagesLeft < pagesBefore) batch.DeleteRange(database, pagesLeft + 1, uint.MaxValue);
    }

    /// <summary>Sets page 0.</summary>
    public static void WriteHeader(IPageBatch batch, uint database, DatabaseVersion version)
    {
        Span<byte> header = stackalloc byte[DatabaseHeader.SizeBytes];
        DatabaseHeader.Write(header, version);
        batch.Put(database, 0, header);
    }
}
