using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Log;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.PageStore.Replicas;

/// <summary>
/// A follower's copy of the log that it applies: other processes read the directory by it, and a restart goes on from
/// it. A disk too full for it does not stop the following: it is given up then, and the next settlement begins another.
/// </summary>
internal sealed class Relay : IDisposable
{
    readonly ReplayedStore source;
    LocalLog? log; // Null while it is given up.

    /// <summary>
    /// Begins the copy. What one holds from an earlier time is applied first; one that does not fit or is damaged is
    /// made anew, for the remote has it all.
    /// </summary>
    public Relay(ReplayedStore source, RecordTaken apply)
    {
        this.source = source;
        log = TryGoOn(apply) ?? Open(static (in Record _) => { });
    }

    StoreOptions Options => source.Core.Options;
    StoreHome Home => source.Core.Home;

    LocalLog? TryGoOn(RecordTaken apply)
    {
        if (!Home.HasRelay) return null;
        RecoveryException? ours = null;
        try
        {
            return Open((in Record record) =>
            {
                try
                {
                    apply(record);
                }
                catch (RecoveryException e)
                {
                    ours = e;
                    throw;
                }
            });
        }
        catch (RecoveryException e) when (e.Error is RecoveryError.Corrupt or RecoveryError.TooNew && ours is null)
        {
            Home.DeleteRelay();
            return null;
        }
    }

    LocalLog Open(RecordTaken replay) => LocalLog.Open(Options.Disk, Home.Relay, new LogOptions
    {
        LogId = source.LogId == default ? null : source.LogId,
        CreateAt = source.NextLsn,
        Epoch = Math.Max(1, source.Epoch),
        SegmentBytes = Options.SegmentBytes,
        FirstSegmentBytes = Math.Min(Options.SegmentBytes, 1 << 20),
        Time = Options.Time,
    }, source.NextLsn, replay);

    /// <summary>
    /// Keeps a record that is to be applied. A run of whole groups is kept and written out before the first of it is
    /// applied: nobody finds more in the files here than in the log beside them.
    /// </summary>
    public void Add(in Record record)
    {
        if (log is null || record.Lsn <= log.LastLsn) return;
        try
        {
            log.AppendCopy(record);
        }
        catch (RecoveryException e) when (IsOfDisk(e))
        {
            GiveUp();
        }
    }

    /// <summary>Lets other processes see what was kept so far; called between groups.</summary>
    public void WriteOut()
    {
        if (log is null) return;
        try
        {
            log.WriteOut(log.LastLsn);
        }
        catch (RecoveryException e) when (IsOfDisk(e))
        {
            GiveUp();
        }
    }

    static bool IsOfDisk(RecoveryException e) => e.Error is RecoveryError.Full or RecoveryError.IoWrite;

    void GiveUp()
    {
        Dispose();
        try
        {
            Home.DeleteRelay();
        }
        catch (Exception e) when (e is IOException or RecoveryException)
        {
            // What is left of it ends before the records that were not kept, and is made anew.
        }
    }

    /// <summary>Everything is in files, and no log is needed before them.</summary>
    public void Settle()
    {
        if (log is not null)
        {
            log.DropBefore(source.NextLsn);
            return;
        }
        try
        {
            Home.DeleteRelay();
            log = Open(static (in Record _) => { });
        }
        catch (Exception e) when (e is IOException || (e is RecoveryException found && IsOfDisk(found)))
        {
            // The next one tries again.
        }
    }

    /// <summary>Closes the copy and keeps it.</summary>
    public void Dispose()
    {
        log?.AbandonCopy();
        log?.Dispose();
        log = null;
    }
}
