using RecoveryVfs.RecoveryLog.Log;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.Read;

namespace RecoveryVfs.RecoveryLog.Remote.Write;

/// <summary>
/// One writer's tenure over a remote's log: it alone extends it, until somebody takes over. The next segment's name is
/// the lock: whoever creates
/// <c>log/&lt;next LSN&gt;</c> owns that place, and whoever finds it taken by another is fenced, for good.
/// </summary>
/// <remarks>Thread-safe; one segment is appended at a time.</remarks>
internal sealed class RemoteLog
{
    readonly RemoteContext context;
    readonly LocalLog local;
    readonly AsyncGate gate = new();
    RecoveryException? fenced;

    internal RemoteLog(RemoteContext context, StoreObject store, LocalLog local, ulong author, RemoteLogEnd end)
    {
        (this.context, Store, this.local, Author) = (context, store, local, author);
        Segments = new SegmentIndex(end);
        End = end;
    }

    /// <summary>What the remote says of itself.</summary>
    public StoreObject Store { get; }

    /// <summary>Who we are.</summary>
    public ulong Author { get; }

    /// <summary>The epoch of our tenure.</summary>
    public ulong Epoch => local.Epoch;

    /// <summary>Where the next segment goes.</summary>
    public RemoteLogEnd End { get; private set; }

    /// <summary>Segments that hold what was shipped lately.</summary>
    internal SegmentIndex Segments { get; }

    /// <summary>Why nothing can be appended any more; null while we own the log.</summary>
    public RecoveryException? Fenced => Volatile.Read(ref fenced);

    /// <summary>
    /// Creates the next segment. Returns the last LSN that is in the remote afterwards: that of the segment, or of
    /// another one that an earlier life of this writer had sent. Throws Fenced when the place is somebody else's, and
    /// <see cref="ObjectStoreException"/> when it is not settled: then the same segment is to be given again.
    /// </summary>
    public async ValueTask<ulong> AppendAsync(PackedSegment segment, CancellationToken cancellation = default)
    {
        using (await gate.EnterAsync())
        {
            ThrowIfFenced();
            if (segment.Header.FirstLsn != End.NextLsn || segment.Header.Previous != End.Hash)
                throw new InvalidOperationException($"The segment {segment.Name} does not follow LSN {End.LastLsn}.");
            var result = CreateResult.AlreadyExists;
            ObjectStoreException? lost = null;
            try { result = await context.Store.CreateAsync(segment.Name, segment.Content, cancellation); }
            catch (ObjectStoreException e) when (e.Error == ObjectStoreError.Unknown) { lost = e; }
            if (result == CreateResult.Created) return Advance(segment.Header, segment.Hash);
            using var found =
                await RemoteSegment.FetchAsync(context.Store, segment.Name, context.OpenSpool, cancellation);
            // Not there (yet): it may still come. Sending the same bytes again settles it, whichever arrives first.
            if (found is null) throw lost ?? Vanished(segment.Name);
            return Settle(segment, found);
        }
    }

    /// <summary>
    /// Throws Fenced unless the next segment's place is still free, which means that nobody has taken over so far.
    /// </summary>
    public async ValueTask ConfirmTenureAsync(CancellationToken cancellation = default)
    {
        using (await gate.EnterAsync())
        {
            ThrowIfFenced();
            string name = RemoteNames.Segment(End.NextLsn);
            using var found =
                await context.RetryAsync(token
                => RemoteSegment.FetchAsync(context.Store, name, context.OpenSpool, token), cancellation);
            // Our own segment can be there, sent in an earlier try whose answer was lost; the shipper will find that
            // out.
            if (found is not null && !IsOurs(found)) throw Fence(found);
        }
    }

    /// <summary>Throws Fenced when this writer has lost the log.</summary>
    public void ThrowIfFenced()
    {
        if (Fenced is { } why) throw why.Again();
    }

    ulong Settle(PackedSegment sent, RemoteSegment found)
    {
        if (found.Hash == sent.Hash) return Advance(sent.Header, sent.Hash);
        if (!IsOurs(found)) throw Fence(found);
        End.CheckFollows(found, Store.LogId);
        return Advance(found.Header, found.Hash);
    }

    /// <summary>
    /// Whether an earlier life of this very writer made the segment: same tenure, and the same records as our log has.
    /// A copied directory has our names too, but soon other records.
    /// </summary>
    bool IsOurs(RemoteSegment found) =>
        found.Header.Epoch == Epoch && found.Header.Author == Author && LocalMatch.Matches(local, found);

    ulong Advance(in RemoteSegmentHeader header, in ObjectHash hash)
    {
        Segments.Add(header.FirstLsn, End);
        End = RemoteLogEnd.After(header, hash);
        return End.LastLsn;
    }

    internal RecoveryException Fence(RemoteSegment by) =>
        Fence(FenceMessage.TakenOver(context.Store, Epoch, by.Header, by.Name, Author), by.Header.FirstLsn);

    /// <summary>From now on nothing is appended: <paramref name="lsn"/> is where the other one's log begins.</summary>
    internal RecoveryException Fence(string why, ulong lsn)
    {
        var error = new RecoveryException(RecoveryError.Fenced, why, FenceMessage.Advice)
        { Path = context.Store.Location, Lsn = lsn };
        Interlocked.CompareExchange(ref fenced, error, null);
        return error;
    }

    ObjectStoreException Vanished(string name) => new(ObjectStoreError.Unknown,
        $"{context.Store.Location} says that {name} exists, and then that it does not");
}

/// <summary>What a writer that lost the log is told.</summary>
static class FenceMessage
{
    public const string Advice = "This store takes no more writes. "
        + "Its unshipped commits are kept: see `recovery salvage`. To go on, restore from the remote";

    public static string TakenOver(IObjectStore store, ulong epoch, in RemoteSegmentHeader by, string name,
        ulong author) =>
        by.Epoch == epoch && by.Author == author
            ? $"Another copy of this store's directory has shipped other commits to {store.Location} (object {name})."
            : $"Another writer ({by.Author:x16}, epoch {by.Epoch}) has the log in {store.Location} from LSN "
                + $"{by.FirstLsn} on; ours (epoch {epoch}) is fenced.";

    public static string Ahead(IObjectStore store, ulong remoteLsn, ulong localLsn) =>
        $"The remote {store.Location} reaches LSN {remoteLsn}, this store only LSN {localLsn}: the directory is an "
            + "older copy of it, or was rolled back.";
}
