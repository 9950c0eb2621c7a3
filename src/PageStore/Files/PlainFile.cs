namespace RecoveryVfs.PageStore.Files;

/// <summary>
/// An open journal or WAL: a plain file under the store whose every change is a record of the log. Several handles may
/// be open on one file; each is used by one thread at a time.
/// </summary>
internal sealed class PlainFile : IDisposable
{
    readonly PlainFiles files;
    readonly PlainNode node;
    bool disposed;

    internal PlainFile(PlainFiles files, PlainNode node)
    {
        this.files = files;
        this.node = node;
    }

    /// <summary>The name it was opened by.</summary>
    public string Name => node.Name;

    /// <summary>The size in bytes.</summary>
    public long SizeBytes => node.ShownSize;

    /// <summary>The newest record of it; 0 when it has none since the store was opened.</summary>
    public ulong LastLsn => node.LastLsn;

    /// <summary>Reads; returns bytes read (fewer only at the end of the file).</summary>
    public int Read(long offset, Span<byte> destination) => node.Read(offset, destination);

    /// <summary>Writes and records the write.</summary>
    public void Write(long offset, ReadOnlySpan<byte> source) => files.Write(node, offset, source);

    /// <summary>
    /// Cuts, and records it. Cutting to 0 gives the file a new identity, so that its old bytes leave the hints.
    /// </summary>
    public void Truncate(long sizeBytes) => node.Truncate(sizeBytes);

    /// <summary>
    /// Makes everything written to it (and everything before it in the log) durable. Does nothing while a WAL has no
    /// frames: there is nothing to lose then.
    /// </summary>
    public void Sync() => files.Sync(node);

    /// <summary>
    /// Sees to it that a commit in a WAL is in the log: before others see it, and before it returns. Costs next to
    /// nothing when it is, which is the rule; throws when the log does not take it.
    /// </summary>
    public void LogCommit() => node.LogCommit();

    /// <summary>Whether <see cref="LogCommit"/> has something to do.</summary>
    public bool HasUnloggedCommit => node.HasUnloggedCommit;

    /// <summary>Closes this handle.</summary>
    public void Dispose()
    {
        if (disposed) return;
        disposed = true;
        files.Close(node);
    }
}
