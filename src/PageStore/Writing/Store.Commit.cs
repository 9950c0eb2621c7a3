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
    /// Starts a transaction's private pages on top of <paramref name="basis"/>, a pinned or the newest version.
    /// </summary>
    public PageOverlay BeginOverlay(Database database, DatabaseVersion basis)
    {
        database.PinAgain(basis);
        return new PageOverlay(core.Buffers, database, basis);
    }

    /// <summary>
    /// Does beforehand what can fail in <see cref="Commit"/> for lack of space or because the page store lags:
    /// afterwards a commit of these overlays as they are (or cut) finds its log space ready.
    /// </summary>
    public void Prepare(ReadOnlySpan<PageOverlay> overlays)
    {
        ThrowUnlessWritable();
        pending.WaitForRoom(applier.Retry);
        KeepLogShort();
        foreach (var overlay in overlays) Encode(overlay);
    }

    EncodedCommit Encode(PageOverlay overlay)
    {
        if (overlay.Encoded is { } known)
        {
            if (known.Changes == overlay.Changes) return known;
            overlay.DropEncoded();
        }
        var encoded = CommitEncoder.Encode(Cache, overlay);
        try
        {
            MakeReservation(overlay, LocalLog.SpaceFor(encoded.TotalBytes, encoded.PartCount));
        }
        catch
        {
            encoded.Release(overlay);
            throw;
        }
        return overlay.Encoded = encoded;
    }

    void SetReservation(PageOverlay overlay, long bytes)
    {
        if (overlay.Reservation is null) overlay.Reservation = log.Reserve(bytes);
        else overlay.Reservation.Set(bytes);
    }

    /// <summary>
    /// Sets aside log space for what an overlay holds now, whatever it is encoded to: a cheap <see cref="Prepare"/> for
    /// those who write on. Kept until the overlay is committed or disposed.
    /// </summary>
    public void Reserve(PageOverlay overlay)
    {
        ThrowUnlessWritable();
        var parts = (int)(overlay.PageBytes / PageCommitFormat.PartBytes) + 2;
        var wanted = LocalLog.SpaceFor(overlay.PageBytes + overlay.Pages.Count * 11L
            + parts * (long)PageCommitFormat.HeaderBytes, parts);
        // In steps, so that a checkpoint of many pages does not come here for each of them.
        if (overlay.Reservation is not null && overlay.Reservation.Bytes >= wanted) return;
        KeepLogShort();
        MakeReservation(overlay, wanted + (wanted / 2));
    }

    /// <summary>
    /// With no lock held. When the log has no room, what the page store can take over of it makes some.
    /// </summary>
    void MakeReservation(PageOverlay overlay, long bytes)
    {
        try
        {
            SetReservation(overlay, bytes);
        }
        catch (RecoveryException e) when (e.Error == RecoveryError.Full && log.SizeBytes > options.MaxLocalLogBytes / 8)
        {
            try
            {
                Checkpoint();
            }
            catch (RecoveryException why)
            {
                throw new RecoveryException(RecoveryError.Full, $"{e.Message} A checkpoint failed: {why.Message}", why)
                { Path = why.Path ?? Directory, Lsn = why.Lsn, Hint = why.Hint ?? e.Hint };
            }
            SetReservation(overlay, bytes);
        }
    }

    /// <summary>
    /// Commits overlays (of one or several databases) as one atomic record group: appended to the log, made durable
    /// when
    /// <paramref name="durable"/>, then published to readers. Either returns the LSN with all of it done, or throws
    /// with none of it done and the overlays intact. Each overlay's basis must be the newest version of its database.
    /// Overlays are consumed on success.
    /// </summary>
    public ulong Commit(ReadOnlySpan<PageOverlay> overlays, bool durable)
        => CommitAs(overlays, durable, isLast: true);

    /// <summary>
    /// The same for one of many commits that come at once. It is seen at once, but stays in the log's buffer until the
    /// next <see cref="WriteOut()"/>, or a commit of somebody else: until then it does not survive the end of this
    /// process, and is not shipped.
    /// </summary>
    public ulong CommitOneOfMany(PageOverlay overlay) => CommitAs([overlay], durable: false, isLast: false);

    ulong CommitAs(ReadOnlySpan<PageOverlay> overlays, bool durable, bool isLast)
    {
        Prepare(overlays);
        var parts = new PendingPart[overlays.Length];
        var commit = new PendingCommit(parts);
        lock (orderGate)
        {
            for (var i = 0; i < overlays.Length; i++)
            {
                var basis = overlays[i].Basis;
                if (overlays[i].Database.IsDeleted)
                    throw new RecoveryException(RecoveryError.IoWrite,
                        $"Database {overlays[i].Database.Name} was deleted while this transaction was open.")
                    { Path = Directory, Lsn = basis.Lsn };
                if (!ReferenceEquals(overlays[i].Database.Current, basis))
                    throw new InvalidOperationException(
                        $"The transaction on {overlays[i].Database.Name} does not lie on its newest version.");
            }
            // Who waits for the disk all the same leaves the write to whoever syncs next.
            var writeOut = isLast && (!durable || !log.IsSyncing);
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
            }
            pending.Enqueue(commit);
        }
        if (durable) Interlocked.Increment(ref commitsAtDisk);
        try
        {
            if (isLast) MakeDurable(commit.Lsn, durable);
            core.Publish(commit);
        }
        finally
        {
            if (durable) Interlocked.Decrement(ref commitsAtDisk);
        }
        foreach (var overlay in overlays) Finish(overlay);
        applier.Notify();
        Telemetry.Committed(Directory);
        return commit.Lsn;
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

