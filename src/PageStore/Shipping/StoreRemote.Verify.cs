using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Remote.State;

namespace RecoveryVfs.PageStore.Shipping;

// The proof, now and then, that the remote can be restored.
internal sealed partial class StoreRemote
{
    async Task VerifyAlwaysAsync()
    {
        var stop = stopping.Token;
        try
        {
            await shipper.ConnectedAsync(stop);
            while (true)
            {
                var due = (State.Verification?.At ?? DateTimeOffset.MinValue)
                    + options.VerifyInterval - context.Time.GetUtcNow();
                if (due > TimeSpan.Zero) await Task.Delay(due < LongestWait ? due : LongestWait, context.Time, stop);
                if (due > LongestWait) continue;
                // Before anything is there, there is nothing to prove.
                await shipper.WhenShippedAsync(1, stop);
                await VerifyAsync(stop);
            }
        }
        catch (OperationCanceledException)
        {
            // The store closes.
        }
        catch (RecoveryException) when (State.Final is not null || stop.IsCancellationRequested)
        {
            // The shipper's state says why.
        }
    }

    // They share a directory.
    readonly SemaphoreSlim oneVerification = new(1);

    static readonly TimeSpan LongestWait = TimeSpan.FromDays(1);

    /// <summary>
    /// Restores the newest state aside, compares it with the live databases, and notes the result, here and for status
    /// reports. Throws only when it is cancelled or this writer has lost the log.
    /// </summary>
    internal async Task<RemoteVerification> VerifyAsync(CancellationToken cancellation = default)
    {
        using var activity = Telemetry.Activities.StartActivity("recovery.verify");
        activity?.SetTag("recovery.store", home.Path).SetTag("recovery.remote", Url);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(cancellation, stopping.Token);
        RecoveryException? problem = null;
        var proved = 0UL;
        await oneVerification.WaitAsync(both.Token);
        try
        {
            proved = await ProveAsync(both.Token);
            activity?.SetTag("recovery.lsn", proved);
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            shipper.ThrowIfLost();
            problem = e as RecoveryException ?? new RecoveryException(RecoveryError.IoRead,
                $"The remote {Url} could not be verified: {e.Message}", e)
            { Path = Url };
        }
        finally
        {
            oneVerification.Release();
        }
        if (problem is not null) Telemetry.Fail(activity, problem);
        var now = context.Time.GetUtcNow();
        var before = State.Verification;
        var result = new RemoteVerification
        {
            Remote = Url,
            At = now,
            ProvedAt = problem is null ? now : before?.ProvedAt,
            ProvedLsn = problem is null ? proved : before?.ProvedLsn ?? 0,
            Problem = problem?.Message,
            IsDamage = problem?.Error is RecoveryError.Corrupt or RecoveryError.NotFound or RecoveryError.TooNew,
        };
        result.Save(home.Path);
        State.NoteVerification(result);
        return result;
    }

    /// <summary>
    /// Once more when newer hints came meanwhile: the ones before may have been collected under the check.
    /// </summary>
    async Task<ulong> ProveAsync(CancellationToken cancellation)
    {
        for (; ; )
        {
            await UntilRestorableAsync(cancellation);
            var hints = State.Hints?.Lsn;
            try
            {
                return await new RestorabilityCheck(store, home, context, shipper).RunAsync(cancellation);
            }
            catch (RecoveryException e) when (e.Error is RecoveryError.Corrupt or RecoveryError.NotFound
                && State.Hints?.Lsn != hints)
            {
                // Judged by what is there now.
            }
        }
    }
}
