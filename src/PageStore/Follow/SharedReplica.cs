using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.PageStore.Follow;

/// <summary>
/// The replica that a follower has open, and how many read it: it is closed when nobody does. Thread-safe, but opened
/// and closed by the follower alone.
/// </summary>
internal sealed class SharedReplica(FollowerOptions options, FollowerProgress progress) : IReadHost
{
    readonly Lock gate = new();
    IFollowedReplica? open;
    int readers;
    bool isClosing, refusesReaders;

    /// <summary>The replica, while it is open.</summary>
    public IFollowedReplica? Current => Volatile.Read(ref open);

    /// <summary>The same for the follower, who has opened it.</summary>
    public IFollowedReplica Opened
        => Current ?? throw new InvalidOperationException($"The replica {options.Store.Directory} is not open.");

    public void Adopt(IFollowedReplica opened)
    {
        lock (gate)
        {
            open = opened;
            progress.Set(s => s with { Lsn = opened.ReadableLsn });
        }
    }

    /// <summary>
    /// One more reader: until it says that it ends, what is returned stays open. Throws Busy while there is nothing to
    /// be read.
    /// </summary>
    public IFollowedReplica BeginRead()
    {
        lock (gate)
        {
            if (open is { IsWhole: false }) throw NotWhole();
            if (open is null || isClosing || refusesReaders) throw NotOpen();
            readers++;
            return open;
        }
    }

    RecoveryException NotWhole() => new(RecoveryError.Busy,
        $"The follower {options.Store.Directory} was stopped in the middle of something, and is whole again when it "
            + $"has read on in {options.Url}{(progress.Now.LastError is { } why ? ": " + why.Message : "")}.",
        "Try again in a while.")
    { Path = options.Store.Directory, IsTransient = true };

    RecoveryException NotOpen() => progress.Now is { Phase: FollowerPhase.Stopped or FollowerPhase.Failed } over
        ? new RecoveryException(RecoveryError.Busy,
            $"The follower {options.Store.Directory} was stopped"
                + $"{(over.LastError is { } e ? ": " + e.Message.TrimEnd('.') : "")}.",
            "Start it again.")
        { Path = options.Store.Directory }
        : new RecoveryException(RecoveryError.Busy,
            $"The follower {options.Store.Directory} starts over from the remote's hints.",
            "Try again in a while.")
        { Path = options.Store.Directory, IsTransient = true };

    void IReadHost.EndRead()
    {
        lock (gate) if (--readers > 0) return;
        progress.Signal();
    }

    /// <summary>Takes no new readers from here on; returns how many there are.</summary>
    public int RefuseForGood()
    {
        lock (gate)
        {
            isClosing = true;
            return readers;
        }
    }

    /// <summary>The same, but not when anybody reads: false then.</summary>
    public bool TryRefuseForGood(out int reading)
    {
        lock (gate)
        {
            reading = readers;
            isClosing |= readers == 0;
            return readers == 0;
        }
    }

    /// <summary>Completes when nobody reads.</summary>
    public async Task UnreadAsync()
    {
        while (true)
        {
            var signal = progress.NextMove;
            lock (gate) if (readers == 0) return;
            await signal;
        }
    }

    /// <summary>
    /// Closes it as soon as nobody reads; after some patience, refuses new readers so that there is such a moment.
    /// </summary>
    public async Task CloseUnreadAsync(TimeSpan patience, CancellationToken stop)
    {
        var began = options.Store.Time.GetTimestamp();
        while (true)
        {
            var signal = progress.NextMove;
            var left = patience - options.Store.Time.GetElapsedTime(began);
            lock (gate)
            {
                refusesReaders = left <= TimeSpan.Zero;
                if (readers == 0)
                {
                    Close();
                    refusesReaders = false;
                    return;
                }
            }
            if (left <= TimeSpan.Zero) await signal.WaitAsync(stop);
            else await Task.WhenAny(signal, Task.Delay(left, options.Store.Time, stop));
            stop.ThrowIfCancellationRequested();
        }
    }

    /// <summary>Closes it; nobody reads.</summary>
    public void Close()
    {
        open?.Dispose();
        open = null;
    }

    /// <summary>Leaves the directory as a store of its own.</summary>
    public void CloseAsStore()
    {
        Opened.CloseAsStore();
        open = null;
    }
}
