using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Log;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.PageStore.Stores;

// A follower's copy of the log that it applies: other processes read the directory by it, and a restart goes on from it.
public sealed partial class Store
{
    LocalLog? relay;
    bool relayGivenUp;

    /// <summary>
    /// From here on what <see cref="Relay"/> is given is kept in a log here, until it is settled. What such a log holds from an earlier time is applied
    /// first; one that does not fit or is damaged is made anew, for the remote has it all. Called after <see cref="SetReplicaSource"/>, before the first <see cref="Apply"/>.
    /// </summary>
    public void KeepRelay()
    {
        if (home.HasRelay)
        {
            RecoveryException? ours = null;
            try
            {
                relay = OpenRelay((in Record record) =>
                {
                    try
                    {
                        Apply(record);
                    }
                    catch (RecoveryException e)
                    {
                        ours = e;
                        throw;
                    }
                });
                return;
            }
            catch (RecoveryException e) when (e.Error is RecoveryError.Corrupt or RecoveryError.TooNew && ours is null)
            {
                home.DeleteRelay();
            }
        }
        relay = OpenRelay(static (in Record _) => { });
    }

    LocalLog OpenRelay(RecordTaken replay) => LocalLog.Open(options.Disk, home.Relay, new LogOptions
    {
        LogId = replicaLogId == default ? null : replicaLogId,
        CreateAt = NextLsn,
        Epoch = Math.Max(1, replicaEpoch),
        SegmentBytes = options.SegmentBytes,
        FirstSegmentBytes = Math.Min(options.SegmentBytes, 1 << 20),
        Time = options.Time,
    }, NextLsn, replay);

    /// <summary>
    /// Keeps a record that is to be applied. A run of whole groups is kept and written out before the first of it is applied: nobody finds more in the
    /// files here than in the log beside them.
    /// </summary>
    public void Relay(in Record record)
    {
        if (relay is null || record.Lsn <= relay.LastLsn) return;
        try
        {
            relay.AppendCopy(record);
        }
        catch (RecoveryException e) when (IsOfDisk(e))
        {
            GiveUpRelay();
        }
    }

    /// <summary>Lets other processes see what was kept so far; called between groups.</summary>
    public void WriteOutRelay()
    {
        if (relay is null) return;
        try
        {
            relay.WriteOut(relay.LastLsn);
        }
        catch (RecoveryException e) when (IsOfDisk(e))
        {
            GiveUpRelay();
        }
    }

    static bool IsOfDisk(RecoveryException e) => e.Error is RecoveryError.Full or RecoveryError.IoWrite;

    /// <summary>
    /// A full disk must not stop the following: without a relay, other processes go on with what they have. The next settlement begins another.
    /// </summary>
    void GiveUpRelay()
    {
        CloseRelay();
        relayGivenUp = true;
        try
        {
            home.DeleteRelay();
        }
        catch (Exception e) when (e is IOException or RecoveryException)
        {
            // What is left of it ends before the records that were not kept, and is made anew.
        }
    }

    /// <summary>Everything is in files, and no log is needed before them.</summary>
    void SettleRelay()
    {
        relay?.DropBefore(NextLsn);
        if (!relayGivenUp) return;
        try
        {
            home.DeleteRelay();
            relay = OpenRelay(static (in Record _) => { });
            relayGivenUp = false;
        }
        catch (Exception e) when (e is IOException || e is RecoveryException { Error: RecoveryError.Full or RecoveryError.IoWrite })
        {
            // The next one tries again.
        }
    }

    void CloseRelay()
    {
        relay?.AbandonCopy();
        relay?.Dispose();
        relay = null;
    }
}
