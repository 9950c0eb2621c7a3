using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.PageStore.Follow;

/// <summary>What a follower has come to, and who waits for it to move. Thread-safe.</summary>
internal sealed class FollowerProgress(FollowerOptions options)
{
    // A look that takes longer than this shows as lag.
    static readonly TimeSpan LookPatience = TimeSpan.FromSeconds(2);

    readonly Lock gate = new();
    volatile FollowerState state = new();
    TaskCompletionSource moved = NewSignal();

    /// <summary>The state as it was set last.</summary>
    public FollowerState Now => state;

    /// <summary>The state with its lag by the clock.</summary>
    public FollowerState Seen => WithLag(state);

    /// <summary>Completes with the next change or <see cref="Signal"/>.</summary>
    public Task NextMove => Volatile.Read(ref moved).Task;

    public void Set(Func<FollowerState, FollowerState> change)
    {
        lock (gate) state = change(state);
        Signal();
    }

    /// <summary>Has all look again who wait.</summary>
    public void Signal() => Interlocked.Exchange(ref moved, NewSignal()).TrySetResult();

    /// <inheritdoc cref="RunningFollower.WhenAsync"/>
    public async Task WhenAsync(Func<FollowerState, bool> reached, CancellationToken cancellation)
    {
        while (true)
        {
            var signal = NextMove;
            var now = state;
            if (reached(now)) return;
            ThrowIfOver(now);
            await signal.WaitAsync(cancellation);
        }
    }

    /// <summary>Throws when it gave up or was stopped.</summary>
    public void ThrowIfOver(FollowerState now)
    {
        if (now is { Phase: FollowerPhase.Failed, LastError: { } why })
            throw why.Within($"The follower {options.Store.Directory} gave up: {why.Message}");
        if (now.Phase == FollowerPhase.Stopped)
            throw new RecoveryException(RecoveryError.Busy,
                $"The follower {options.Store.Directory} was stopped.",
                "Start it again.")
            { Path = options.Store.Directory };
    }

    static TaskCompletionSource NewSignal() => new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>
    /// The lag is now minus the later of two times: when it had last caught up, and that of its newest record.
    /// </summary>
    FollowerState WithLag(FollowerState now)
    {
        if (now.Phase == FollowerPhase.Still) return now;
        var clock = options.Store.Time.GetUtcNow();
        if (now.Phase == FollowerPhase.Following && clock - now.CaughtUpAt <= options.Interval * 2 + LookPatience)
            return now;
        var asOf = now.LsnTime is { } at && !(now.CaughtUpAt > at) ? at : now.CaughtUpAt;
        return asOf is { } since && clock > since ? now with { Lag = clock - since } : now;
    }
}
