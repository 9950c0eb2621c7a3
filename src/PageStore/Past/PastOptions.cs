using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.PageStore.Past;

/// <summary>How the past of a remote is looked at.</summary>
internal sealed record PastOptions
{
    /// <summary>
    /// Where the restored state is put meanwhile, in a directory of its own that only this user may read.
    /// </summary>
    public string TemporaryDirectory { get; init; } = Path.GetTempPath();

    /// <summary>Objects fetched at a time.</summary>
    public int Parallelism { get; init; } = 8;

    /// <summary>How often an idle reader looks for more: one small request each time.</summary>
    public TimeSpan Interval { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>
    /// Called when the remote cannot be reached while more is waited for, and with null when it can again; without it
    /// that is an error.
    /// </summary>
    public Action<RecoveryException?>? Interrupted { get; init; }
}
