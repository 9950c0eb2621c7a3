using System.Buffers.Binary;
using System.Numerics;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.Replicate.Interop;
using RecoveryVfs.Replicate.Wals;

namespace RecoveryVfs.Replicate.Sources;

/// <summary>How a database keeps a transaction apart from its file.</summary>
internal enum SourceMode
{
    /// <summary>A file without a page.</summary>
    Empty,
    /// <summary>By a rollback journal, or not at all: the file is what counts.</summary>
    Rollback,
    /// <summary>By a WAL.</summary>
    Wal,
}

/// <summary>
/// A database as one read transaction sees it. It stays so while that transaction lasts; in rollback modes, and in WAL
/// mode when the whole WAL is in the main file already, the main file is all there is.
/// </summary>
internal sealed class SourceView
{
    const int HeaderBytes = 100;

    readonly SqliteHandle connection;
    readonly byte[] header = new byte[HeaderBytes];

    SourceView(SqliteHandle connection) => this.connection = connection;

    public SourceMode Mode { get; private init; }

    public int PageSize { get; private init; }

    /// <summary>How many pages it has.</summary>
    public uint Pages { get; private init; }

    /// <summary>The WAL-index' header; null when there is none.</summary>
    public WalIndex? Index { get; private init; }

    /// <summary>The file's change counter. It counts in rollback modes.</summary>
    public uint ChangeCounter => BinaryPrimitives.ReadUInt32BigEndian(header.AsSpan(24));

    /// <summary>What a connection's read transaction, which has begun, sees.</summary>
    public static SourceView Of(SqliteHandle connection)
    {
        var probe = new SourceView(connection);
        var size = connection.MainSize;
        if (!connection.ReadMain(0, probe.header) && size == 0) return new(connection) { Mode = SourceMode.Empty };
        var index = connection.ReadWalIndex();
        var header = probe.header;
        int pageSize = BinaryPrimitives.ReadUInt16BigEndian(header.AsSpan(16));
        if (pageSize == 1) pageSize = 65536;
        if (index is { Frames: > 0 }) pageSize = index.Value.PageSize;
        if (pageSize < 512 || !BitOperations.IsPow2(pageSize)
            || !header.AsSpan(0, 16).SequenceEqual("SQLite format 3\0"u8))
            throw new RecoveryException(RecoveryError.Invalid,
                $"{connection.Path} does not begin as a SQLite database does: it is damaged, encrypted, or something "
                    + "else. A replicator needs one that plain SQLite reads.")
            { Path = connection.Path };
        var view = new SourceView(connection)
        {
            Mode = index is not null || header[18] == 2 ? SourceMode.Wal : SourceMode.Rollback,
            PageSize = pageSize,
            Index = index,
            Pages = index is { Frames: > 0, SizePages: var pages }
                ? pages
                : InHeader(header) ?? (uint)(size / pageSize),
        };
        header.CopyTo(view.header, 0);
        return view.Pages <= PagesMax(size, pageSize, index) ? view
            : throw new RecoveryException(RecoveryError.Corrupt,
                $"{connection.Path} is damaged: it says that it has {view.Pages} pages, of which neither its file "
                    + $"({size} bytes) nor its WAL ({index?.Frames ?? 0} frames) has most. Nothing was taken of it. "
                    + "See PRAGMA integrity_check.")
            { Path = connection.Path };
    }

    /// <summary>
    /// How many pages there can be. A transaction need not write all that it adds: those that it frees again are only
    /// named, 4 bytes each, in pages that it writes.
    /// </summary>
    static long PagesMax(long sizeBytes, int pageSize, WalIndex? index)
        => (sizeBytes + pageSize - 1) / pageSize + (index?.Frames ?? 0L) * (pageSize / 4) + 2;

    /// <summary>The size that the header names, when whoever wrote last knew of that field.</summary>
    static uint? InHeader(ReadOnlySpan<byte> header) =>
        header.Slice(24, 4).SequenceEqual(header.Slice(92, 4))
            && BinaryPrimitives.ReadUInt32BigEndian(header[28..]) is var pages and not 0 ? pages : null;

    /// <summary>Reads whole pages of the main file; what it does not have is zeros.</summary>
    public void ReadMain(uint firstPage, Span<byte> destination)
        => connection.ReadMain((firstPage - 1L) * PageSize, destination);
}
