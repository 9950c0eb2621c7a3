using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.Read;

namespace RecoveryVfs.RecoveryLog.Remote.Write;

/// <summary>
/// How a follower becomes the writer: it reads to the end of the log and creates the next segment, which fences the
/// writer before.
/// </summary>
internal static class RemotePromotion
{
    // A writer that ships all the time may be faster again and again; each turn is a race of one request.
    static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    /// <summary>
    /// Gives every segment up to the end to <paramref name="apply"/>, our own last, and returns the place before that
    /// and the place after it. Throws when it cannot be sure to have read everything: whoever cannot read to the end
    /// must not end the other writer's tenure.
    /// </summary>
    /// <remarks>
    /// The next segment's name is the lock. If the place is taken, somebody shipped meanwhile: that is read, and the
    /// next place is tried. That the place is free proves the end only if nothing was ever there; a place whose segment
    /// was collected is free, too. Collection takes the oldest first and never the newest, so at the end of the log the
    /// segment before is there. (A listing must show nothing beyond, either, but may be stale.)
    /// </remarks>
    public static async ValueTask<(RemoteLogEnd Before, RemoteLogEnd Ours)> RunAsync(RemoteContext reading,
        RemoteContext writing, StoreObject store,
        RemoteSegments segments, ulong author, Action<RemoteSegment> apply, CancellationToken cancellation = default)
    {
        var began = reading.Time.GetTimestamp();
        await ReadOnAsync();
        await ThrowIfCollectedAsync(reading, segments.Position, cancellation);
        while (true)
        {
            await ReadOnAsync();
            var end = segments.Position;
            if (await RemoteTenure.TakeOverAsync(writing, store, end, author, cancellation) is { } ours)
            {
                // Our own record, as everybody else will read it.
                if (await segments.TakeAsync(cancellation) is { } epoch) Take(epoch);
                if (segments.Position != ours)
                    throw new RecoveryException(RecoveryError.Remote,
                        $"{reading.Store.Location} was taken over at LSN {ours.LastLsn}, but does not show it.",
                        "Check the object store, then promote again")
                    { Path = reading.Store.Location, Lsn = ours.LastLsn };
                return (end, ours);
            }
            if (reading.Time.GetElapsedTime(began) > Patience)
                throw new RecoveryException(RecoveryError.Busy,
                    $"The writer of {reading.Store.Location} ships faster than it can be taken over: "
                    + $"it stands at LSN {end.LastLsn} and goes on.",
                    "Stop it, then promote again")
                { Path = reading.Store.Location, Lsn = end.LastLsn };
        }

        async ValueTask ReadOnAsync()
        {
            while (await segments.TakeAsync(cancellation) is { } segment) Take(segment);
        }

        void Take(RemoteSegment segment)
        {
            using (segment) apply(segment);
        }
    }

    static async ValueTask ThrowIfCollectedAsync(RemoteContext context, RemoteLogEnd place,
        CancellationToken cancellation)
    {
        await context.ThrowIfHoleAsync(place, cancellation);
        if (place.BeforeLsn == 0) return;
        var name = RemoteNames.Segment(place.BeforeLsn);
        if (await context.RetryAsync(token => context.Store.HeadAsync(name, token), cancellation) is not null) return;
        throw new RecoveryException(RecoveryError.NotFound,
            $"The object {name} is not in {context.Store.Location} any more, so what followed it may have been "
            + $"collected, too: LSN {place.NextLsn} is not known to be the end.",
            "Follow again from later hints")
        { Path = name, Lsn = place.NextLsn };
    }
}
