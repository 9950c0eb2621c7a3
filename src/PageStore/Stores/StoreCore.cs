using System.Globalization;
using RecoveryVfs.PageStore.Commits;
using RecoveryVfs.PageStore.Interop;
using RecoveryVfs.PageStore.Pages;
using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.PageStore.Stores;

/// <summary>
/// What writers, replicas and views of a store are made of: databases and their versions, pages and the way to read
/// them, commits that are not in the page store yet, and which files live. It has no log, and owns the page store.
/// Thread-safe.
/// </summary>
internal sealed class StoreCore : IDisposable
{
    long commits, commitPages;

    /// <param name="options">How the store is opened.</param>
    /// <param name="pages">The page store, which is this object's from now on.</param>
    /// <param name="spillDirectory">Where scratch files go.</param>
    /// <param name="absent">The page store's files that come when they are read, which are this object's, too.</param>
    public StoreCore(StoreOptions options, IPageStore pages, string spillDirectory, IAbsentFiles? absent = null)
    {
        Absent = absent;
        Options = options.WithinLogBound();
        Pages = pages;
        Pending = new PendingCommits(options.PendingBytes);
        Cache = new PageCache(options.PageCacheBytes);
        Buffers = new PageBuffers(options.OverlayBytes + options.PendingBytes, spillDirectory);
        Reader = new PageReader(Cache, Pending, pages);
        Catalog = new Catalog(options.Directory, Reader);
    }

    public StoreOptions Options { get; }
    public StoreHome Home => Options.Home;
    public string Directory => Options.Directory;
    public IPageStore Pages { get; }

    /// <summary>The page store's files that come from a remote when they are read; null when all were here.</summary>
    public IAbsentFiles? Absent { get; }

    public PendingCommits Pending { get; }
    public PageCache Cache { get; }
    public PageBuffers Buffers { get; }
    public PageReader Reader { get; }
    public Catalog Catalog { get; }

    /// <summary>Which files and databases live at the last record.</summary>
    public LiveFiles Live { get; } = new();

    /// <summary>The LSN of the newest local hints; 0 when there are none.</summary>
    public ulong HintsLsn { get; set; }

    /// <summary>The first record that a replay needs, as the newest hints say.</summary>
    public ulong ReplayFrom { get; set; } = 1;

    /// <summary>How many pages all databases have together.</summary>
    public long CountPages() => Catalog.All.Sum(d => (long)d.Current.PageCount);

    /// <summary>Starts from what the newest local hints say.</summary>
    public Hints? LoadHints() => AdoptHints(LocalHints.LoadNewest(Options.Disk, Directory));

    /// <summary>Starts from what hints say; null is an empty store.</summary>
    public Hints? AdoptHints(Hints? hints)
    {
        HintsLsn = hints?.Lsn ?? 0;
        ReplayFrom = hints?.ReplayFrom ?? 1;
        if (hints is null) return null;
        Live.Load(hints);
        foreach (var database in Live.Databases)
            Catalog.Adopt(database.Id, database.Name, 0);
        Catalog.ReserveIds(Live.NextDatabaseId);
        return hints;
    }

    /// <summary>
    /// The first record that a replay needs: what the hints say, or later when the page store went on since.
    /// </summary>
    public static ulong FirstToReplay(Hints? hints, ulong applied) =>
        hints is null ? 1 : Math.Max(hints.ReplayFrom, Math.Min(hints.Lsn, applied) + 1);

    /// <summary>Publishes a replayed commit: it is in the log already.</summary>
    public void PublishReplayed(ulong lsn, PendingPart[] parts)
    {
        var commit = new PendingCommit(parts) { Lsn = lsn };
        Pending.Enqueue(commit);
        Publish(commit);
        foreach (ref readonly var part in parts.AsSpan()) part.Overlay?.Consume();
    }

    /// <summary>Makes the versions of a pending commit the newest.</summary>
    public void Publish(PendingCommit commit)
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
        Cache.Remove(id, overlay.IsRebase ? 1 : version.PageCount + 1, basis.PageCount);
        // A bulk load would only push out what others read.
        var insert = overlay.PageBytes <= Cache.BudgetBytes / 4;
        foreach (var (page, hash) in overlay.Changed)
        {
            var bytes = overlay.InMemory(page);
            if (bytes.IsEmpty) Cache.Remove(id, page);
            else Cache.Publish(id, page, version.Lsn, hash, bytes, insert);
        }
    }

    /// <summary>The checksum of a pinned version, from all its pages.</summary>
    public ulong ChecksumOf(Database database, DatabaseVersion pinned, CancellationToken cancellation,
        Action<long>? progressed = null)
    {
        return Reader.Written.Checksum(database, pinned, 1, pinned.PageCount, null,
            progressed is null ? null : count => progressed(count * pinned.PageSize), cancellation);
    }

    /// <summary>
    /// Reads every page of a database, or of all, and checks the checksums; returns one line a problem.
    /// </summary>
    public List<string> Verify(Database? database, CancellationToken cancellation, Action<long>? progressed = null)
    {
        var problems = new List<string>();
        foreach (var each in database is null ? Catalog.All : [database])
        {
            DatabaseVersion? version = null;
            try
            {
                version = each.Pin();
                var actual = ChecksumOf(each, version, cancellation, progressed);
                if (actual != version.Checksum)
                    problems.Add(
                        $"{each.Name}: checksum {actual:x16} at LSN {version.Lsn}, should be {version.Checksum:x16}");
            }
            catch (RecoveryException e)
            {
                problems.Add($"{each.Name}: {e.Message}");
            }
            finally
            {
                if (version is not null) each.Unpin(version);
            }
        }
        return problems;
    }

    /// <summary>
    /// Names and values for `PRAGMA recovery_status` and its kin; <paramref name="remote"/> is what the remote says of
    /// itself.
    /// </summary>
    public IReadOnlyList<KeyValuePair<string,
        string>> Status(in StoreStatus of, IEnumerable<(string Name, object Value)>? remote)
    {
        var rows = new List<KeyValuePair<string, string>>();
        void Row(string name, object value)
            => rows.Add(new(name, Convert.ToString(value, CultureInfo.InvariantCulture)!));
        Row("store", Directory);
        Row("log_id", of.LogId);
        Row("state", of.State);
        Row("databases", Catalog.All.Count);
        Row("lsn", of.LastLsn);
        Row("durable_lsn", of.DurableLsn);
        Row("applied_lsn", Pages.Applied);
        Row("persisted_lsn", Pages.PersistedApplied);
        Row("commits", Interlocked.Read(ref commits));
        Row("commit_pages", Interlocked.Read(ref commitPages));
        Row("cache_misses", Reader.CacheMisses);
        Row("pages_read_ahead", Reader.PagesAhead);
        Row("pages_warmed", Reader.PagesWarmed);
        Row("log_bytes", of.LogBytes);
        Row("log_bytes_max", Options.MaxLocalLogBytes);
        Row("page_cache_bytes", Cache.ResidentBytes);
        Row("page_cache_bytes_max", Cache.BudgetBytes);
        Row("overlay_bytes", Buffers.UsedBytes - Pending.Bytes);
        Row("overlay_bytes_max", Buffers.BudgetBytes);
        Row("pending_bytes", Pending.Bytes);
        Row("pending_bytes_max", Pending.BudgetBytes);
        Row("wal_buffer_bytes", of.WalBytes);
        Row("wal_buffer_bytes_max", Options.WalBufferBytes);
        if (remote is null) Row("remote", "none");
        else foreach (var (name, value) in remote) Row(name, value);
        foreach (var (name, value) in Pages.Statistics()) Row(name, value);
        return rows;
    }

    /// <summary>Frees everything, once nobody applies commits any more. What was pending is in a log.</summary>
    public void Dispose()
    {
        // Or whoever reads ahead would wait for the remote.
        Absent?.Stop();
        Reader.Dispose();
        Pending.Clear();
        Cache.Dispose();
        Buffers.Dispose();
        Pages.Dispose();
        Absent?.Dispose();
    }
}

/// <summary>What a status says of the store that a <see cref="StoreCore"/> is part of.</summary>
internal readonly record struct StoreStatus(Guid LogId, string State, ulong LastLsn, ulong DurableLsn, long LogBytes,
    long WalBytes);
