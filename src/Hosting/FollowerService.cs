using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using RecoveryVfs.PageStore.Follow;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.Hosting;

/// <summary>
/// Keeps a follower for as long as the host runs, and logs what becomes of it. Connections of this process read it with
/// <c>file:DIR/app.db?vfs=recovery&amp;mode=ro</c>. When the follower gives up for good, the host is stopped with its
/// error.
/// </summary>
public sealed class FollowerService(FollowerOptions options, ILogger<FollowerService> log) : BackgroundService
{
    // A new follower whose remote is away, or has nothing yet, is tried again so often.
    static readonly TimeSpan RetryInterval = TimeSpan.FromSeconds(5);

    readonly TaskCompletionSource<Follower> started = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>The remote that is followed.</summary>
    public string Url => options.Url;

    /// <summary>The follower's directory.</summary>
    public string Directory => options.Store.Directory;

    /// <summary>Completes when there is a follower; a new one needs its remote for that.</summary>
    public Task<Follower> Started => started.Task;

    /// <summary>What operators watch; the state of a follower that connects while there is none.</summary>
    public FollowerState State => started.Task.IsCompletedSuccessfully
        ? started.Task.Result.State
        : new FollowerState();

    /// <inheritdoc/>
    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        Follower? follower = null;
        try
        {
            follower = await StartFollowerAsync(stoppingToken);
            started.TrySetResult(follower);
            await WatchAsync(follower, stoppingToken);
        }
        catch (OperationCanceledException) when (stoppingToken.IsCancellationRequested)
        {
            started.TrySetCanceled(stoppingToken);
        }
        catch (Exception e)
        {
            HostLog.GaveUp(log, e, options.Url, options.Store.Directory, e.Message);
            started.TrySetException(e);
            // Whoever awaits it is told; nobody has to.
            _ = started.Task.Exception;
            throw;
        }
        finally
        {
            if (follower is not null) await follower.DisposeAsync();
        }
    }

    async Task<Follower> StartFollowerAsync(CancellationToken stop)
    {
        while (true)
        {
            try
            {
                return await Follower.StartAsync(options, stop);
            }
            catch (RecoveryException e) when (e.Error is RecoveryError.Remote or RecoveryError.NotFound)
            {
                HostLog.CannotBegin(log, e, options.Url, e.Message);
            }
            await Task.Delay(RetryInterval, options.Store.Time, stop);
        }
    }

    async Task WatchAsync(Follower follower, CancellationToken stop)
    {
        FollowerPhase? said = null;
        while (true)
        {
            await follower.WhenAsync(s => s.Phase != said
                && s.Phase is not (FollowerPhase.Connecting or FollowerPhase.CatchingUp), stop);
            var state = follower.State;
            said = state.Phase;
            if (said == FollowerPhase.Following) HostLog.Following(log, options.Url, follower.Directory, state.Lsn);
            else HostLog.NotFollowing(log, state.LastError, options.Url, state.Phase, state.LastError?.Message,
                state.Lsn, state.Lag);
        }
    }
}
