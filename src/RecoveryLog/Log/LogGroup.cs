using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.RecoveryLog.Log;

/// <summary>
/// A record group being appended: all of it becomes part of the log at <see cref="Complete"/>, or nothing does. Holds
/// the log's append lock, so it belongs to the thread that began it, and should be short.
/// </summary>
internal readonly ref struct LogGroup
{
    readonly LocalLog log;

    internal LogGroup(LocalLog log) => this.log = log;

    /// <summary>
    /// Adds a record that is not the group's last; its body is the spans one after another. Returns its LSN. After an
    /// error the group can only be disposed.
    /// </summary>
    public ulong Add(RecordKind kind, ReadOnlySpan<byte> a, ReadOnlySpan<byte> b = default,
        ReadOnlySpan<byte> c = default) =>
        log.AddToGroup(kind, a, b, c);

    /// <summary>
    /// Adds the last record and ends the group; returns the last record's LSN. With <paramref name="writeOut"/> the
    /// group is handed to the operating system before it counts: an error then leaves nothing of it in the log.
    /// </summary>
    public ulong Complete(RecordKind kind, ReadOnlySpan<byte> a, ReadOnlySpan<byte> b = default,
        ReadOnlySpan<byte> c = default,
        bool writeOut = false) => log.CompleteGroup(kind, a, b, c, writeOut);

    /// <summary>Releases the log; without <see cref="Complete"/> before, nothing happened to it.</summary>
    public void Dispose() => log.EndGroup();
}
