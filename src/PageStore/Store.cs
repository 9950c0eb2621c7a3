using System.Buffers;
using System.Globalization;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.PageStore;

/// <summary>
/// One local directory: the databases in it, their pages, the recovery log and the plain files. Everything a connection needs.
/// Thread-safe.
/// </summary>
/// <remarks>
/// A commit is encoded (by its own thread), appended to the log, made durable together with whoever else waits, and then published:
/// its pages stand among the pending commits and in the page cache until the applier has brought them into the page store. Versions that
/// readers have pinned stay readable meanwhile and after.
///
/// Locks, in the order in which they may be taken: catalog, order gate, log, pending commits; a database's gate and the page cache's
/// lock are innermost. None is held while RocksDB is called, but for snapshots (which RocksDB serves without waiting for anything).
/// </remarks>
public sealed partial class Store : IDisposable
{
    readonly StoreOptions options;
    readonly IDisposable? storeLock;
    readonly IPageStore pages;
    readonly PendingCommits pending;
    readonly Lock orderGate = new();
    LocalLog log = null!;
    PlainFiles files = null!;
    Applier? applier;
    RecoveryException? poison;
    bool disposed;
    long commits, commitPages;
    int commitsAtDisk;

    internal LocalLog Log => log;
    internal PageCache Cache { get; }
    internal PageBuffers Buffers { get; }
    internal Catalog Catalog { get; }
    internal string SpillDirectory => options.ReadOnly ? Path.GetTempPath() : Path.Combine(Directory, "spill");

    /// <summary>The store's directory.</summary>
    public string Directory => options.Directory;

    /// <summary>The database of that name, or null.</summary>
    public Database? Find(string name) => Catalog.Find(name);

    /// <summary>All databases, by name.</summary>
    public IReadOnlyList<Database> Databases => Catalog.All;

    /// <summary>Creates an empty database (size 0), or returns the one of that name. Durable with the first durable commit.</summary>
    public Database Create(string name)
    {
        ThrowUnlessWritable();
        return Catalog.Create(name, id => log.Append(RecordKind.DatabaseCreated, DatabaseRecords.Named(id, name)));
    }

    /// <summary>Gives a database another name.</summary>
    public void Rename(Database database, string name)
    {
        ThrowUnlessWritable();
        Catalog.Rename(database, name, () => log.Append(RecordKind.DatabaseRenamed, DatabaseRecords.Named(database.Id, name)));
    }

    /// <summary>Deletes a database with its pages. Existing pins stay readable until unpinned. Durable when <paramref name="durable"/>.</summary>
    public void Delete(Database database, bool durable)
    {
        ThrowUnlessWritable();
        var commit = new PendingCommit([new PendingPart(database, null, null)]);
        var deleted = Catalog.Delete(database, () =>
        {
            lock (orderGate)
            {
                commit.Lsn = log.Append(RecordKind.DatabaseDeleted, DatabaseRecords.Id(database.Id));
                pending.Enqueue(commit);
            }
        });
        if (!deleted) return;
        commit.Ready = true;
        applier!.Notify();
        MakeDurable(commit.Lsn, durable);
    }

    /// <summary>Starts a transaction's private pages on top of <paramref name="basis"/>, a pinned or the newest version.</summary>
    public PageOverlay BeginOverlay(Database database, DatabaseVersion basis)
    {
        database.PinAgain(basis);
        return new PageOverlay(this, database, basis);
    }

    /// <summary>
    /// Does beforehand what can fail in <see cref="Commit"/> for lack of space or because the page store lags: afterwards a commit of
    /// these overlays as they are (or cut) finds its log space ready.
    /// </summary>
    public void Prepare(ReadOnlySpan<PageOverlay> overlays)
    {
        ThrowUnlessWritable();
        pending.WaitForRoom(applier!.Retry);
        KeepLogShort();
        foreach (var overlay in overlays) Encode(overlay);
    }

    EncodedCommit Encode(PageOverlay overlay)
    {
        if (overlay.Encoded is { } known)
        {
            if (known.Changes == overlay.Changes) return known;
            DropEncoded(overlay);
        }
        var encoded = CommitEncoder.Encode(this, overlay);
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
    /// Sets aside log space for what an overlay holds now, whatever it is encoded to: a cheap <see cref="Prepare"/> for those who write on.
    /// Kept until the overlay is committed or disposed.
    /// </summary>
    public void Reserve(PageOverlay overlay)
    {
        ThrowUnlessWritable();
        var parts = (int)(overlay.PageBytes / PageCommitFormat.PartBytes) + 2;
        var wanted = LocalLog.SpaceFor(overlay.PageBytes + overlay.Pages.Count * 11L + parts * (long)PageCommitFormat.HeaderBytes, parts);
        // In steps, so that a checkpoint of many pages does not come here for each of them.
        if (overlay.Reservation is not null && overlay.Reservation.Bytes >= wanted) return;
        KeepLogShort();
        MakeReservation(overlay, wanted + (wanted / 2));
    }

    /// <summary>With no lock held. When the log has no room, what the page store can take over of it makes some.</summary>
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
                throw new RecoveryException(RecoveryError.Full, $"{e.Message} A checkpoint failed: {why.Message}", why);
            }
            SetReservation(overlay, bytes);
        }
    }

    internal static void DropEncoded(PageOverlay overlay)
    {
        var encoded = overlay.Encoded;
        overlay.Encoded = null;
        encoded?.Release(overlay);
    }

    /// <summary>
    /// Commits overlays (of one or several databases) as one atomic record group: appended to the log, made durable when
    /// <paramref name="durable"/>, then published to readers. Either returns the LSN with all of it done, or throws with none of
    /// it done and the overlays intact. Each overlay's basis must be the newest version of its database. Overlays are consumed on success.
    /// </summary>
    public ulong Commit(ReadOnlySpan<PageOverlay> overlays, bool durable)
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
                    throw new RecoveryException(RecoveryError.IoWrite, $"Database {overlays[i].Database.Name} was deleted while this transaction was open.");
                if (!ReferenceEquals(overlays[i].Database.Current, basis))
                    throw new InvalidOperationException($"The transaction on {overlays[i].Database.Name} does not lie on its newest version.");
            }
            commit.Lsn = overlays.Length == 1 && overlays[0].Encoded!.PartCount == 1
                ? AppendSingle(overlays[0])
                : AppendGroup(overlays);
            for (var i = 0; i < overlays.Length; i++)
            {
                var encoded = overlays[i].Encoded!;
                var version = new DatabaseVersion(commit.Lsn, encoded.SizeBytes, encoded.PageSize, encoded.IsWal, encoded.Checksum);
                parts[i] = new PendingPart(overlays[i].Database, encoded.Content, version);
            }
            pending.Enqueue(commit);
        }
        if (durable) Interlocked.Increment(ref commitsAtDisk);
        try
        {
            MakeDurable(commit.Lsn, durable);
            Publish(commit);
        }
        finally
        {
            if (durable) Interlocked.Decrement(ref commitsAtDisk);
        }
        foreach (var overlay in overlays) Finish(overlay);
        applier!.Notify();
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

    ulong AppendSingle(PageOverlay overlay)
    {
        byte[]? scratch = null;
        return log.Append(RecordKind.PageCommit, overlay.Encoded!.Part(0, ref scratch), writeOut: true, reservation: overlay.Reservation);
    }

    ulong AppendGroup(ReadOnlySpan<PageOverlay> overlays)
    {
        byte[]? scratch = null;
        long bytes = 0;
        foreach (var overlay in overlays) bytes += LocalLog.SpaceFor(overlay.Encoded!.TotalBytes, overlay.Encoded.PartCount);
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
                    if (i == overlays.Length - 1 && part == encoded.PartCount - 1) return group.Complete(RecordKind.PageCommit, body, writeOut: true);
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
    /// Brings the log to where the writer wants it. A failure here leaves a commit in the log whose outcome nobody knows: the store
    /// takes no more writes, and the log wipes what is not durable, so that a commit that failed is not found by the next open.
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
            poison ??= e;
            throw;
        }
    }

    void Publish(PendingCommit commit)
    {
        foreach (ref readonly var part in commit.Parts.AsSpan())
        {
            if (part.Overlay is not { } overlay) continue;
            var database = part.Database;
            database.BeginPublish();
            BringIntoCache(overlay, part.Version!);
            database.Publish(part.Version!);
            Interlocked.Add(ref commitPages, overlay.Pages.Count);
        }
        commit.Ready = true;
        Interlocked.Increment(ref commits);
    }

    void BringIntoCache(PageOverlay overlay, DatabaseVersion version)
    {
        var id = overlay.Database.Id;
        var basis = overlay.Basis;
        if (overlay.IsRebase)
            for (var page = 1u; page <= basis.PageCount; page++) Cache.Remove(id, page);
        else
            for (var page = version.PageCount + 1; page <= basis.PageCount; page++) Cache.Remove(id, page);
        // A bulk load would only push out what others read.
        var insert = overlay.PageBytes <= Cache.BudgetBytes / 4;
        foreach (var (page, hash) in overlay.Changed)
        {
            var bytes = overlay.InMemory(page);
            if (bytes.IsEmpty) Cache.Remove(id, page);
            else Cache.Publish(id, page, version.Lsn, hash, bytes, insert);
        }
    }

    /// <summary>Publishes a replayed commit: it is in the log already.</summary>
    internal void PublishReplayed(ulong lsn, PendingPart[] parts)
    {
        var commit = new PendingCommit(parts) { Lsn = lsn };
        pending.Enqueue(commit);
        Publish(commit);
        foreach (ref readonly var part in parts.AsSpan()) part.Overlay?.Consume();
        if (IsReplica) applier!.Notify();
        else MakeRoomInReplay();
    }

    /// <summary>The checksum of a pinned version, from all its pages.</summary>
    internal ulong ChecksumOf(Database database, DatabaseVersion pinned, CancellationToken cancellation)
    {
        var bytes = new byte[Math.Max(512, pinned.PageSize)].AsSpan(0, pinned.PageSize);
        var checksum = 0UL;
        for (var page = 1u; page <= pinned.PageCount; page++)
        {
            cancellation.ThrowIfCancellationRequested();
            bytes[database.Read(pinned, (page - 1L) * pinned.PageSize, bytes)..].Clear();
            checksum ^= PageCommitFormat.HashOf(page, bytes);
        }
        return checksum;
    }

    /// <summary>Opens a plain file (journal, WAL) by name; null when it does not exist and <paramref name="create"/> is false.</summary>
    public PlainFile? OpenFile(string name, bool create) => files.Open(name, create);

    /// <summary>Whether a plain file of that name exists.</summary>
    public bool FileExists(string name) => files.Exists(name);

    /// <summary>Deletes a plain file by name (open handles keep reading it); false when there was none. Durable when <paramref name="durable"/>.</summary>
    public bool DeleteFile(string name, bool durable) => files.Delete(name, durable);

    /// <summary>Hands everything appended so far to the operating system: it survives the end of this process.</summary>
    public void WriteOut() => MakeDurable(log.LastLsn, false);

    /// <summary>Makes everything appended so far durable: it survives loss of power.</summary>
    public void Sync() => MakeDurable(log.LastLsn, true);

    /// <summary>The newest LSN appended, and the newest known durable.</summary>
    public (ulong Last, ulong Durable) Lsn => IsReplica ? (replicaLsn, settledLsn) : (log.LastLsn, log.DurableLsn);

    /// <summary>Brings all pages into files and drops log no longer needed.</summary>
    public void Checkpoint()
    {
        ThrowUnlessWritable();
        Volatile.Write(ref checkpointWanted, true);
        applier!.Drain();
    }

    /// <summary>
    /// Gives back all space that can be: brings all pages into files and rewrites these, densest. Takes as long as reading and writing the store
    /// once, beside which the store is used as always; returns the bytes of the files then.
    /// </summary>
    public long Compact(CancellationToken cancellation = default)
    {
        Checkpoint();
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellation, closing.Token);
        lock (collectGate)
            if (!pages.Compact(either.Token))
                throw new OperationCanceledException($"Compacting the store {Directory} was cancelled; nothing is lost, and some of the space is given back.");
        Checkpoint();
        var sizes = pages.Statistics();
        return sizes.GetValueOrDefault("blob_file_bytes") + sizes.GetValueOrDefault("table_bytes");
    }

    /// <summary>Throws what keeps the store from taking writes: opened for reading, fenced, or poisoned by an earlier error.</summary>
    public void ThrowUnlessWritable()
    {
        ObjectDisposedException.ThrowIf(disposed, this);
        Remote?.ThrowIfLost();
        if (options.ReadOnly || IsReplica)
            throw new RecoveryException(RecoveryError.ReadOnly, $"The store {Directory} was opened for reading only.");
        if ((poison ?? log.Poison) is { } cause)
            throw new RecoveryException(RecoveryError.ReadOnly,
                $"The store {Directory} takes no more writes since an earlier error: {cause.Message} "
                + "Close all connections and open it again to go on from what is durable.", cause);
    }

    /// <summary>Reads every page of a database, or of all, and checks the checksums; returns one line a problem.</summary>
    public IReadOnlyList<string> Verify(Database? database, CancellationToken cancellation)
    {
        var problems = new List<string>();
        foreach (var each in database is null ? Databases : [database])
        {
            var version = each.Pin();
            try
            {
                var actual = ChecksumOf(each, version, cancellation);
                if (actual != version.Checksum)
                    problems.Add($"{each.Name}: checksum {actual:x16} at LSN {version.Lsn}, should be {version.Checksum:x16}");
            }
            catch (RecoveryException e)
            {
                problems.Add($"{each.Name}: {e.Message}");
            }
            finally
            {
                each.Unpin(version);
            }
        }
        return problems;
    }

    /// <summary>Names and values for `PRAGMA recovery_status` and its kin.</summary>
    public IReadOnlyList<KeyValuePair<string, string>> Status()
    {
        var rows = new List<KeyValuePair<string, string>>();
        void Row(string name, object value) => rows.Add(new(name, Convert.ToString(value, CultureInfo.InvariantCulture)!));
        Row("store", Directory);
        Row("log_id", IsReplica ? replicaLogId : log.LogId);
        var broken = poison ?? log?.Poison;
        Row("state", broken is not null ? "poisoned: " + broken.Message
            : IsReplica ? "replica"
            : pending.Failure is { } failure ? "stuck: " + failure.Message : options.ReadOnly ? "read-only" : "ok");
        Row("databases", Databases.Count);
        Row("lsn", Lsn.Last);
        Row("durable_lsn", Lsn.Durable);
        Row("applied_lsn", pages.Applied);
        Row("persisted_lsn", pages.PersistedApplied);
        Row("commits", Interlocked.Read(ref commits));
        Row("commit_pages", Interlocked.Read(ref commitPages));
        Row("cache_misses", Interlocked.Read(ref cacheMisses));
        Row("pages_read_ahead", Interlocked.Read(ref pagesAhead));
        Row("pages_warmed", Interlocked.Read(ref pagesWarmed));
        Row("log_bytes", log?.SizeBytes ?? 0);
        Row("log_bytes_max", options.MaxLocalLogBytes);
        Row("page_cache_bytes", Cache.ResidentBytes);
        Row("page_cache_bytes_max", Cache.BudgetBytes);
        Row("overlay_bytes", Buffers.UsedBytes - pending.Bytes);
        Row("overlay_bytes_max", Buffers.BudgetBytes);
        Row("pending_bytes", pending.Bytes);
        Row("pending_bytes_max", pending.BudgetBytes);
        Row("wal_buffer_bytes", files?.TailBytes ?? 0);
        Row("wal_buffer_bytes_max", options.WalBufferBytes);
        if (Remote is null) Row("remote", "none");
        else foreach (var (name, value) in Remote.Status()) Row(name, value);
        foreach (var (name, value) in pages.Statistics()) Row(name, value);
        return rows;
    }
}
