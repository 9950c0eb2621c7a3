using RecoveryVfs.PageStore.Follow;
using RecoveryVfs.PageStore.Replicas;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Tails;
using RecoveryVfs.PageStore.Wals;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.Read;

namespace RecoveryVfs.PageStore.Past;

/// <summary>A remote's store as it was at some moment, restored to a temporary directory.</summary>
internal sealed class RemotePast : PastStore
{
    const int Private = 0x1C0; // 0700
    const string Prefix = "recovery-past-";

    readonly RemoteContext context;
    readonly RemoteSegments segments;
    readonly string directory;
    readonly Action<RecoveryException?>? interrupted;
    RemoteSegment? segment;
    SegmentRecords? records;
    HeldRecord? held;

    RemotePast(RemoteContext context, RemoteSegments segments, PassingLog log, PastOptions options, string directory)
        : base(log)
    {
        (this.context, this.segments, this.directory) = (context, segments, directory);
        interrupted = options.Interrupted;
    }

    /// <summary>
    /// Restores the state of a moment aside; LSN 0 is before the first record, when there was nothing. Throws NotFound
    /// when the remote does not reach back so far, or not so far forward.
    /// </summary>
    public static async Task<RemotePast> OpenAsync(
        RemoteContext context, RestoreTarget at, PastOptions? options = null, CancellationToken cancellation = default)
    {
        options ??= new PastOptions();
        var plan = at.Lsn == 0
            ? await RestorePlanner.PlanAsync(context, RestoreTarget.Newest, hintsLsn: 0, cancellation)
            : await RestorePlanner.PlanAsync(context, at, null, cancellation);
        plan.Store.ThrowUnlessDatabases(plan.Location);
        var directory =
            Path.Combine(Path.GetFullPath(options.TemporaryDirectory), Prefix + Path.GetRandomFileName());
        SweepLeft(Path.GetDirectoryName(directory)!);
        LocalDisk.Instance.CreateDirectory(directory, Private);
        PassingLog? log = null;
        try
        {
            log = await BeginAsync(plan, new StoreOptions { Directory = directory }, options.Parallelism, cancellation);
            var segments = new RemoteSegments(context, plan.Store, plan.Hints.Header.Start, options.Interval);
            var past = new RemotePast(context, segments, log, options, directory) { LogId = plan.Store.LogId };
            await past.BeginAsync(plan, at, cancellation);
            return past;
        }
        catch
        {
            log?.Dispose();
            Remove(directory);
            throw;
        }
    }

    /// <summary>The oldest moment that the remote can still show. Throws NotFound when there is none.</summary>
    public static async Task<RestoreTarget> OldestAsync(RemoteContext context, CancellationToken cancellation = default)
    {
        var store = await context.RetryAsync(token => StoreObject.FetchAsync(context.Store, token), cancellation)
            ?? throw new RecoveryException(RecoveryError.NotFound,
                $"There is no remote at {context.Store.Location}: store.json is missing.", "Check the URL.")
            { Path = context.Store.Location };
        ulong? oldest = null;
        foreach (var entry in await context.ListAsync(RemoteNames.Hints, null, cancellation))
            if (RemoteNames.TryParseHints(entry.Name, out var lsn)) oldest = lsn; // The newest come first.
        try
        {
            await RestorePlanner.PlanAsync(context, RestoreTarget.At(store.FirstLsn), hintsLsn: 0, cancellation);
            return RestoreTarget.At(0);
        }
        catch (RecoveryException e) when (e.Error == RecoveryError.NotFound && oldest is not null)
        {
            return RestoreTarget.At(oldest.Value);
        }
    }

    static async Task<PassingLog> BeginAsync(RestorePlan plan, StoreOptions options, int parallelism,
        CancellationToken cancellation)
    {
        var hints = plan.Hints.Hints;
        var store = await StoreRestore.BeginAsync(plan, options, parallelism, static _ => { }, cancellation);
        try
        {
            // Nobody ever comes back to this directory.
            store.Announce(ulong.MaxValue);
            return new PassingLog(store, store.OpenWals(), plan.IsFromBeginning ? null : hints);
        }
        catch
        {
            store.Dispose();
            throw;
        }
    }

    async Task BeginAsync(RestorePlan plan, RestoreTarget at, CancellationToken cancellation)
    {
        Lsn = plan.Hints.Header.Lsn;
        Time = DateTimeOffset.FromUnixTimeMilliseconds(plan.Hints.Header.TimeMs);
        await segments.ListAsync(cancellation);
        while (await StepAsync(at, wait: false, cancellation)) { }
        Reached(at);
        if (Log.Lsn < plan.Hints.Header.Lsn)
            throw new RecoveryException(RecoveryError.Corrupt,
                $"The hints of LSN {plan.Hints.Header.Lsn} need the log up to there, and it ends at LSN {Log.Lsn} in "
                    + $"{context.Store.Location}.", "Name an earlier moment.")
            { Path = context.Store.Location, Lsn = Log.Lsn };
        if (plan.IsFromBeginning && Lsn == 0 && at.Lsn != 0)
            throw new RecoveryException(RecoveryError.NotFound,
                $"{at} is before the log in {context.Store.Location} begins (`recovery log` shows it): there was "
                    + "nothing yet.", "Name a later moment.")
            { Path = context.Store.Location };
        BeginHere();
    }

    /// <inheritdoc/>
    protected override string Location => context.Store.Location;

    /// <inheritdoc/>
    protected override async ValueTask<bool> StepAsync(RestoreTarget to, bool wait, CancellationToken cancellation)
    {
        while (true)
        {
            if (records is not null)
            {
                switch (TakeGroup(to))
                {
                    case Took.Group: return true;
                    case Took.NothingBeforeTarget: return false;
                }
                CloseSegment();
            }
            if (to.Lsn <= Log.Lsn) return false;
            if (await NextSegmentAsync(wait, cancellation) is not { } next) return false;
            if (next.Header.IsGap)
            {
                using (next)
                    throw new RecoveryException(RecoveryError.NotFound,
                        $"LSNs {next.Header.FirstLsn} to {next.Header.LastLsn} were never shipped ({next.Name}): "
                            + "after an outage shipping started afresh.", "Name moments before, or after.")
                    { Path = context.Store.Location, Lsn = next.Header.FirstLsn };
            }
            (segment, records) = (next, next.OpenRecords());
        }
    }

    enum Took { Group, NothingBeforeTarget, EndOfSegment }

    Took TakeGroup(RestoreTarget to)
    {
        if (held is { } first)
        {
            if (IsBeyond(to, first.Lsn, first.TimeMs)) return Took.NothingBeforeTarget;
            held = null;
            if (Take(first.Record)) return Took.Group;
        }
        while (records!.TryRead(out var record))
        {
            if (IsBeyond(to, record.Lsn, record.UnixTimeMs))
            {
                held = new HeldRecord(record);
                return Took.NothingBeforeTarget;
            }
            if (Take(record)) return Took.Group;
        }
        return Took.EndOfSegment;
    }

    async ValueTask<RemoteSegment?> NextSegmentAsync(bool wait, CancellationToken cancellation)
    {
        for (var failures = 0; ;)
        {
            try
            {
                var next = wait ? await segments.NextAsync(cancellation) : await segments.TryNextAsync(cancellation);
                if (failures > 0) interrupted?.Invoke(null);
                return next;
            }
            catch (RecoveryException e) when (e.Error == RecoveryError.Remote && wait && interrupted is not null)
            {
                if (failures++ == 0) interrupted(e);
                await Task.Delay(context.Backoff.After(failures, context.Random), context.Time, cancellation);
            }
        }
    }

    void CloseSegment()
    {
        records?.Dispose();
        segment?.Dispose();
        (records, segment) = (null, null);
    }

    /// <summary>
    /// Removes what this user's processes have left that were killed: whoever lives holds the lock in its directory. In
    /// a directory that all may write, what others put there is theirs, and a link leads anywhere.
    /// </summary>
    static void SweepLeft(string temporary)
    {
        foreach (var left in Directory.EnumerateDirectories(temporary, Prefix + "*"))
        {
            try
            {
                if (FileNode.At(left) is not { IsDirectory: true } node || node.Owner != Posix.EffectiveUser())
                    continue;
                // Another process may be about to take its lock.
                var mark = new FileInfo(new StoreHome(left).Lock);
                if (!mark.Exists || DateTime.UtcNow - mark.LastWriteTimeUtc < TimeSpan.FromMinutes(1)) continue;
                using (StoreLock.Take(left)) { }
                Directory.Delete(left, recursive: true);
            }
            catch (Exception e) when (e is RecoveryException or IOException or UnauthorizedAccessException)
            {
                // It is in use, or another user's.
            }
        }
    }

    static void Remove(string directory)
    {
        try
        {
            if (Directory.Exists(directory)) Directory.Delete(directory, recursive: true);
        }
        catch (IOException)
        {
            // It lies among temporary files, where what is left is swept away.
        }
    }

    /// <inheritdoc/>
    public override async ValueTask DisposeAsync()
    {
        CloseSegment();
        segments.Dispose();
        await base.DisposeAsync();
        Remove(directory);
    }
}
