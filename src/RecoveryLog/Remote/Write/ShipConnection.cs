using RecoveryVfs.RecoveryLog.Log;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.State;

namespace RecoveryVfs.RecoveryLog.Remote.Write;

/// <summary>
/// How a shipper comes to the remote's log, and what it does when the local one does not reach back to it.
/// </summary>
internal sealed class ShipConnection(RemoteContext context, ShipperOptions options, LocalLog log, ShipQueue queue,
    ShipperWaits waits, RemoteState state)
{
    ulong gapLsn;

    /// <summary>
    /// The last LSN of the newest gap that this writer left in the remote's log; 0 when it left none.
    /// </summary>
    public ulong GapLsn => Volatile.Read(ref gapLsn);

    /// <summary>One try to find the remote's log and to make it ours.</summary>
    public async ValueTask<RemoteLog> OpenAsync(CancellationToken cancellation)
    {
        // Here a failed try is repeated by the loop, which tells of the outage; so no step is patient on its own.
        var impatient = context with { Tries = 1 };
        // Whose it is comes first, where that takes no writing: commits may wait for the answer.
        var known = options.MayCreate
            ? null
            : await RemoteTenure.ResumeAsync(impatient, log, options.Author, null, cancellation, options.Holds);
        if (known is not null) waits.HasLooked();
        if (options.Probe) await RemoteProbe.CheckAsync(context.Store, context.Random, cancellation);
        var found = known ?? await RemoteTenure.ResumeAsync(impatient, log, options.Author, log.FirstLsn, cancellation,
            options.Holds);
        waits.HasLooked();
        options.Connected?.Invoke();
        // Without a hold the log may lose more meanwhile: that gap is closed when there is one again.
        return found.End.NextLsn >= log.FirstLsn || !queue.IsHeld ? found : await RestartAsync(found, cancellation);
    }

    /// <summary>The log between the remote's end and what is still here is lost: says so, or leaves a gap.</summary>
    async ValueTask<RemoteLog> RestartAsync(RemoteLog found, CancellationToken cancellation)
    {
        if (!options.MayRestart)
            throw new RecoveryException(RecoveryError.NotFound,
                $"The remote {context.Store.Location} ends at LSN {found.End.LastLsn}, "
                + $"and the local log begins at {log.FirstLsn}: what lies between was dropped before it was shipped.",
                "Ship to a new prefix, or start afresh from new hints, which leaves a gap in history: "
                + "option restart-remote=on, or `recovery sync --restart DIR`")
            { Path = context.Store.Location, Lsn = found.End.LastLsn };
        using var gap = GapAfter(found);
        await found.AppendAsync(gap, cancellation);
        return found;
    }

    /// <summary>
    /// What stands for the records that are gone. From before it is sent until hints come after it, nothing newer can
    /// be restored.
    /// </summary>
    public PackedSegment GapAfter(RemoteLog found)
    {
        state.NeedsHints = true;
        options.Restarting?.Invoke();
        Volatile.Write(ref gapLsn, log.FirstLsn - 1);
        return SegmentBuilder.Gap(log.LogId, log.Epoch, options.Author, found.End.NextLsn, log.FirstLsn,
            context.Time.GetUtcNow().ToUnixTimeMilliseconds(), found.End.Hash);
    }
}
