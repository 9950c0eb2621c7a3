using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.State;
using RecoveryVfs.RecoveryLog.Remote.Write;

namespace RecoveryVfs.PageStore.Shipping;

/// <summary>The proof, now and then, that the remote can be restored.</summary>
internal sealed class StoreProofs(IShippedStore store, StoreHome home, RemoteOptions options, RemoteContext context,
    Shipper shipper, StoreHints hints, CancellationToken stopping) : IDisposable
{
    static readonly TimeSpan LongestWait = TimeSpan.FromDays(1);

    // They share a directory.
    readonly SemaphoreSlim oneAtATime = new(1);

    RemoteState State => shipper.State;

    /// <summary>Proves it whenever it is time, until it is stopped or the log is lost.</summary>
    public async Task RunAsync()
    {
        try
        {
            await shipper.ConnectedAsync(stopping);
            while (true)
            {
                var due = (State.Verification?.At ?? DateTimeOffset.MinValue)
                    + options.VerifyInterval - context.Time.GetUtcNow();
                if (due > TimeSpan.Zero)
                    await Task.Delay(due < LongestWait ? due : LongestWait, context.Time, stopping);
                if (due > LongestWait) continue;
                // Before anything is there, there is nothing to prove.
                await shipper.WhenShippedAsync(1, stopping);
                await ProveAsync(stopping);
            }
        }
        catch (OperationCanceledException)
        {
            // The store closes.
        }
        catch (RecoveryException) when (State.Final is not null || stopping.IsCancellationRequested)
        {
            // The shipper's state says why.
        }
    }

    /// <summary>
    /// Restores the newest state aside, compares it with the live databases, and notes the result, here and for status
    /// reports. Throws only when it is cancelled or this writer has lost the log.
    /// </summary>
    public async Task<RemoteVerification> ProveAsync(CancellationToken cancellation = default)
    {
        using var activity = Telemetry.Activities.StartActivity("recovery.verify");
        activity?.SetTag("recovery.store", home.Path).SetTag("recovery.remote", options.Url);
        using var both = CancellationTokenSource.CreateLinkedTokenSource(cancellation, stopping);
        RecoveryException? problem = null;
        var proved = 0UL;
        await oneAtATime.WaitAsync(both.Token);
        try
        {
            proved = await CheckAsync(both.Token);
            activity?.SetTag("recovery.lsn", proved);
        }
        catch (Exception e) when (e is not OperationCanceledException)
        {
            shipper.ThrowIfLost();
            problem = e as RecoveryException ?? new RecoveryException(RecoveryError.IoRead,
                $"The remote {options.Url} could not be verified: {e.Message}", e)
            { Path = options.Url };
        }
        finally
        {
            oneAtATime.Release();
        }
        if (problem is not null) Telemetry.Fail(activity, problem);
        var now = context.Time.GetUtcNow();
        var before = State.Verification;
        var result = new RemoteVerification
        {
            Remote = options.Url,
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
    async Task<ulong> CheckAsync(CancellationToken cancellation)
    {
        for (; ; )
        {
            await hints.UntilRestorableAsync(cancellation);
            var newest = State.Hints?.Lsn;
            try
            {
                return await store.ProveAsync(context, shipper, cancellation);
            }
            catch (RecoveryException e) when (e.Error is RecoveryError.Corrupt or RecoveryError.NotFound
                && State.Hints?.Lsn != newest)
            {
                // Judged by what is there now.
            }
        }
    }

    public void Dispose() => oneAtATime.Dispose();
}
