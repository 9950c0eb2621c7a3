namespace RecoveryVfs.Replicate.Mirrors;

/// <summary>
/// Pages that a comparison found, in their order: one commit of a mirror, or as many as a copy takes.
/// </summary>
internal sealed class MirrorPieces(Mirror mirror, int pageSize, Action<uint> copied) : IDisposable
{
    const long PieceBytes = 16 << 20;

    MirrorCommit? commit;

    /// <summary>How many pages were written.</summary>
    public long Written { get; private set; }

    /// <summary>Whether it is more than one commit can be, and the mirror no copy.</summary>
    public bool IsTooLarge => commit?.Written * pageSize > mirror.LargestCommitBytes && !mirror.IsCopy;

    public void Write(uint page, ReadOnlySpan<byte> bytes)
    {
        commit ??= mirror.Begin(pageSize);
        commit.Write(page, bytes);
        Written++;
        if (!mirror.IsCopy || commit.Written * pageSize < Math.Min(PieceBytes, mirror.LargestCommitBytes)) return;
        Commit(page);
        copied(page);
    }

    void Commit(uint page)
    {
        // A page size of its own says that there was nothing of the copy, or nothing that counts.
        var basis = mirror.Database.Current;
        commit!.Commit(basis.PageSize == pageSize ? Math.Max(page, basis.PageCount) : page);
        commit.Dispose();
        commit = null;
    }

    /// <summary>Commits what is left of a copy that is not whole yet.</summary>
    public void CommitRest(uint lastPage)
    {
        if (commit is not null) Commit(lastPage);
    }

    /// <summary>
    /// Commits the last of it, with so many pages from here on: the mirror is whole. Returns the LSN.
    /// </summary>
    public ulong Complete(uint sizePages)
    {
        commit ??= mirror.Begin(pageSize);
        commit.Commit(sizePages);
        return mirror.Complete();
    }

    public void Dispose() => commit?.Dispose();
}
