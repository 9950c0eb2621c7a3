using System.Buffers;
using RecoveryVfs.PageStore.Commits;
using RecoveryVfs.PageStore.Pages;
using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Log;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.RecoveryLog.Remote.Write;

namespace RecoveryVfs.PageStore.Writing;

// From a transaction's pages to a commit that is in the log and seen.
internal sealed partial class Store
{
    /// <summary>
    /// Commits overlays (of one or several databases) as one atomic record group: appended to the log, made durable
    /// when
    /// <paramref name="durable"/>, then published to readers. Either returns the LSN with all of it done, or throws
    /// with none of it done and the overlays intact. Each overlay's basis must be the newest version of its database.
    /// Overlays are consumed on success.
    /// </summary>
    public ulong Commit(ReadOnlySpan<PageOverlay> overlays, bool durable)
    {
        var commit = Append(overlays, writeOut: !durable || !log.IsSyncing, pinned: false);
        Complete(commit, overlays, durable);
        return commit.Lsn;
    }

    /// <summary>
    /// A durable commit of one database that lets the next writer go on before it is durable: once its place in the
    /// log is fixed, <paramref name="appended"/> is called, and from then on others may commit on top of it
    /// (<see cref="Database.PinNewest"/>). Returns when it is durable and published; the caller has a pin on its
    /// version then.
    /// </summary>
    /// <remarks>
    /// <para>
    /// What was appended before in the log is durable before. So a commit on top of this one that returns has this one
    /// below it, whatever happens. When the log cannot be made durable so far, this one fails, and so do all that come
    /// after it in the log: the store takes no more writes, and forgets them. Its pages stay until the store closes,
    /// for a writer on top of it may be reading them.
    /// </para>
    /// <para>
    /// Readers do not see it before it is published, and it is published after all that it lies on.
    /// </para>
    /// </remarks>
    public DatabaseVersion CommitAndLetGo(PageOverlay overlay, Action appended)
    {
        var commit = Append([overlay], writeOut: !log.IsSyncing, pinned: true);
        var version = commit.Parts[0].Version!;
        try
        {
            appended();
            Complete(commit, [overlay], durable: true);
            return version;
        }
        catch
        {
            // The pages are the pending commit's.
            if (overlay.Encoded is not null) Finish(overlay);
            overlay.Database.Unpin(version);
            throw;
        }
    }

    /// <summary>
    /// One of many commits that come at once, none durable. It is seen at once, but stays in the log's buffer until the
    /// next <see cref="WriteOut()"/>, or a commit of somebody else: until then it does not survive the end of this
    /// process, and is not shipped.
    /// </summary>
    public ulong CommitOneOfMany(PageOverlay overlay)
    {
        var commit = Append([overlay], writeOut: false, pinned: false);
        if (commit.FollowsUnpublished) Complete(commit, [overlay], durable: true);
        else Publish(commit, [overlay]);
        return commit.Lsn;
    }

    /// <summary>
    /// Waits until a pinned version is durable: whoever has seen one that is not published may not tell before.
    /// </summary>
    public void WaitDurable(DatabaseVersion version)
    {
        if (version.IsAhead) MakeDurable(version.Lsn, durable: true);
    }

    /// <summary>
    /// Appends overlays as one record group: their place in the order of commits is fixed, and nobody sees them but
    /// the next writer. Throws with nothing done.
    /// </summary>
    PendingCommit Append(ReadOnlySpan<PageOverlay> overlays, bool writeOut, bool pinned)
    {
        Prepare(overlays);
        var parts = new PendingPart[overlays.Length];
        var commit = new PendingCommit(parts);
        lock (orderGate)
        {
            foreach (var overlay in overlays) RequireNewest(overlay);
            // Who waits for the disk all the same leaves the write to whoever syncs next.
            commit.Lsn = overlays.Length == 1 && overlays[0].Encoded!.PartCount == 1
                ? AppendSingle(overlays[0], writeOut)
                : AppendGroup(overlays, writeOut);
            for (var i = 0; i < overlays.Length; i++)
            {
                var encoded = overlays[i].Encoded!;
                var version =
                    new DatabaseVersion(commit.Lsn, encoded.SizeBytes, encoded.PageSize, encoded.IsWal,
                    encoded.Checksum);
                parts[i] = new PendingPart(overlays[i].Database, encoded.Content, version);
                if (overlays[i].Basis.IsAhead && pending.CommitOf(overlays[i].Basis) is { } earlier)
                    commit.Follow(earlier);
            }
            pending.Enqueue(commit);
            foreach (var part in parts) part.Database.Append(part.Version!, pinned);
        }
        return commit;
    }

    void RequireNewest(PageOverlay overlay)
    {
        if (overlay.Database.IsDeleted)
            throw new RecoveryException(RecoveryError.IoWrite,
                $"Database {overlay.Database.Name} was deleted while this transaction was open.")
            { Path = Directory, Lsn = overlay.Basis.Lsn };
        if (!ReferenceEquals(overlay.Database.Newest, overlay.Basis))
            throw new InvalidOperationException(
                $"The transaction on {overlay.Database.Name} does not lie on its newest version.");
    }

    /// <summary>Brings an appended commit to where its writer wants it, and publishes it.</summary>
    void Complete(PendingCommit commit, ReadOnlySpan<PageOverlay> overlays, bool durable)
    {
        // What it lies on is published with it, and must be durable for that.
        durable |= commit.FollowsUnpublished;
        if (durable) Interlocked.Increment(ref commitsAtDisk);
        try
        {
            MakeDurable(commit.Lsn, durable);
            Publish(commit, overlays);
        }
        catch
        {
            foreach (var part in commit.Parts) part.Database.Abandon(part.Version!);
            throw;
        }
        finally
        {
            if (durable) Interlocked.Decrement(ref commitsAtDisk);
        }
    }

    void Publish(PendingCommit commit, ReadOnlySpan<PageOverlay> overlays)
    {
        commit.PublishInOrder(publish);
        foreach (var overlay in overlays) Finish(overlay);
        applier.Notify();
        Telemetry.Committed(Directory);
    }

    /// <summary>Whether a commit waits for the disk now, or has come back and needs a processor to end.</summary>
    public bool IsCommitAtDisk => Volatile.Read(ref commitsAtDisk) != 0;

    static void Finish(PageOverlay overlay)
    {
        var content = overlay.Encoded!.Content;
        overlay.Encoded.Dispose();
        overlay.Encoded = null;
        overlay.Consume();
        if (!ReferenceEquals(content, overlay)) overlay.ReleasePages();
    }

    ulong AppendSingle(PageOverlay overlay, bool writeOut)
    {
        byte[]? scratch = null;
        return log.Append(RecordKind.PageCommit, overlay.Encoded!.Part(0, ref scratch), writeOut: writeOut,
            reservation: overlay.Reservation);
    }

    ulong AppendGroup(ReadOnlySpan<PageOverlay> overlays, bool writeOut)
    {
        byte[]? scratch = null;
        long bytes = 0;
        foreach (var overlay in overlays)
            bytes += LocalLog.SpaceFor(overlay.Encoded!.TotalBytes, overlay.Encoded.PartCount);
        // One reservation for the whole group.
        foreach (var overlay in overlays[1..])
        {
            overlay.Reservation?.Dispose();
            overlay.Reservation = null;
        }
        SetReservation(overlays[0], bytes);
        try
        {
            using var group = log.BeginGroup(overlays[0].Reservation, bytes);
            for (var i = 0; i < overlays.Length; i++)
            {
                var encoded = overlays[i].Encoded!;
                for (var part = 0; part < encoded.PartCount; part++)
                {
                    var body = encoded.Part(part, ref scratch);
                    if (i == overlays.Length - 1 && part == encoded.PartCount - 1)
                        return group.Complete(RecordKind.PageCommit, body, writeOut: writeOut);
                    group.Add(RecordKind.PageCommit, body);
                }
            }
        }
        finally
        {
            if (scratch is not null) ArrayPool<byte>.Shared.Return(scratch);
        }
        throw new InvalidOperationException("A commit has at least one part.");
    }

    /// <summary>
    /// Brings the log to where the writer wants it. A failure here leaves a commit in the log whose outcome nobody
    /// knows: the store takes no more writes, and the log wipes what is not durable, so that a commit that failed is
    /// not found by the next open.
    /// </summary>
    void MakeDurable(ulong lsn, bool durable)
    {
        try
        {
            if (durable) log.Sync(lsn);
            else log.WriteOut(lsn);
        }
        catch (RecoveryException e)
        {
            if (durable && !log.TryGiveUp(lsn, e)) return;
            poison ??= e;
            throw;
        }
    }
}

