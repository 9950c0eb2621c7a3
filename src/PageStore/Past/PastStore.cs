using RecoveryVfs.PageStore.Follow;
using RecoveryVfs.PageStore.Tails;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.RecoveryLog.Remote.Read;

namespace RecoveryVfs.PageStore.Past;

/// <summary>
/// A store as it was at some moment, and from there on forward commit by commit. Versions that are pinned stay readable
/// while it goes on, so two moments are one opening, and the log between them. Used by one thread at a time; dispose it
/// after the versions that were pinned.
/// </summary>
internal abstract class PastStore(PassingLog log) : IAsyncDisposable
{
    /// <summary>What is applied on the way; owned.</summary>
    protected PassingLog Log { get; } = log;

    /// <summary>Where the log is, for messages.</summary>
    protected abstract string Location { get; }

    /// <summary>The last record that is in what is shown; the whole group that it ends.</summary>
    public ulong Lsn { get; protected set; }

    /// <summary>When that was written.</summary>
    public DateTimeOffset Time { get; protected set; }

    /// <summary>Whose log it is.</summary>
    public Guid LogId { get; protected init; }

    /// <summary>The databases there are, by name.</summary>
    public IReadOnlyList<string> Databases => Log.Databases;

    /// <summary>Pins a database as it is now; null when there is none of that name.</summary>
    public FollowedVersion? Pin(string database) => Log.Pin(database);

    /// <summary>Which pages of a database were written since this was asked last.</summary>
    public PageChanges TakeChanges(uint database) => Log.TakeChanges(database);

    /// <summary>
    /// Goes on to a later moment, with the changes of what lies between gathered for <see cref="TakeChanges"/>.
    /// </summary>
    public async Task AdvanceAsync(RestoreTarget to, CancellationToken cancellation = default)
    {
        while (await StepAsync(to, wait: false, cancellation)) Log.Commits.Clear();
        Log.Commits.Clear();
        Reached(to);
    }

    /// <summary>
    /// Goes on to the next commit, and returns what it did, one for each database that took part. At the end of the log
    /// it waits for more, or returns nothing when <paramref name="wait"/> is false; nor does it go beyond
    /// <paramref name="to"/>.
    /// </summary>
    public async ValueTask<IReadOnlyList<TailedCommit>> NextAsync(RestoreTarget to, bool wait,
        CancellationToken cancellation = default)
    {
        Log.Commits.Clear();
        while (Log.Commits.Count == 0)
            if (!await StepAsync(to, wait, cancellation)) return [];
        return Log.Commits;
    }

    /// <summary>
    /// Takes records until a group ends; false when there is none before the target, or at the log's end.
    /// </summary>
    protected abstract ValueTask<bool> StepAsync(RestoreTarget to, bool wait, CancellationToken cancellation);

    /// <summary>Throws when the log ended before the target.</summary>
    protected void Reached(RestoreTarget target)
    {
        if (target.Lsn > Log.Lsn)
            throw new RecoveryException(RecoveryError.NotFound,
                $"LSN {target.Lsn} is not in {Location}, which ends at {Log.Lsn}.", "Name an earlier moment.")
            { Path = Location, Lsn = target.Lsn };
    }

    /// <summary>Whether a record is later than the target.</summary>
    protected bool IsBeyond(RestoreTarget to, ulong lsn, long timeMs) => lsn > Log.KnownTo
        && (to.Lsn < lsn || to.TimeMs < timeMs);

    /// <summary>Takes a record; true when a group that shows something ended with it.</summary>
    protected bool Take(in Record record)
    {
        Log.Take(record);
        if (record.Continues || record.Lsn <= Log.KnownTo) return false;
        (Lsn, Time) = (record.Lsn, DateTimeOffset.FromUnixTimeMilliseconds(Log.TimeMs));
        return true;
    }

    /// <summary>What was gathered until here is forgotten: changes count from here on.</summary>
    protected void BeginHere()
    {
        Log.Commits.Clear();
        foreach (var name in Databases)
            using (var version = Pin(name)) TakeChanges(version!.DatabaseId);
    }

    /// <summary>Lets go of everything.</summary>
    public virtual ValueTask DisposeAsync()
    {
        Log.Dispose();
        return ValueTask.CompletedTask;
    }
}
