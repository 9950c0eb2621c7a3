using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Log;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.Write;

namespace RecoveryVfs.RecoveryLog.Remote.State;

/// <summary>
/// What operators watch of a remote. Every property may be read at any time; nothing here looks healthy while nothing
/// is shipped.
/// </summary>
internal sealed class RemoteState
{
    readonly RemoteContext context;
    readonly LocalLog log;
    readonly Func<ulong> shipped;
    readonly Lock gate = new();
    ShipperPhase phase = ShipperPhase.Connecting;
    RecoveryException? final, lastError;
    DateTimeOffset? outageSince;
    string? salvage;
    (ulong Lsn, long TimeMs) oldest;
    long shippedRawBytes, hintsRawBytes;
    (ulong Lsn, DateTimeOffset At)? hints;

    internal RemoteState(RemoteContext context, LocalLog log, Func<ulong> shipped)
        => (this.context, this.log, this.shipped) = (context, log, shipped);

    /// <summary>Where the remote is.</summary>
    public string Location => context.Store.Location;

    /// <summary>What the shipper is about.</summary>
    public ShipperPhase Phase { get { lock (gate) return phase; } }

    /// <summary>Why nothing will ever be shipped again by this writer; null while there is hope.</summary>
    public RecoveryException? Final => Volatile.Read(ref final);

    /// <summary>The newest error, of an outage under way or the final one; null when all is well.</summary>
    public RecoveryException? LastError { get { lock (gate) return lastError; } }

    /// <summary>Since when the remote could not be reached; null when it could the last time.</summary>
    public DateTimeOffset? OutageSince { get { lock (gate) return outageSince; } }

    /// <summary>The newest LSN in the remote; 0 before it was reached.</summary>
    public ulong ShippedLsn => shipped();

    /// <summary>Records that only this machine has.</summary>
    public ulong LagRecords => log.LastLsn - Math.Min(log.LastLsn, Math.Max(ShippedLsn, log.FirstLsn - 1));

    /// <summary>About how many bytes of log only this machine has.</summary>
    public long LagBytes => log.EstimateBytesFrom(ShippedLsn + 1);

    /// <summary>How long the oldest record that only this machine has is waiting.</summary>
    public TimeSpan Lag
    {
        get
        {
            if (LagRecords == 0 || OldestUnshippedMs() is not { } since) return TimeSpan.Zero;
            var lag = context.Time.GetUtcNow() - DateTimeOffset.FromUnixTimeMilliseconds(since);
            return lag > TimeSpan.Zero ? lag : TimeSpan.Zero;
        }
    }

    /// <summary>
    /// The newest hints published, and when; null when none are known: without hints nothing can be restored.
    /// </summary>
    public (ulong Lsn, DateTimeOffset At)? Hints { get { lock (gate) return hints; } }

    /// <summary>Whether shipping started afresh, so that hints are needed at once.</summary>
    public bool NeedsHints
    {
        get { lock (gate) return needsHints || hints is null; }
        set { lock (gate) needsHints = value; }
    }

    bool needsHints;

    /// <summary>Why the newest publication of hints failed; null when it did not.</summary>
    public string? HintsError { get { lock (gate) return hintsError?.Message; } }

    /// <summary>
    /// What keeps commits from being restorable, and since when, if anything does that may pass or be mended.
    /// </summary>
    public (RecoveryException Why, DateTimeOffset Since)? Hindrance
    {
        get
        {
            lock (gate)
            {
                if (outageSince is { } outage) return (lastError!, outage);
                return hintsError is null ? null : (hintsError, hintsErrorSince);
            }
        }
    }

    /// <summary>
    /// The newest proof that the remote can be restored, or its failure; null when there was none yet.
    /// </summary>
    public RemoteVerification? Verification { get { lock (gate) return verification; } }

    /// <summary>Whether commits are shipped, can be restored, and nothing says that they could not.</summary>
    public bool IsHealthy
    {
        get
        {
            lock (gate) return phase == ShipperPhase.Shipping && !NeedsHints && hintsError is null
            && verification?.IsDamage is not true;
        }
    }

    /// <summary>
    /// Told, on any thread, when trouble begins: the remote cannot be reached, this writer lost the log, hints cannot
    /// be published, the remote does not verify.
    /// </summary>
    public event Action<RecoveryException>? Troubled;

    RecoveryException? hintsError;
    DateTimeOffset hintsErrorSince;
    RemoteVerification? verification;

    /// <summary>
    /// How often shipping or publishing hints has failed: tells a new failure from one that is known.
    /// </summary>
    public long Failures { get { lock (gate) return failed; } }

    long failed;

    /// <summary>Notes how the newest publication of hints ended: null when well.</summary>
    public void NoteHints(RecoveryException? error)
    {
        bool isNew;
        lock (gate)
        {
            isNew = error is not null && hintsError is null;
            if (isNew) hintsErrorSince = context.Time.GetUtcNow();
            if (error is not null) failed++;
            hintsError = error;
        }
        if (isNew) Troubled?.Invoke(error!);
    }

    /// <summary>Takes over what an earlier process noted.</summary>
    public void RecallVerification(RemoteVerification known)
    {
        lock (gate) verification ??= known;
    }

    /// <summary>Notes a verification.</summary>
    public void NoteVerification(RemoteVerification result)
    {
        lock (gate) verification = result;
        if (result.Problem is { } problem)
            Troubled?.Invoke(
                new RecoveryException(result.IsDamage ? RecoveryError.Corrupt : RecoveryError.Remote, problem));
    }

    /// <summary>
    /// Bytes of log, before compression, that were shipped since the newest hints: what a restore would replay.
    /// </summary>
    public long BytesSinceHints { get { lock (gate) return shippedRawBytes - hintsRawBytes; } }

    /// <summary>Requests and bytes, by kind.</summary>
    public RequestCounters Counters => context.Store.Counters;

    /// <summary>What was kept of unshipped commits when this writer was fenced; null when nothing had to be.</summary>
    public string? SalvageNote { get { lock (gate) return salvage; } }

    internal void Reached()
    {
        lock (gate) (phase, outageSince, lastError) = (ShipperPhase.Shipping, null, null);
    }

    internal void Failed(RecoveryException e, int failures)
    {
        lock (gate)
        {
            lastError = e;
            failed++;
            outageSince ??= context.Time.GetUtcNow();
            // The first failure may be a hiccup; the second in a row is an outage.
            if (failures > 1) phase = ShipperPhase.Outage;
        }
        if (failures == 2) Troubled?.Invoke(e);
    }

    internal void Lost(RecoveryException why)
    {
        lock (gate)
            (phase, lastError) = (why.Error == RecoveryError.Fenced ? ShipperPhase.Fenced : ShipperPhase.Failed, why);
        Volatile.Write(ref final, why);
        Troubled?.Invoke(why);
    }

    /// <summary>
    /// The newest LSN that was let go, unshipped, when the local log reached its bound during an outage; null when none
    /// was.
    /// </summary>
    public ulong? LetGoLsn { get { lock (gate) return letGo; } }

    ulong? letGo;

    internal void QueueLetGo(ulong lsn)
    {
        lock (gate) (letGo, needsHints) = (lsn, true);
    }

    internal void Stopped()
    {
        lock (gate) if (final is null) phase = ShipperPhase.Stopped;
    }

    internal void Sending(PackedSegment segment)
    {
        lock (gate) shippedRawBytes += segment.Header.BodyBytes;
    }

    internal void HintsPublished(ulong lsn, DateTimeOffset at, HintsCost cost)
    {
        lock (gate)
            (hints, hintsCost, hintsRawBytes, needsHints, letGo) = ((lsn, at), cost, shippedRawBytes, false, null);
    }

    /// <summary>What the newest hints took; null when this process has published none.</summary>
    public HintsCost? LastHintsCost { get { lock (gate) return hintsCost; } }

    HintsCost? hintsCost;

    /// <summary>Hints of an earlier life, and about how much log was shipped since.</summary>
    internal void HintsFound(ulong lsn, DateTimeOffset at, long rawBytesSince)
    {
        lock (gate)
        {
            if (hints is not null) return;
            hints = (lsn, at);
            shippedRawBytes += rawBytesSince;
        }
    }

    internal void Salvaged(ulong from, ulong to)
    {
        lock (gate) salvage = $"LSNs {from} to {to} were kept";
    }

    internal void SalvageFailed(RecoveryException e)
    {
        lock (gate)
            salvage = $"Unshipped commits could not be copied aside and are only in the store's log: {e.Message}";
    }

    /// <summary>The time of the oldest unshipped record; looked up once for each.</summary>
    long? OldestUnshippedMs()
    {
        ulong lsn = Math.Max(ShippedLsn + 1, log.FirstLsn);
        lock (gate) if (oldest.Lsn == lsn) return oldest.TimeMs;
        try
        {
            using var cursor = log.ReadFrom(lsn, LogReach.Written, "the remote's state");
            if (!cursor.TryRead(out var record)) return null;
            lock (gate) oldest = (lsn, record.UnixTimeMs);
            return record.UnixTimeMs;
        }
        // Dropped meanwhile, so shipped.
        catch (RecoveryException) { return null; }
        catch (ArgumentOutOfRangeException) { return null; }
    }
}

/// <summary>What publishing hints took.</summary>
/// <param name="Took">From their making to their being there.</param>
/// <param name="Bytes">Those of the files that the remote lacked, and of the hints.</param>
/// <param name="IsFull">Whether it lacked all of them.</param>
internal readonly record struct HintsCost(TimeSpan Took, long Bytes, bool IsFull);
