using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Log;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.PageStore.Views;

/// <summary>The log of a store that another process may be writing, read from its files alone.</summary>
/// <param name="options">The store.</param>
/// <param name="isReplica">Whether it is a follower's, which keeps its log elsewhere.</param>
internal sealed class WritersLog(StoreOptions options, bool isReplica)
{
    string Home => isReplica ? options.Home.Relay : options.Directory;

    /// <summary>Whether there is one.</summary>
    public bool HasBegun => Directory.Exists(Path.Combine(Home, "log"));

    /// <summary>
    /// The log from a record on, which the hints need; null where none has begun. Throws when it is not there.
    /// </summary>
    public LogTail? Open(bool isUnsettled, Hints? hints, ulong from)
    {
        if (LogTail.TryOpen(options.Disk, Home, from) is { } tail)
            return hints is null || hints.LogId == tail.LogId ? tail : throw Moved(from);
        // A restored directory begins its log when it is opened for writing; a replica of before it kept one has none.
        if (hints is not null && !isUnsettled && hints.ReplayFrom > hints.Lsn && !HasBegun) return null;
        throw isReplica
            ? new RecoveryException(RecoveryError.Busy,
            $"The follower {options.Directory} has only begun.",
            "Try again in a while.")
            { Path = options.Directory }
            : Moved(from);
    }

    /// <summary>
    /// Reads it for the first time. Where a record does not verify the log ends, for a tail; whether it may end there
    /// is asked once, as when a store is opened for writing.
    /// </summary>
    public void ReadToEnd(LogTail tail, RecordTaken take)
    {
        while (true)
        {
            if (!tail.TryAdvance(take)) throw Moved(tail.NextLsn);
            var end = tail.NextLsn;
            try
            {
                LocalLog.Open(options.Disk, Home, new LogOptions { ReadOnly = true, LogId = tail.LogId }, end)
                    .Dispose();
                return;
            }
            catch (RecoveryException e) when (e.Error is RecoveryError.Corrupt or RecoveryError.NotFound)
            {
                // A writer may have been at work there.
                if (!tail.TryAdvance(take)) throw Moved(tail.NextLsn);
                if (tail.NextLsn == end) throw;
            }
        }
    }

    RecoveryException Moved(ulong lsn) => new(RecoveryError.NotFound,
        $"The store {options.Directory} has no log from LSN {lsn} on, though its files need it: a part of the "
            + "directory is missing.",
        "Restore the store from its remote, or wait until whoever fills it is done.")
    { Path = options.Directory, Lsn = lsn };
}
