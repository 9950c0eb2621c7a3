namespace RecoveryVfs.Simulation;

/// <summary>
/// Runs asynchronous code on one thread, in an order that depends on nothing but the code itself, with time that jumps
/// to the next timer whenever nothing else is left to do. What runs inside must not use <c>ConfigureAwait(false)</c> or
/// the thread pool.
/// </summary>
internal sealed class SimulationLoop : SynchronizationContext
{
    /// <summary>A history with more steps than this is taken to hang.</summary>
    const long MaxSteps = 50_000_000;

    readonly Queue<(SendOrPostCallback Callback, object? State)> ready = new();

    /// <summary>The simulated time.</summary>
    public SimulatedTime Time { get; } = new();

    /// <inheritdoc/>
    public override void Post(SendOrPostCallback d, object? state) => ready.Enqueue((d, state));

    /// <inheritdoc/>
    public override void Send(SendOrPostCallback d, object? state) => d(state);

    /// <summary>
    /// Runs to the end of the task; throws what it throws, or InvalidOperation when it waits for something that never
    /// comes.
    /// </summary>
    public void Run(Func<Task> main)
    {
        var before = Current;
        SetSynchronizationContext(this);
        try
        {
            var task = main();
            for (long steps = 0; !task.IsCompleted; steps++)
            {
                if (steps > MaxSteps) throw new InvalidOperationException("The simulation does not come to an end.");
                if (ready.TryDequeue(out var next)) next.Callback(next.State);
                else if (!Time.AdvanceToNextTimer())
                    throw new InvalidOperationException(
                        "The simulation is stuck: nothing is ready and no timer is set.");
            }
            task.GetAwaiter().GetResult();
        }
        finally { SetSynchronizationContext(before); }
    }
}

/// <summary>
/// Time that stands still until it is advanced. Timers fire in order of their due times, then of their creation.
/// </summary>
internal sealed class SimulatedTime : TimeProvider
{
    readonly PriorityQueue<(SimulatedTimer Timer, long Generation), (long Due, long Number)> timers = new();
    long ticks = new DateTimeOffset(2030, 1, 1, 0, 0, 0, TimeSpan.Zero).Ticks;
    long created;

    /// <inheritdoc/>
    public override DateTimeOffset GetUtcNow() => new(ticks, TimeSpan.Zero);

    /// <inheritdoc/>
    public override long GetTimestamp() => ticks;

    /// <inheritdoc/>
    public override long TimestampFrequency => TimeSpan.TicksPerSecond;

    /// <inheritdoc/>
    public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
    {
        var timer = new SimulatedTimer(this, callback, state);
        timer.Change(dueTime, period);
        return timer;
    }

    /// <summary>Moves time to the next timer and fires it; false when there is none.</summary>
    public bool AdvanceToNextTimer()
    {
        while (timers.TryDequeue(out var next, out var at))
        {
            if (next.Timer.Generation != next.Generation) continue;
            ticks = Math.Max(ticks, at.Due);
            next.Timer.Fire();
            return true;
        }
        return false;
    }

    /// <summary>Moves time on, firing what becomes due.</summary>
    public void Advance(TimeSpan by)
    {
        long until = ticks + by.Ticks;
        while (timers.TryPeek(out _, out var at) && at.Due <= until) AdvanceToNextTimer();
        ticks = Math.Max(ticks, until);
    }

    sealed class SimulatedTimer(SimulatedTime time, TimerCallback callback, object? state) : ITimer
    {
        TimeSpan period;

        public long Generation { get; private set; }

        public bool Change(TimeSpan dueTime, TimeSpan newPeriod)
        {
            (Generation, period) = (Generation + 1, newPeriod);
            if (dueTime != Timeout.InfiniteTimeSpan)
                time.timers.Enqueue((this, Generation), (time.ticks + dueTime.Ticks, time.created++));
            return true;
        }

        public void Fire()
        {
            if (period > TimeSpan.Zero) Change(period, period); else Generation++;
            callback(state);
        }

        public void Dispose() => Generation++;

        public ValueTask DisposeAsync()
        {
            Dispose();
            return ValueTask.CompletedTask;
        }
    }
}
