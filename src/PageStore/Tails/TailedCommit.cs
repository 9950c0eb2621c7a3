using RecoveryVfs.PageStore.Pages;
using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.PageStore.Tails;

/// <summary>What happened to a database.</summary>
public enum TailedKind
{
    /// <summary>A transaction changed pages of the main file.</summary>
    Commit,
    /// <summary>A transaction of a WAL-mode database: its pages are in the WAL.</summary>
    WalCommit,
    /// <summary>
    /// Pages that are in the WAL of a WAL-mode database were brought into its main file: nothing new for readers.
    /// </summary>
    Checkpoint,
    /// <summary>The database came to be.</summary>
    Created,
    /// <summary>The database got another name.</summary>
    Renamed,
    /// <summary>The database is gone.</summary>
    Deleted,
}

/// <summary>One changed page of a commit.</summary>
/// <param name="Page">Its number, from 1.</param>
/// <param name="Form">How it is written.</param>
/// <param name="Length">The bytes of the page.</param>
/// <param name="Payload">All bytes, or what differs from its previous version, or nothing for zeros; empty when pages
/// were not asked for.</param>
public readonly record struct TailedPage(uint Page, PageForm Form, int Length, ReadOnlyMemory<byte> Payload)
{
    /// <summary>
    /// Makes the page of its previous version, in place; only for <see cref="PageForm.Ranges"/> does it matter what
    /// that was.
    /// </summary>
    public void ApplyTo(Span<byte> page)
    {
        if (page.Length != Length)
            throw new ArgumentException($"Page {Page} has {Length} bytes, not {page.Length}.", nameof(page));
        switch (Form)
        {
            case PageForm.Whole: Payload.Span.CopyTo(page); break;
            case PageForm.Ranges: PageDelta.Apply(Payload.Span, page); break;
            default: page.Clear(); break;
        }
    }
}

/// <summary>
/// What one commit did to one database. A commit of several databases gives one for each, with the same
/// <see cref="Lsn"/>.
/// </summary>
public sealed record TailedCommit
{
    /// <summary>The LSN of the commit: of the last record of its group.</summary>
    public required ulong Lsn { get; init; }

    /// <summary>When it was committed, by the writer's clock.</summary>
    public required DateTimeOffset Time { get; init; }

    /// <summary>What happened.</summary>
    public required TailedKind Kind { get; init; }

    /// <summary>The database's name; <c>#id</c> when its name is not known.</summary>
    public required string Database { get; init; }

    /// <summary>The database's id in its store; 0 when only its name is known.</summary>
    public uint DatabaseId { get; init; }

    /// <summary>The changed pages, in the order of the log.</summary>
    public IReadOnlyList<TailedPage> Pages { get; init; } = [];

    /// <summary>Bytes of the log that say so.</summary>
    public long Bytes { get; init; }

    /// <summary>The page size afterwards; 0 when it is not known.</summary>
    public int PageSize { get; init; }

    /// <summary>The database's size afterwards.</summary>
    public long SizeBytes { get; init; }

    /// <summary>Whether the pages are all there are: earlier ones are forgotten.</summary>
    public bool IsRebase { get; init; }

    /// <summary>The checksum of the main file afterwards; 0 where there is none.</summary>
    public ulong Checksum { get; init; }

    /// <summary>The writer's tenure.</summary>
    public ulong Epoch { get; init; }

    /// <summary>The earlier name of a database that was renamed.</summary>
    public string? EarlierName { get; init; }
}
