using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Remote.Formats;

namespace RecoveryVfs.PageStore.Follow;

/// <summary>The log cannot be followed from here: only newer hints help.</summary>
internal sealed class BrokenPathException(RecoveryException cause) : Exception(cause.Message, cause)
{
    public RecoveryException Cause { get; } = cause;
}

/// <summary>What was applied here is not what the writer had.</summary>
internal sealed class DivergedException(RecoveryException cause) : Exception(cause.Message, cause)
{
    public RecoveryException Cause { get; } = cause;
}

/// <summary>What breaks a follower's path.</summary>
internal static class PathBreaks
{
    /// <summary>Throws when a segment stands for records that were never shipped.</summary>
    public static void ThrowIfGap(this RemoteSegment segment)
    {
        if (segment.Header.IsGap)
            throw new BrokenPathException(new RecoveryException(RecoveryError.NotFound,
                $"LSNs {segment.Header.FirstLsn} to {segment.Header.LastLsn} were never shipped ({segment.Name}): "
                    + "the follower needs hints published after them.")
            { Path = segment.Name, Lsn = segment.Header.FirstLsn });
    }
}
