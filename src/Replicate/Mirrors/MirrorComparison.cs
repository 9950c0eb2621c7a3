using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.Replicate.Sources;
using RecoveryVfs.Replicate.Wals;

namespace RecoveryVfs.Replicate.Mirrors;

/// <summary>Compares a database, as one read transaction sees it, with its mirror, page by page.</summary>
internal sealed class MirrorComparison(Mirror mirror, PageHashes? hashes)
{
    const int ChunkBytes = 1 << 20;

    byte[] chunk = [], old = [];

    /// <summary>
    /// Pages that differ are handed on with their bytes, from <paramref name="first"/> to <paramref name="last"/>.
    /// Returns false when it was told to stop.
    /// </summary>
    public bool Run(SourceView view, WalPages wal, ILogFile? walFile, uint first, uint last, DifferingPage differs,
        Func<bool>? goOn = null)
    {
        var version = mirror.Database.Pin();
        try
        {
            var pageSize = view.PageSize;
            if (chunk.Length == 0) chunk = new byte[ChunkBytes];
            if (old.Length < pageSize) old = new byte[pageSize];
            var perChunk = (uint)(ChunkBytes / pageSize);
            for (var page = first; page <= last; page += perChunk)
            {
                if (goOn?.Invoke() == false) return false;
                var count = (int)Math.Min(perChunk, last - page + 1);
                var bytes = chunk.AsSpan(0, count * pageSize);
                view.ReadMain(page, bytes);
                for (var i = 0; i < count; i++)
                {
                    var number = page + (uint)i;
                    var content = bytes.Slice(i * pageSize, pageSize);
                    // What the WAL holds is not in the main file yet, or in both.
                    if (wal.OffsetOf(number) is { } offset) walFile!.Read(offset, content);
                    if (!IsKnown(number, content, version, out var hash)) differs(number, content, hash);
                }
            }
            return true;
        }
        finally
        {
            mirror.Database.Unpin(version);
        }
    }

    /// <summary>
    /// Whether the mirror has a page as it is; what is found to be so is remembered, where hashes are kept.
    /// </summary>
    bool IsKnown(uint page, ReadOnlySpan<byte> content, DatabaseVersion version, out ulong hash)
    {
        hash = hashes is null ? 0 : PageHashes.Of(page, content);
        if (version.PageSize != content.Length || page > version.SizeBytes / content.Length) return false;
        if (hashes?[page] is { } known and not 0) return known == hash;
        var before = old.AsSpan(0, content.Length);
        before[mirror.Database.Read(version, (page - 1L) * content.Length, before)..].Clear();
        if (!before.SequenceEqual(content)) return false;
        if (hashes is not null) hashes[page] = hash;
        return true;
    }
}

/// <summary>Takes a page that differs, and its hash where hashes are kept.</summary>
internal delegate void DifferingPage(uint page, ReadOnlySpan<byte> bytes, ulong hash);
