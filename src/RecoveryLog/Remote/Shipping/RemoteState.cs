namespace RecoveryVfs.RecoveryLog.Remote;

/// <summary>What operators watch of a remote. Every property may be read at any time; nothing here looks healthy while nothing is shipped.</summary>
public sealed class RemoteState
{
    readonly RemoteContext context;
    readonly LocalLog log;
    readonly Func<ulong> shipped;
    readonly Lock gate = new();
    ShipperPhase phase = ShipperPhase.Connecting;
    RecoveryException? final, lastError;
    DateTimeOffset? outageSince, reachedAt;
    string? salvage;
    (ulong Lsn, long TimeMs) oldest;
    long shippedRawBytes, hintsRawBytes;
    (ulong Lsn, DateTimeOffset At)? hints;

    internal RemoteState(RemoteContext context, LocalLog log, Func<ulong> shipped) => (this.context, this.log, this.shipped) = (context, log, shipped);

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

    /// <summary>When a request succeeded last.</summary>
    public DateTimeOffset? ReachedAt { get { lock (gate) return reachedAt; } }

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

    /// <summary>The newest hints published, and when; null when none are known: without hints nothing can be restored.</summary>
    public (ulong Lsn, DateTimeOffset At)? Hints { get { lock (gate) return hints; } }

    /// <summary>Whether shipping started afresh, so that hints are needed at once.</summary>
    public bool NeedsHints { get { lock (gate) return needsHints || hints is null; } internal set { lock (gate) needsHints = value; } }

    bool needsHints;

    /// <summary>Bytes of log, before compression, that were shipped since the newest hints: what a restore would replay.</summary>
    public long BytesSinceHints { get { lock (gate) return shippedRawBytes - hintsRawBytes; } }

    /// <summary>Requests and bytes, by kind.</summary>
    public RequestCounters Counters => context.Store.Counters;

    /// <summary>What was kept of unshipped commits when this writer was fenced; null when nothing had to be.</summary>
    public string? SalvageNote { get { lock (gate) return salvage; } }

    internal void Reached()
    {
        lock (gate) (phase, outageSince, lastError, reachedAt) = (ShipperPhase.Shipping, null, null, context.Time.GetUtcNow());
    }

    internal void Failed(RecoveryException e, int failures)
    {
        lock (gate)
        {
            lastError = e;
            outageSince ??= context.Time.GetUtcNow();
            // The first failure may be a hiccup; the second in a row is an outage.
            if (failures > 1) phase = ShipperPhase.Outage;
        }
    }

    internal void Lost(RecoveryException why)
    {
        lock (gate) (phase, lastError) = (why.Error == RecoveryError.Fenced ? ShipperPhase.Fenced : ShipperPhase.Failed, why);
        Volatile.Write(ref final, why);
    }

    internal void Stopped()
    {
        lock (gate) if (final is null) phase = ShipperPhase.Stopped;
    }

    internal void Sending(PackedSegment segment)
    {
        lock (gate) shippedRawBytes += segment.Header.BodyBytes;
    }

    internal void HintsPublished(ulong lsn, DateTimeOffset at)
    {
        lock (gate) (hints, hintsRawBytes, needsHints) = ((lsn, at), shippedRawBytes, false);
    }

    internal void HintsFound(ulong lsn, DateTimeOffset at)
    {
        lock (gate) hints ??= (lsn, at);
    }

    internal void Salvaged(ulong from, ulong to)
    {
        lock (gate) salvage = $"LSNs {from} to {to} were kept";
    }

    internal void SalvageFailed(RecoveryException e)
    {
        lock (gate) salvage = $"Unshipped commits could not be copied aside and are only in the store's log: {e.Message}";
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
