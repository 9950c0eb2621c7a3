using RecoveryVfs.PageStore.Lazy;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.Read;

namespace RecoveryVfs.PageStore.Follow;

/// <summary>
/// The steps of following: opens what the directory has, or fills it from hints; finds the place in the remote's log
/// where that goes on; applies what comes. Which step is next, its caller knows. Used by one thread at a time.
/// </summary>
internal sealed class FollowerSession(FollowerOptions options, IFollowedKind kind, RemoteContext context,
    RemoteContext reading, SharedReplica replica, FollowerProgress progress) : IDisposable
{
    readonly DiskReserve room = new(options.Store.Disk, options.Store.Directory);
    StoreObject? source;       // Null before the remote was reached.
    RemoteSegments? segments;  // Null while there is no place in its log.
    bool isListed;

    string Directory => options.Store.Directory;

    /// <summary>Whether it has found a place in the remote's log.</summary>
    public bool IsConnected => segments is not null;

    /// <summary>Where the log is read.</summary>
    public RemoteSegments Segments
        => segments ?? throw new InvalidOperationException($"{Directory} is not connected to its remote.");

    /// <summary>Whose log it is.</summary>
    public StoreObject Source
        => source ?? throw new InvalidOperationException($"{Directory} has not reached its remote.");

    /// <summary>The newest LSN that the remote was seen to have; 0 when none was.</summary>
    public ulong ListedLsn => segments?.ListedLsn ?? 0;

    /// <summary>Throws when the remote is not there; asks once.</summary>
    public async Task RequireSourceAsync(CancellationToken cancellation) =>
        source ??= await FetchSourceAsync(cancellation);

    /// <summary>Opens what the directory has; only a directory that has nothing needs the remote for that.</summary>
    public async Task OpenAsync(CancellationToken cancellation)
    {
        var home = options.Store.Home;
        kind.ThrowUnlessFollower(options);
        home.ThrowUnlessOf(options.IsOfMoment ? options.Moment.ToString() : null);
        if (home is { IsReplica: true, IsStartingOver: false, Moment: null or { IsShown: true } } && TryResume())
            return;
        ulong from;
        // Beside each other: each is a request and its answer. What did not work out once is looked at closely.
        var newest = options is { Fetch: not FetchMode.All, IsOfMoment: false } && progress.Now.StartedOver == 0
            ? RestorePlanner.NewestHintsAsync(context, cancellation)
            : null;
        try
        {
            source = await FetchSourceAsync(cancellation);
            from = await BeginAsync(newest, cancellation);
        }
        finally
        {
            if (newest is not null) await ((Task)newest).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
        if (!options.IsOfMoment) return;
        try
        {
            await ReachAsync(from, cancellation);
        }
        catch (Exception e) when (e is BrokenPathException or DivergedException)
        {
            throw FollowerLoop.ErrorOf(e);
        }
    }

    /// <summary>Applies the log from hints up to the moment that is shown.</summary>
    async Task ReachAsync(ulong from, CancellationToken cancellation)
    {
        var moment = options.Moment;
        await ListAsync(cancellation);
        var isBeyond = false;
        while (!isBeyond && !(moment.Lsn < Segments.Position.NextLsn))
        {
            using var segment = await Segments.TryNextAsync(cancellation);
            if (segment is null) break;
            // What was never shipped, after an outage, may lie behind it.
            if (segment.Header.IsGap && (moment.Lsn < segment.Header.FirstLsn
                || moment.TimeMs < segment.Header.FirstTimeMs))
                break;
            var last = RestoreReplay.LastWanted(segment, moment, from);
            isBeyond = last != ulong.MaxValue;
            Apply(segment, last);
            if (replica.Opened.IsSettleDue) await SettleAsync(cancellation);
        }
        if (replica.Opened.NextLsn == 1 || moment.Lsn >= Segments.Position.NextLsn)
            throw new RecoveryException(RecoveryError.NotFound, replica.Opened.NextLsn == 1
                ? $"{moment} is before the log in {context.Store.Location} begins: there was nothing yet."
                : $"{moment} is not in {context.Store.Location}, whose log ends at LSN {Segments.Position.LastLsn}.",
                "`recovery log` shows what there is.")
            { Path = context.Store.Location, Lsn = moment.Lsn };
        replica.Opened.DeclareWhole();
        await SettleAsync(cancellation);
        options.Store.Home.EndMoment(moment.ToString());
    }

    bool TryResume()
    {
        try
        {
            options.Store.Home.ForgetCaughtUp();
            if (kind.TryOpen(options, reading, source?.LogId, room) is not { } opened) return false;
            replica.Adopt(opened);
            progress.Set(s => s with { CaughtUpAt = options.Store.Home.CompleteAt });
            return true;
        }
        catch (RecoveryException e) when (e.Error == RecoveryError.Corrupt)
        {
            progress.Set(s => s with { LastError = e, StartedOver = s.StartedOver + 1 });
            return false;
        }
    }

    async Task<StoreObject> FetchSourceAsync(CancellationToken cancellation)
    {
        var store = await FetchAsync(cancellation);
        kind.ThrowUnlessOfThisKind(store, context.Store.Location);
        return store;
    }

    async Task<StoreObject> FetchAsync(CancellationToken cancellation) =>
        await context.RetryAsync(token => StoreObject.FetchAsync(context.Store, token), cancellation)
        ?? throw new RecoveryException(RecoveryError.NotFound,
            $"There is no remote at {context.Store.Location}: store.json is missing.",
            "Check the URL.")
        { Path = context.Store.Location };

    /// <summary>
    /// Empties the directory and fills it from the newest hints, or those before the moment that is shown; returns
    /// their LSN. Nothing is open.
    /// </summary>
    public Task<ulong> BeginAsync(CancellationToken cancellation) => BeginAsync(null, cancellation);

    async Task<ulong> BeginAsync(Task<ulong?>? newest, CancellationToken cancellation)
    {
        var (place, listed, lsn) = await kind.BeginAsync(context, Source, options, room, newest, cancellation);
        Reopen();
        GoOnAt(place ?? RemoteLogEnd.Start(Source), listed);
        progress.Set(s => s with
        {
            Phase = FollowerPhase.CatchingUp,
            CaughtUpAt = place is null ? null : options.Store.Home.CompleteAt
        });
        return lsn;
    }

    /// <summary>Opens the replica as it was settled last.</summary>
    public void Reopen() => replica.Adopt(kind.TryOpen(options, reading, source?.LogId, room)
        ?? throw new InvalidOperationException($"{Directory} was a replica, and is none any more."));

    /// <summary>Finds the place in the remote's log where the replica goes on.</summary>
    public async Task ConnectAsync(CancellationToken cancellation)
    {
        source = await FetchSourceAsync(cancellation);
        var store = replica.Opened;
        store.SetSource(source.LogId);
        if (await reading.PlaceOfAsync(source, store.NextLsn, cancellation) is not { } place)
            throw new BrokenPathException(new RecoveryException(RecoveryError.NotFound,
                $"LSN {store.NextLsn}, where {Directory} goes on, is not in {context.Store.Location} any more: it "
                    + "was collected. The follower needs later hints.")
            { Path = context.Store.Location, Lsn = store.NextLsn });
        GoOnAt(place);
        progress.Set(s => s with { Phase = FollowerPhase.CatchingUp });
    }

    void GoOnAt(RemoteLogEnd place, IReadOnlyList<ObjectInfo>? seen = null)
    {
        segments?.Dispose();
        segments = new RemoteSegments(reading, Source, place, options.Interval);
        if (seen is not null) segments.Expect(seen);
        isListed = seen is not null;
    }

    /// <summary>Looks what there is to fetch, unless somebody just has.</summary>
    public async ValueTask ListAsync(CancellationToken cancellation)
    {
        if (!isListed) await Segments.ListAsync(cancellation);
        isListed = false;
    }

    /// <summary>Whether newer hints would bring the replica on, where the log does not.</summary>
    public async Task<bool> HasNewerHintsAsync(CancellationToken cancellation) =>
        await reading.HintsUpToAsync(Source, ulong.MaxValue, cancellation) is { } hints
            && hints.Header.Start.NextLsn > replica.Opened.NextLsn;

    public void Apply(RemoteSegment segment, ulong last = ulong.MaxValue)
    {
        var store = replica.Opened;
        // What a record changes may not be here. To break off in the middle of a group would keep readers out.
        using var patience = LazyFiles.WaitPatiently(e =>
            progress.Set(s => s with { Phase = FollowerPhase.Interrupted, LastError = e }));
        var applied = store.Apply(segment, Source.LogId, last);
        progress.Set(s => Measure(s) with
        {
            Lsn = store.ReadableLsn,
            LsnTime = applied.LastTime ?? s.LsnTime,
            Groups = s.Groups + applied.Groups,
        });
    }

    /// <summary>The state with what is known to be left.</summary>
    public FollowerState Measure(FollowerState s)
    {
        var next = replica.Opened.NextLsn;
        return s with
        {
            LagBytes = Segments.ListedBytes,
            LagRecords = (long)(Segments.ListedLsn >= next ? Segments.ListedLsn - next + 1 : 0),
            Phase = Segments.ListedBytes > 0 ? FollowerPhase.CatchingUp : s.Phase,
        };
    }

    public async Task SettleAsync(CancellationToken cancellation)
    {
        await replica.Opened.SettleAsync(cancellation);
        NoteSettled();
    }

    /// <inheritdoc cref="IFollowedReplica.SettleAtEndAsync"/>
    public async Task<bool> SettleAtEndAsync(CancellationToken cancellation)
    {
        var (isDue, readable) = (replica.Opened.IsSettleDue, replica.Opened.ReadableLsn);
        var isAllSeen = await replica.Opened.SettleAtEndAsync(cancellation);
        if (isDue || replica.Opened.ReadableLsn != readable) NoteSettled();
        return isAllSeen;
    }

    void NoteSettled()
    {
        var lsn = replica.Opened.ReadableLsn;
        if (progress.Now.Lsn != lsn) progress.Set(s => s with { Lsn = lsn });
        NoteComplete();
    }

    /// <summary>So that a later start which finds no remote can tell how old what it has is.</summary>
    public void NoteComplete()
    {
        if (progress.Now.CaughtUpAt is { } at) options.Store.Home.CompleteAt = at;
    }

    /// <summary>The place in the log is lost: the next step connects again.</summary>
    public void Dispose()
    {
        segments?.Dispose();
        segments = null;
    }
}
