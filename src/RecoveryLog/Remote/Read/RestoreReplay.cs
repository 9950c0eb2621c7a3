using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.Write;

namespace RecoveryVfs.RecoveryLog.Remote.Read;

/// <summary>One pass over the log, from where a plan's hints say to its target.</summary>
sealed class RestoreReplay(RemoteContext context, RestorePlan plan, RecordTaken take, Action<long>? progressed)
{
    readonly RemoteHintsHeader hints = plan.Hints.Header;
    ulong reached = plan.Hints.Header.Lsn;
    long reachedMs = plan.Hints.Header.TimeMs;

    public async Task<(ulong Lsn, long TimeMs)> RunAsync(CancellationToken cancellation)
    {
        using var reader = new RemoteLogReader(context, plan.Store, hints.Start);
        reader.Expect(plan.Segments);
        var more = true;
        while (more && !(plan.Target.Lsn < reader.Position.NextLsn))
        {
            using var segment = await NextAsync(reader, cancellation);
            if (segment is null) break;
            progressed?.Invoke(segment.SizeBytes);
            more = Replay(segment);
            if (!more) LookForClock(segment);
        }
        CheckReached(reader.Position);
        if (!more) await LookBeyondAsync(reader, cancellation);
        return (reached, reachedMs);
    }

    async ValueTask<RemoteSegment?> NextAsync(RemoteLogReader reader, CancellationToken cancellation)
    {
        string name = RemoteNames.Segment(reader.Position.NextLsn);
        var segment = await ReadAsync(reader, name, cancellation);
        if (segment is null)
        {
            // The end, or a hole? A later segment tells; but this one may have come just before it, so it is looked for
            // once more.
            if (!(plan.End?.NextLsn > reader.Position.NextLsn)
                && (await context.ListAsync(RemoteNames.Segments, name, cancellation, most: 1)).Count == 0) return null;
            segment = await ReadAsync(reader, name, cancellation)
                ?? throw await RestorePlanner.ExplainSegmentAsync(context, plan.Store, name,
                reader.Position, Missing(name), cancellation);
        }
        if (!segment.Header.IsGap) return segment;
        var header = segment.Header;
        segment.Dispose();
        if (plan.Target == RestoreTarget.Newest || plan.Target.Lsn >= header.FirstLsn
            || plan.Target.TimeMs >= header.FirstTimeMs)
            throw new RecoveryException(RecoveryError.NotFound,
                $"LSNs {header.FirstLsn} to {header.LastLsn} were never shipped: "
                + $"after an outage shipping started afresh ({name}).",
                $"Restore LSN {header.FirstLsn - 1} or earlier, or a state from the hints published after LSN "
                + $"{header.LastLsn}")
            { Lsn = header.FirstLsn };
        return null;
    }

    /// <summary>
    /// Only from hints on, the log is promised to be there: its beginning may have been collected since the plan was
    /// made.
    /// </summary>
    RecoveryException Missing(string name)
        => new(plan.IsFromBeginning ? RecoveryError.NotFound : RecoveryError.Corrupt, $"The object {name} is missing");

    async ValueTask<RemoteSegment?> ReadAsync(RemoteLogReader reader, string name, CancellationToken cancellation)
    {
        var before = reader.Position;
        try { return await reader.TryReadNextAsync(cancellation); }
        catch (RecoveryException e) when (e.Error is RecoveryError.Corrupt or RecoveryError.TooNew)
        {
            throw await RestorePlanner.ExplainSegmentAsync(context, plan.Store, name, before, e, cancellation);
        }
    }

    /// <summary>
    /// The commits that a clock going back has given a later time come right after where a restore by time ends; so
    /// does the note that says so.
    /// </summary>
    void LookForClock(RemoteSegment segment)
    {
        if (plan.Target.TimeMs is not { } target || plan.ClockNote is not null) return;
        using var records = segment.OpenRecords();
        while (records.TryRead(out var record))
        {
            if (record.Lsn <= reached || ClockNote.Read(record) is not { } note || note.ShownMs > target
                || note.KeptMs <= target)
                continue;
            plan.ClockNote =
                $"At LSN {record.Lsn} the writer's clock went back from {Said(note.KeptMs)} to {Said(note.ShownMs)}. "
                    + $"Commits after LSN {reached} bear the time {Said(note.KeptMs)}, though "
                + "they may have been made before the time that was asked for: `recovery log` shows them, and --lsn "
                    + "restores them.";
            return;
        }
    }

    /// <summary>
    /// The note may be in the segment after. Nothing depends on it: one that cannot be read is not missed.
    /// </summary>
    async ValueTask LookBeyondAsync(RemoteLogReader reader, CancellationToken cancellation)
    {
        if (plan.Target.TimeMs is null || plan.ClockNote is not null) return;
        try
        {
            using var beyond = await reader.TryReadNextAsync(cancellation);
            if (beyond is { Header.IsGap: false }) LookForClock(beyond);
        }
        catch (RecoveryException)
        {
            // What was asked for is there.
        }
    }

    static string Said(long unixTimeMs)
        => DateTimeOffset.FromUnixTimeMilliseconds(unixTimeMs)
            .UtcDateTime.ToString("yyyy-MM-dd HH:mm:ss.fff'Z'", System.Globalization.CultureInfo.InvariantCulture);

    /// <summary>Gives a segment's records, up to the target; false when the target was reached.</summary>
    bool Replay(RemoteSegment segment)
    {
        ulong last = LastWanted(segment);
        using var records = segment.OpenRecords();
        while (records.TryRead(out var record))
        {
            if (record.Lsn > last) return false;
            if (record.Lsn < hints.ReplayFrom) continue;
            take(record);
            if (record.Lsn > reached) (reached, reachedMs) = (record.Lsn, record.UnixTimeMs);
        }
        return true;
    }

    ulong LastWanted(RemoteSegment segment) => LastWanted(segment, plan.Target, hints.Lsn);

    /// <summary>
    /// The end of the last group of a segment that is wanted. Only the segment that the target falls into is read for
    /// it, since a group must be known to be whole before any of it is given. What comes up to <paramref name="from"/>
    /// is wanted whatever its time.
    /// </summary>
    public static ulong LastWanted(RemoteSegment segment, RestoreTarget target, ulong from)
    {
        bool isWhole = !(target.Lsn < segment.Header.LastLsn) && !(target.TimeMs < segment.Header.LastTimeMs);
        if (isWhole) return ulong.MaxValue;
        ulong wanted = segment.Header.FirstLsn - 1;
        using var records = segment.OpenRecords();
        while (records.TryRead(out var record))
        {
            if (record.Lsn > from && (target.Lsn < record.Lsn || target.TimeMs < record.UnixTimeMs))
                return wanted;
            if (!record.Continues) wanted = record.Lsn;
        }
        return wanted;
    }

    void CheckReached(RemoteLogEnd position)
    {
        if (plan.IsFromBeginning && reached == 0)
            throw new RecoveryException(RecoveryError.NotFound,
                $"{plan.Target} is before the log in {context.Store.Location} begins (`recovery log` shows it): "
                + "there was nothing yet.",
                "Restore a later state")
            { Path = context.Store.Location };
        if (reached < hints.Lsn || position.LastLsn < hints.Lsn)
            throw new RecoveryException(RecoveryError.Corrupt,
                $"The hints {RemoteNames.HintsAt(hints.Lsn)} are of LSN {hints.Lsn}, "
                + $"but the log in {context.Store.Location} ends at {position.LastLsn}: segments are missing.",
                "Restore from older hints")
            { Path = context.Store.Location, Lsn = hints.Lsn };
        if (plan.Target.Lsn > position.LastLsn)
            throw new RecoveryException(RecoveryError.NotFound,
                $"LSN {plan.Target.Lsn} is not in {context.Store.Location}, which ends at {position.LastLsn}.",
                "Restore that instead")
            { Path = context.Store.Location, Lsn = plan.Target.Lsn };
    }
}
