using RecoveryVfs.PageStore.Commits;
using RecoveryVfs.PageStore.Pages;
using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Log;
using RecoveryVfs.RecoveryLog.Remote.Write;

namespace RecoveryVfs.PageStore.Writing;

// A transaction's pages before their commit: everything that can fail for lack of room.
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
}
