using RecoveryVfs.RecoveryLog;
using RecoveryVfs.Replicate.Mirrors;

namespace RecoveryVfs.Replicate;

/// <summary>
/// Looks at one database when something has changed, now and then when nothing seems to have, and when it is asked to.
/// </summary>
internal sealed class DatabaseWatch : IAsyncDisposable
{
    /// <summary>What is compared at a time, so that nobody waits for it.</summary>
    const int CompareBytes = 1 << 20;

    static readonly TimeSpan ShortestPause = TimeSpan.FromMilliseconds(4);

    /// <summary>
    /// A database that was in step is not called behind for a lock that somebody has for a moment: a look of our own
    /// that finds it locked is repeated first. What was committed meanwhile is no older than that.
    /// </summary>
    static readonly TimeSpan LockedForAMoment = TimeSpan.FromSeconds(1);

    /// <summary>
    /// So often the patience of one look: applications that take turns at a rollback journal leave a reader a moment
    /// only now and then.
    /// </summary>
    const int PatientLooks = 20;

    readonly ReplicatedDatabase database;
    readonly ReplicatorOptions options;
    readonly SemaphoreSlim changed = new(1, 1), oneLook = new(1, 1);
    readonly SemaphoreSlim places;
    readonly CancellationTokenSource stopping = new();
    readonly Action<ReplicationEvent> tell;
    Task running = Task.CompletedTask;
    DateTimeOffset compareNext;
    DatabaseStatus status;
    ReportedDatabase reported;

    /// <param name="database">What it looks at.</param>
    /// <param name="options">How often.</param>
    /// <param name="places">How many may look at a time.</param>
    /// <param name="tell">Told when it is in step, and when it is not any more.</param>
    public DatabaseWatch(ReplicatedDatabase database, ReplicatorOptions options, SemaphoreSlim places,
        Action<ReplicationEvent> tell)
    {
        (this.database, this.options, this.places, this.tell) = (database, options, places, tell);
        status = new(database.Path, database.Mirror.Name, ReplicationPhase.NotCertain, "it was not looked at yet", 0, 0,
            0, 0, null);
        compareNext = options.Time.GetUtcNow() + options.CompareInterval;
        reported = new(status.Name, status.Path, status.Phase, status.Why, options.Time.GetUtcNow(), null, 0, null,
            null);
    }

    public string Path => database.Path;

    public DatabaseStatus Status => Volatile.Read(ref status) is { Phase: not ReplicationPhase.InStep } now
        && database.Progress is { } progress ? now with { Why = progress } : Volatile.Read(ref status);

    /// <summary>The same for the report.</summary>
    public ReportedDatabase Reported => Volatile.Read(ref reported) is var now && Status is { Why: { } why }
        ? now with { Why = why } : now;

    /// <summary>Where the mirror stands; asked when it is stopped.</summary>
    public MirrorMark? Mark { get; private set; }

    public void Start(TimeSpan idle) => running = Task.Run(() => RunAsync(idle));

    /// <summary>Something has changed: it is looked at soon.</summary>
    public void Notice()
    {
        try
        {
            if (changed.CurrentCount == 0) changed.Release();
        }
        catch (Exception e) when (e is SemaphoreFullException or ObjectDisposedException)
        {
            // Somebody else was faster, or it is over.
        }
    }

    async Task RunAsync(TimeSpan idle)
    {
        var stop = stopping.Token;
        try
        {
            while (true)
            {
                var before = Status.Lsn;
                await LookAsync(IsComparisonDue, stop, isAsked: false);
                // While it is written it is looked at by the clock; when nothing came, something will tell.
                var isWritten = Status.Lsn != before;
                await Task.Delay(Pause, options.Time, stop);
                if (!isWritten && !database.KeepsCheckpoints) await changed.WaitAsync(IdleFor(idle), stop);
            }
        }
        catch (OperationCanceledException)
        {
            // It is stopped.
        }
    }

    bool IsComparisonDue => options.CompareInterval > TimeSpan.Zero && Status.Phase == ReplicationPhase.InStep
        && options.Time.GetUtcNow() >= compareNext;

    TimeSpan IdleFor(TimeSpan idle) => options.CompareInterval > TimeSpan.Zero
        && compareNext - options.Time.GetUtcNow() is var left && left < idle
        ? left > TimeSpan.Zero ? left : TimeSpan.Zero
        : idle;

    /// <summary>The least time until the next look; shorter when the WAL will be too long by then.</summary>
    TimeSpan Pause => database.UntilShortened is { } until && until < options.LookInterval
        ? until > ShortestPause ? until : ShortestPause
        : options.LookInterval;

    /// <summary>Looks now. Returns the error that kept it from being in step; null when it is.</summary>
    /// <param name="compare">Whether a little of it is compared, too.</param>
    /// <param name="cancellation">Gives up waiting for its turn.</param>
    /// <param name="isAsked">Somebody wants to know: whatever is found is said at once.</param>
    public async Task<RecoveryException?> LookAsync(bool compare, CancellationToken cancellation, bool isAsked = true)
    {
        await oneLook.WaitAsync(cancellation);
        try
        {
            await places.WaitAsync(cancellation);
            try
            {
                return await Task.Run(() => Look(compare, isAsked), CancellationToken.None);
            }
            finally
            {
                places.Release();
            }
        }
        finally
        {
            oneLook.Release();
        }
    }

    /// <summary>
    /// Looks, again and again while others have it locked: somebody waits for what was committed before, or it is the
    /// last look.
    /// </summary>
    public async Task<RecoveryException?> LookPatientlyAsync(CancellationToken cancellation)
    {
        for (var started = options.Time.GetTimestamp(); ;)
        {
            var error = await LookAsync(compare: false, cancellation);
            if (error is not { Error: RecoveryError.Busy }
                || options.Time.GetElapsedTime(started) > options.LockPatience * PatientLooks)
                return error;
            await Task.Delay(ShortestPause, options.Time, cancellation);
        }
    }

    RecoveryException? Look(bool compare, bool isAsked)
    {
        RecoveryException? error = null;
        try
        {
            if (database.Gap is { } gap) Become(ReplicationPhase.NotCertain, gap);
            database.Look();
            if (compare)
                compareNext = options.Time.GetUtcNow() + (database.CompareSome(CompareBytes) == 0
                    ? options.CompareInterval
                    : TimeSpan.FromSeconds(CompareBytes / (double)options.CompareBytesPerSecond));
            if (database.Gap is { } found)
            {
                Become(ReplicationPhase.NotCertain, found);
                database.Look();
            }
            Become(ReplicationPhase.InStep, null);
        }
        catch (Exception e)
        {
            error = e as RecoveryException
                ?? new RecoveryException(RecoveryError.IoRead,
                $"{Path} could not be looked at: {e.Message} It is tried again.", e);
            if (!isAsked && error.Error == RecoveryError.Busy && Status is { Phase: ReplicationPhase.InStep } last
                && options.Time.GetUtcNow() - last.LookedAt < LockedForAMoment)
                return error;
            Become(error.Error == RecoveryError.NotFound ? ReplicationPhase.Missing : ReplicationPhase.Behind,
                error.Message);
        }
        return error;
    }

    void Become(ReplicationPhase phase, string? why)
    {
        var (last, version) = (Status, database.Mirror.Version);
        Volatile.Write(ref status,
            new(Path, database.Mirror.Name, phase, why, version?.Lsn ?? 0, version?.SizeBytes
            ?? 0, database.Transactions, database.Joins,
            phase == ReplicationPhase.InStep ? options.Time.GetUtcNow() : last.LookedAt));
        var (standing, file) = database.Reached;
        Volatile.Write(ref reported, new(Status.Name, Path, phase, why,
            last.Phase == phase ? reported.Since : options.Time.GetUtcNow(), Status.LookedAt, Status.Lsn, standing,
            file));
        if (last.Phase == phase) return;
        switch (phase)
        {
            case ReplicationPhase.InStep:
                tell(new(ReplicationEventKind.InStep, Path, $"in step at LSN {database.Mirror.LastLsn}"));
                break;
            case ReplicationPhase.Behind:
                tell(new(ReplicationEventKind.Behind, Path, why!));
                break;
            case ReplicationPhase.Missing:
                tell(new(ReplicationEventKind.Missing, Path, why!));
                break;
        }
    }

    /// <summary>Looks once more, notes where it stands, and lets go of the database.</summary>
    public async ValueTask DisposeAsync()
    {
        await stopping.CancelAsync();
        await running;
        await LookPatientlyAsync(CancellationToken.None);
        Mark = Status.Phase == ReplicationPhase.InStep ? database.Mark : null;
        database.Dispose();
        stopping.Dispose();
    }
}
