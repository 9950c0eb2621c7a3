using RecoveryVfs.RecoveryLog.Objects;

namespace RecoveryVfs.RecoveryLog.Remote.Formats;

/// <summary>A segment ready to be created. Its bytes never change: a retry sends the same.</summary>
internal sealed class PackedSegment(RemoteSegmentHeader header, ObjectHash hash, ObjectContent content,
    IDisposable? spool) : IDisposable
{
    /// <summary>What its header says.</summary>
    public RemoteSegmentHeader Header { get; } = header;

    /// <summary>Its trailer.</summary>
    public ObjectHash Hash { get; } = hash;

    /// <summary>Its bytes.</summary>
    public ObjectContent Content { get; } = content;

    /// <summary>The object's name.</summary>
    public string Name => RemoteNames.Segment(Header.FirstLsn);

    /// <inheritdoc/>
    public void Dispose() => spool?.Dispose();
}
