using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.Write;

namespace RecoveryVfs.PageStore.Follow;

/// <summary>
/// Makes the replica of a stopped follower the store that writes to its remote. When it throws, the directory is a
/// follower's as before.
/// </summary>
internal sealed class FollowerPromotion(FollowerOptions options, RemoteContext reading, FollowerPin pin,
    SharedReplica replica, FollowerSession session, FollowerProgress progress)
{
    /// <summary>Reads to the log's end and ends the other writer's tenure there.</summary>
    public async Task<Promotion> RunAsync(CancellationToken cancellation)
    {
        var author = options.Store.Home.AuthorOrNew();
        DateTimeOffset? lastTime = null;
        try
        {
            if (replica.Current is null)
                throw new RecoveryException(RecoveryError.Busy,
                    "It was starting over from the remote's hints.",
                    "Start it again, let it catch up, and promote it then.")
                { Path = options.Store.Directory };
            // Afresh: what the stopped loop had asked for was cancelled with it.
            await session.ConnectAsync(cancellation);
            await session.Segments.ListAsync(cancellation);
            await using var writable =
                options.Open?.Invoke() ?? RemoteUrl.Parse(options.Url).Open(time: options.Store.Time);
            var (before, ours) = await RemotePromotion.RunAsync(reading, reading with { Store = writable },
                session.Source, session.Segments, author, segment =>
                {
                    if (segment.Header.Author != author)
                        lastTime = DateTimeOffset.FromUnixTimeMilliseconds(segment.Header.LastTimeMs);
                    session.Apply(segment);
                }, cancellation);
            replica.Opened.DeclareWhole();
            await replica.Opened.SettleAsync(cancellation);
            var lsn = Math.Min(before.LastLsn, replica.Opened.ReadableLsn);
            // Whoever opens the store now goes on writing to this remote, and never begins another.
            options.Store.Home.AddRemote(options.Url);
            replica.CloseAsStore();
            await pin.RemoveAsync();
            return new Promotion(lsn, ours.Epoch, before.Author, lastTime ?? progress.Now.LsnTime);
        }
        catch (Exception e) when (e is RecoveryException or BrokenPathException or DivergedException)
        {
            var cause = FollowerLoop.ErrorOf(e);
            throw cause.Within($"{options.Store.Directory} was not promoted: nobody could tell whether it has "
                + $"everything. {cause.Message.TrimEnd('.')}. {LastKnown()}");
        }
    }

    string LastKnown()
    {
        var state = progress.Now;
        var lsn = Math.Max(state.Lsn, session.ListedLsn);
        var time = state.LsnTime is { } at && lsn == state.Lsn ? $", of {at:yyyy-MM-dd HH:mm:ss.fff'Z'}" : "";
        var complete = state.CaughtUpAt is { } seen
            ? $"; that was all there was at {seen.UtcDateTime:yyyy-MM-dd HH:mm:ss'Z'}"
            : "";
        return $"It stands at LSN {state.Lsn}; the old writer was last known to have LSN "
            + $"{lsn}{time}{(lsn == state.Lsn ? complete : "")}.";
    }
}
