using System.Collections.Concurrent;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.RecoveryLog.Remote.Files;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.Read;
using RecoveryVfs.RecoveryLog.Remote.State;

namespace RecoveryVfs.RecoveryLog.Remote.Write;

/// <summary>
/// Publishes hints: first everything that they name, then themselves. Whatever interrupts it leaves older hints as they
/// were, and objects that the collector finds. One publication, or collection, at a time.
/// </summary>
/// <param name="context">The remote.</param>
/// <param name="shipper">Who ships the log there.</param>
/// <param name="came">What files here were fetched from, whatever the newest hints name: these extents are not sent
/// again, and not collected.</param>
internal sealed class HintsPublisher(RemoteContext context, Shipper shipper, IReadOnlyList<KnownExtent>? came = null)
{
    readonly Extents extents = new(context);
    readonly ConcurrentDictionary<ulong, KnownExtent> known = [];
    bool remembered;

    /// <summary>
    /// After a start: looks which hints the remote has, so that none are published only because this process knows of
    /// none.
    /// </summary>
    public async Task RecallAsync(CancellationToken cancellation = default)
    {
        using (await Gate.EnterAsync())
            await RememberAsync((await shipper.ConnectedAsync(cancellation)).Store, cancellation);
    }

    /// <summary>Keeps publication and collection apart.</summary>
    internal AsyncGate Gate { get; } = new();

    /// <summary>
    /// Publishes what lives at an LSN. Waits until the remote's log has that LSN; ships the sealed files that it lacks,
    /// opened with
    /// <paramref name="open"/> (which must keep them readable until this returns); and creates the hints.
    /// </summary>
    /// <param name="hints">A snapshot of the live files; plain files must carry their bytes, as they were at its
    /// LSN.</param>
    /// <param name="lsnTimeMs">The time of the record with that LSN.</param>
    /// <param name="open">Opens a sealed file.</param>
    /// <param name="cancellation">Gives up.</param>
    public async Task<RemoteHints> PublishAsync(
        Hints hints, long lsnTimeMs, Func<LiveFile, Stream> open, CancellationToken cancellation = default)
    {
        var started = context.Time.GetTimestamp();
        using (await Gate.EnterAsync())
        {
            var remote = await shipper.ConnectedAsync(cancellation);
            // Hints name only what the remote's log has: they never promise more than it keeps.
            await shipper.WaitShippedAsync(hints.Lsn, cancellation);
            if (hints.ReplayFrom <= shipper.GapLsn)
                throw new RecoveryException(RecoveryError.Busy,
                    $"Shipping to {context.Store.Location} started afresh while hints of LSN {hints.Lsn} were "
                    + "being made: what they would replay was never shipped.",
                    "Publish hints again")
                { Path = context.Store.Location, Lsn = hints.Lsn };
            await RememberAsync(remote.Store, cancellation);
            var files = hints.Files.Where(IsNeeded).ToList();
            var sealedFiles = files.Where(IsExtent).ToList();
            var lacking = sealedFiles.Where(f => Find(f) is null).ToList();
            var needed = await ShipExtentsAsync(sealedFiles, remote.Epoch, open, cancellation);
            var header = new RemoteHintsHeader
            {
                LogId = hints.LogId,
                Epoch = remote.Epoch,
                Author = remote.Author,
                Lsn = hints.Lsn,
                ReplayFrom = hints.ReplayFrom,
                TimeMs = lsnTimeMs,
                Start = await StartOfAsync(remote, hints.ReplayFrom, cancellation),
            };
            var inline = hints with { Files = files };
            byte[] bytes = RemoteHintsFormat.Write(header, needed, inline);
            await remote.ConfirmTenureAsync(cancellation);
            var published = await CreateAsync(bytes, header, cancellation);
            Forget(needed);
            remote.Segments.ForgetBefore(hints.ReplayFrom);
            shipper.State.HintsPublished(hints.Lsn, context.Time.GetUtcNow(), new HintsCost(
                context.Time.GetElapsedTime(started), lacking.Sum(f => f.SizeBytes) + bytes.Length,
                lacking.Count == sealedFiles.Count));
            return published;
        }
    }

    /// <summary>
    /// Ships sealed files before hints name them: a restore that replays the log beyond the newest hints needs them.
    /// Those that are there already cost nothing.
    /// </summary>
    public async Task ShipAheadAsync(IReadOnlyList<LiveFile> files, Func<LiveFile, Stream> open,
        CancellationToken cancellation = default)
    {
        using (await Gate.EnterAsync())
        {
            var remote = await shipper.ConnectedAsync(cancellation);
            await RememberAsync(remote.Store, cancellation);
            await ShipExtentsAsync([.. files.Where(f => IsExtent(f) && f.IsSealed)], remote.Epoch, open, cancellation);
        }
    }

    /// <summary>Whether the remote is known to have a sealed file's bytes.</summary>
    public bool IsShipped(LiveFile file) => Find(file) is not null;

    /// <summary>Extents that the remote has for this writer, hints or not: not to be collected.</summary>
    internal bool IsKnown(ulong fnode, ulong hashPrefix) => known.TryGetValue(fnode, out var one)
        && one.Extent.Hash.Prefix == hashPrefix;

    static bool IsExtent(LiveFile file) => file.Class is FileClass.RocksTable or FileClass.RocksBlob;

    /// <summary>A table or blob file that is still being written is in no MANIFEST yet.</summary>
    static bool IsNeeded(LiveFile file)
    {
        if (IsExtent(file)) return file.IsSealed;
        // Its bytes are replayed from where it was created.
        if (file.Class == FileClass.RocksLog) return true;
        if (file.Bytes.Length != file.SizeBytes)
            throw new ArgumentException(
                $"The hints give {file.Bytes.Length} of the {file.SizeBytes} bytes of {file.Name}.");
        return true;
    }

    async ValueTask<IReadOnlyList<Extent>> ShipExtentsAsync(
        List<LiveFile> files, ulong epoch, Func<LiveFile, Stream> open, CancellationToken cancellation)
    {
        var missing = files.Where(f => Find(f) is null).ToList();
        var sources = missing.Select(f => new SealedFile(f.Fnode, f.SizeBytes, f.Crc32C, () => open(f))).ToList();
        var shipped = await extents.UploadAsync(sources, epoch, cancellation);
        for (int i = 0; i < missing.Count; i++)
            known[missing[i].Fnode] = new KnownExtent(shipped[i], missing[i].Crc32C);
        return [.. files.Select(f => Find(f)!.Value)];
    }

    Extent? Find(LiveFile file) =>
        known.TryGetValue(file.Fnode, out var one) && one.Crc32C == file.Crc32C
            && one.Extent.SizeBytes == file.SizeBytes ? one.Extent : null;

    /// <summary>After a start: what the newest hints name need not be sent again.</summary>
    async ValueTask RememberAsync(StoreObject store, CancellationToken cancellation)
    {
        if (remembered) return;
        var newest = await context.ListAsync(RemoteNames.Hints, null, cancellation, most: 1);
        if (newest.Count > 0 && await RemoteHintsReads.TryFetchAsync(context, newest[0].Name, store.LogId, cancellation)
            is { } hints)
        {
            foreach (var file in hints.Hints.Files)
                if (hints.Extents.TryGetValue(file.Fnode, out var extent))
                    known[file.Fnode] = new KnownExtent(extent, file.Crc32C);
            var since = await context.ListAsync(RemoteNames.Segments, RemoteNames.Segment(hints.Header.Lsn),
                cancellation);
            shipper.State.HintsFound(hints.Header.Lsn, newest[0].Modified,
                since.Sum(s => s.SizeBytes) * LogCompression);
        }
        foreach (var one in came ?? []) known[one.Extent.Fnode] = one;
        remembered = true;
    }

    /// <summary>
    /// About how many bytes of log a byte of a segment holds: what a restore would replay is only known compressed.
    /// </summary>
    const int LogCompression = 2;

    void Forget(IReadOnlyList<Extent> needed)
    {
        var keep = needed.Select(e => e.Fnode).ToHashSet();
        foreach (ulong fnode in known.Keys.Where(f => !keep.Contains(f)).ToList()) known.TryRemove(fnode, out _);
    }

    async ValueTask<RemoteLogEnd> StartOfAsync(RemoteLog remote, ulong replayFrom, CancellationToken cancellation)
    {
        if (replayFrom < remote.Store.FirstLsn)
            throw new ArgumentException(
                $"Hints that replay from LSN {replayFrom} do not fit a remote whose log begins at "
                    + $"{remote.Store.FirstLsn}.");
        if (remote.Segments.StartOf(replayFrom, remote.End) is { } start) return start;
        // Shipped before this writer started: look it up, from the last one before it that a (perhaps stale) listing
        // shows.
        var listed = await context.ListAsync(RemoteNames.Segments, null, cancellation);
        ulong first = listed.Select(l => RemoteNames.TryParseSegment(l.Name, out ulong lsn) ? lsn : ulong.MaxValue)
            .LastOrDefault(l => l <= replayFrom);
        for (ulong lsn = first == 0 ? remote.Store.FirstLsn : first; ;)
        {
            using var segment = await context.RetryAsync(
                token => RemoteSegment.FetchAsync(context.Store, RemoteNames.Segment(lsn), context.OpenSpool, token),
                    cancellation);
            if (segment is null || segment.Header.FirstLsn > replayFrom)
                throw new RecoveryException(RecoveryError.Remote,
                    $"The segment with LSN {replayFrom}, from which a restore would replay, "
                    + $"is not found in {context.Store.Location}.",
                    "Publish hints again later; if that stays so, ship to a new prefix")
                { Path = context.Store.Location, Lsn = replayFrom };
            // The epoch of the segment before only bounds what may follow it, so that of the segment itself serves.
            if (segment.Header.LastLsn >= replayFrom)
                return new RemoteLogEnd(lsn, segment.Header.Previous, segment.Header.Epoch, segment.Header.Author, 0);
            lsn = segment.Header.NextLsn;
        }
    }

    async ValueTask<RemoteHints> CreateAsync(byte[] bytes, RemoteHintsHeader header, CancellationToken cancellation)
    {
        string name = RemoteNames.HintsAt(header.Lsn);
        var result = await context.RetryAsync(token => context.Store.CreateAsync(name, bytes, token), cancellation);
        var mine = RemoteHintsFormat.Read(bytes, name);
        if (result == CreateResult.Created) return mine;
        // Ours, with a lost answer; or those of an earlier life, at the same LSN, and as good. If these do not verify,
        // the next will.
        var found = await RemoteHintsReads.TryFetchAsync(context, name, header.LogId, cancellation);
        return found ?? throw RemoteFormat.Damaged(name,
            "there are hints of this LSN that do not verify; publish hints of a later one");
    }
}
