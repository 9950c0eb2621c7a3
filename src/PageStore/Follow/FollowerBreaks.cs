using RecoveryVfs.RecoveryLog;

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
