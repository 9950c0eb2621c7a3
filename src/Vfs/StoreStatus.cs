using RecoveryVfs.PageStore.Stores;

namespace RecoveryVfs;

/// <summary>How a store is: what it has, what its remote has, and what somebody has to do.</summary>
/// <param name="State">In a word: one of <see cref="StoreState"/>.</param>
/// <param name="Store">The store's directory.</param>
/// <param name="OpenIn">The process that has it open; null for none.</param>
/// <param name="LogId">The log's identity; null for a store that has none yet.</param>
/// <param name="Lsn">The newest LSN.</param>
/// <param name="Time">The time of the newest record.</param>
/// <param name="HintsLsn">The newest local hints.</param>
/// <param name="LogBytes">The local log's size.</param>
/// <param name="Databases">How many databases there are.</param>
/// <param name="Salvaged">Logs of fenced times that are kept.</param>
/// <param name="LagRecords">Records that only this directory has; null when the remote could not be looked at.</param>
/// <param name="LagSeconds">The age of the oldest of them.</param>
/// <param name="Verification">What the store's own verification found; null when it never ran.</param>
/// <param name="RemoteUrl">The remote; null for none.</param>
/// <param name="RemoteError">Why the remote could not be looked at.</param>
/// <param name="Remote">What the remote has.</param>
public sealed record StoreStatus(
    string State, string Store, string? OpenIn, Guid? LogId, ulong Lsn, DateTimeOffset? Time, ulong? HintsLsn,
        long LogBytes,
    int Databases, int Salvaged, ulong? LagRecords, double? LagSeconds, VerificationStatus? Verification,
        string? RemoteUrl,
    string? RemoteError, RemoteStatus? Remote)
{
    /// <summary>Commits that only this directory has.</summary>
    public int UnshippedCommits { get; init; }

    /// <summary>What to do; null when nothing.</summary>
    public string? Advice { get; init; }

    /// <summary>What the log is of: null, SQLite databases; <c>rocksdb</c>, the RocksDB in the directory.</summary>
    public string? Holds { get; init; }

    /// <summary>How much is here of a follower that fetches what is read; null when all is.</summary>
    public FetchedFigures? Fetched { get; init; }
}

/// <summary>What a remote has.</summary>
/// <param name="Url">Where it is.</param>
/// <param name="LogId">The log's identity.</param>
/// <param name="FirstLsn">The first LSN that it ever had.</param>
/// <param name="LastLsn">The newest LSN in it.</param>
/// <param name="LastTime">The time of the newest record.</param>
/// <param name="Epoch">The epoch of the newest segment.</param>
/// <param name="Author">Who wrote it; null when nobody has yet.</param>
/// <param name="HintsLsn">The newest hints; null when none are published.</param>
/// <param name="HintsPublished">When those were published.</param>
/// <param name="Hints">How many hints there are.</param>
/// <param name="Segments">How many segments there are.</param>
/// <param name="SegmentBytes">Their size.</param>
/// <param name="Extents">How many extents there are.</param>
/// <param name="ExtentBytes">Their size.</param>
/// <param name="Pins">How many pins there are.</param>
public sealed record RemoteStatus(
    string Url, Guid LogId, ulong FirstLsn, ulong LastLsn, DateTimeOffset? LastTime, ulong Epoch, string? Author,
        ulong? HintsLsn,
    DateTimeOffset? HintsPublished, int Hints, int Segments, long SegmentBytes, int Extents, long ExtentBytes, int Pins)
{
    /// <summary>What it holds: null, SQLite databases; <c>rocksdb</c>, the files of a RocksDB.</summary>
    public string? Holds { get; init; }

    internal ulong AuthorId { get; init; }
}

/// <summary>What a store's own verification of its remote found (option <c>verify-interval</c>).</summary>
/// <param name="Result"><c>ok</c>, <c>damaged</c> or <c>not done</c>.</param>
/// <param name="At">When it ran last.</param>
/// <param name="ProvedAt">When the remote was last proved restorable; null for never.</param>
/// <param name="ProvedAgeSeconds">How long ago that was.</param>
/// <param name="ProvedLsn">The LSN that was proved.</param>
/// <param name="Problem">What it found.</param>
public sealed record VerificationStatus(
    string Result, DateTimeOffset At, DateTimeOffset? ProvedAt, double? ProvedAgeSeconds, ulong ProvedLsn,
        string? Problem);
