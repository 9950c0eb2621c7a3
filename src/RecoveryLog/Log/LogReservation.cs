namespace RecoveryVfs.RecoveryLog.Log;

/// <summary>
/// Log space set aside: appends and groups given this reservation cannot fail for lack of space as long as they take no
/// more than <see cref="Bytes"/>. Reusable; owned by one thread at a time.
/// </summary>
internal sealed class LogReservation : IDisposable
{
    readonly LocalLog log;

    internal LogReservation(LocalLog log) => this.log = log;

    /// <summary>Bytes still set aside. Appends draw from it.</summary>
    public long Bytes { get; internal set; }

    /// <summary>
    /// Sets aside so many bytes in all (more or fewer than now). Throws Full, and changes nothing, when there is no
    /// space.
    /// </summary>
    public void Set(long bytes) => log.SetReservation(this, bytes);

    /// <summary>Gives back what was not drawn.</summary>
    public void Dispose() => log.SetReservation(this, 0);
}
