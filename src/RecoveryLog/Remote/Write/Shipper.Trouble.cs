using RecoveryVfs.RecoveryLog.Log;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Remote.State;

namespace RecoveryVfs.RecoveryLog.Remote.Write;

// A remote that is away, a queue that is full, and a remote that is another writer's.
internal sealed partial class Shipper
{
    /// <summary>
    /// Does a step until it succeeds, waiting longer and longer between tries, and tells of the outage meanwhile.
    /// </summary>
    async ValueTask<T> ForeverAsync<T>(Func<CancellationToken, ValueTask<T>> step)
    {
        for (int failures = 1; ; failures++)
        {
            try
            {
                var result = await step(stopping.Token);
                State.Reached();
                return result;
            }
            // Wrong credentials, a full or missing bucket: somebody may mend that, so it is tried on as well.
            catch (ObjectStoreException e) { State.Failed(e.ToRecoveryException(), failures); }
            catch (RecoveryException e) when (e.InnerException is ObjectStoreException) { State.Failed(e, failures); }
            waits.HasLooked();
            await RestAsync(context.Backoff.After(failures, context.Random));
        }
    }

    async ValueTask RestAsync(TimeSpan rest)
    {
        for (; rest > TimeSpan.Zero; rest -= Slice)
        {
            LetQueueGoWhenFull();
            await Task.Delay(rest < Slice ? rest : Slice, context.Time, stopping.Token);
            if (Interlocked.Exchange(ref tryAgain, 0) != 0) return;
        }
    }

    /// <summary>
    /// Does not rest any longer after a failure: somebody asks who may know that the trouble is over. Once a second at
    /// most.
    /// </summary>
    public void TryAgain() => Volatile.Write(ref tryAgain, 1);

    void Lose(RecoveryException why)
    {
        State.Lost(why);
        waits.Fail(why);
        if (why.Error == RecoveryError.Fenced) Salvage();
    }

    /// <summary>
    /// Keeps what was not shipped where a person can get at it. What cannot be written is still in the log.
    /// </summary>
    void Salvage()
    {
        if (options.Salvage is not { } place || log.LastLsn <= salvagedLsn) return;
        ulong from = Math.Max(ShippedLsn + 1, log.FirstLsn);
        try
        {
            if (log.LastLsn < from) return;
            log.Sync(log.LastLsn);
            SalvagedLog.Save(place.Disk, place.Directory, log, from);
            salvagedLsn = log.LastLsn;
            State.Salvaged(from, salvagedLsn);
        }
        catch (RecoveryException e) { State.SalvageFailed(e); }
    }

    /// <summary>
    /// While the remote is away and the local log, which is the queue, has reached its bound: lets it go, if that is
    /// allowed, so that commits go on.
    /// </summary>
    void LetQueueGoWhenFull()
    {
        if (!options.MayRestart || !queue.IsHeld || log.SizeBytes < options.QueueBytesMax) return;
        queue.LetGo();
        State.QueueLetGo(log.LastLsn);
        options.QueueLetGo?.Invoke();
    }

    /// <summary>
    /// After the queue was let go, and with a remote again: holds what is left of the log, and goes on from there.
    /// </summary>
    async ValueTask RegainAsync(RemoteLog remote)
    {
        while (!queue.IsHeld)
        {
            if (!queue.TryHold()) continue;
            if (remote.End.NextLsn >= log.FirstLsn) break;
            using var gap = connection.GapAfter(remote);
            await ForeverAsync(token => remote.AppendAsync(gap, token));
        }
        queue.GoOnAt(remote.End.NextLsn);
        Shipped(remote.End.LastLsn);
    }
}
