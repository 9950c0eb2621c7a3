using RecoveryVfs.PageStore.Past;
using RecoveryVfs.PageStore.Tails;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.Changes;

/// <summary>Whether a row tail tells of the rows that are there when it begins.</summary>
public enum RowSnapshot
{
    /// <summary>Changes only.</summary>
    Never,
    /// <summary>
    /// First all rows, then the changes after them; between the two nothing is missing and nothing is told twice.
    /// </summary>
    Initial,
    /// <summary>All rows, and then it ends.</summary>
    Only,
}

/// <summary>How a row tail reads.</summary>
public sealed record RowTailOptions
{
    /// <summary>With which commit it begins.</summary>
    public TailStart From { get; init; } = TailStart.Now;

    /// <summary>
    /// Goes on after this commit, whatever <see cref="From"/> says: where an earlier reading stopped.
    /// </summary>
    public ulong? After { get; init; }

    /// <summary>Only databases whose names match: * and ? as in file names.</summary>
    public string Databases { get; init; } = "*";

    /// <summary>Only tables whose names match. SQLite's own tables are never told of.</summary>
    public string Tables { get; init; } = "*";

    /// <summary>Whether the rows that are there at the beginning come first.</summary>
    public RowSnapshot Snapshot { get; init; } = RowSnapshot.Never;

    /// <summary>Stop at the end of the log instead of waiting for more.</summary>
    public bool Once { get; init; }

    /// <summary>How often an idle tail looks for more: one small request each time.</summary>
    public TimeSpan Interval { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>
    /// Where a copy of the store is kept meanwhile, in a directory of its own that only this user may read.
    /// </summary>
    public string TemporaryDirectory { get; init; } = Path.GetTempPath();

    /// <summary>
    /// Called when the remote cannot be reached, and with null when it can again; without it that is an error.
    /// </summary>
    public Action<RecoveryException?>? Interrupted { get; init; }

    internal PastOptions Past
        => new() { Interval = Interval, TemporaryDirectory = TemporaryDirectory, Interrupted = Interrupted };
}
