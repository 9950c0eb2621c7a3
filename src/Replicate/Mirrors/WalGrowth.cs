namespace RecoveryVfs.Replicate.Mirrors;

/// <summary>How fast a WAL grows, from where it stood at two looks.</summary>
internal sealed class WalGrowth(TimeProvider time)
{
    Standing? last;
    long at;
    bool beginsAnew;
    double framesPerSecond;

    /// <summary>It stands here now, and the next writer begins it anew or not.</summary>
    public void Note(Standing? standing, bool willBeginAnew)
    {
        var now = time.GetTimestamp();
        var seconds = time.GetElapsedTime(at, now).TotalSeconds;
        if (last is not null && standing is not null && seconds > 0)
            framesPerSecond = (Frames(standing) - (last.Salt == standing.Salt ? Frames(last) : 0L)) / seconds;
        (last, at, beginsAnew) = (standing, now, willBeginAnew);
    }

    /// <summary>How long until it has so many frames; null when it does not grow.</summary>
    public TimeSpan? Until(uint frames) => framesPerSecond <= 0 || last is null ? null
        : TimeSpan.FromSeconds(Math.Min(60, Math.Max(0L, frames - (beginsAnew ? 0L : Frames(last))) / framesPerSecond));

    static long Frames(Standing standing) => standing.Position?.Frames ?? 0;
}
