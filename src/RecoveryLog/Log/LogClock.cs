using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.RecoveryLog.Log;

/// <summary>
/// The times of records: those of the machine's clock, but never earlier than the record before. So a state by time is
/// a state by LSN, whatever the clock does. Under the append lock.
/// </summary>
internal sealed class LogClock(TimeProvider time)
{
    // Clocks are set right by small steps all the time, which nobody needs to know of.
    const long WorthNotingMs = 500;

    long keptMs;
    bool isNoted;

    /// <summary>The newest record's time.</summary>
    public long LastMs => keptMs;

    /// <summary>There is a record of that time.</summary>
    public void Advance(long unixTimeMs) => keptMs = Math.Max(keptMs, unixTimeMs);

    /// <summary>
    /// The time of the next record. <paramref name="wentBack"/> is worth a record of its own, once each time that the
    /// clock goes back.
    /// </summary>
    public long Next(out ClockNote? wentBack)
    {
        var shown = time.GetUtcNow().ToUnixTimeMilliseconds();
        wentBack = null;
        if (shown >= keptMs) isNoted = false;
        else if (!isNoted && keptMs - shown > WorthNotingMs)
        {
            isNoted = true;
            wentBack = new ClockNote(keptMs, shown);
        }
        Advance(shown);
        return keptMs;
    }
}
