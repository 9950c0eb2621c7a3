using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.PageStore.Pages;

/// <summary>
/// Pages of many databases at versions: what lies below the page cache and the pending commits. Two implementations,
/// one in RocksDB and one in memory, keep the same contract (one set of contract tests runs over both).
/// </summary>
/// <remarks>
/// Values are addressed by (database, page); pages count from 1 and page 0 is the database's own header (written by the
/// caller like any page). Values have any length from 1 to 65,536 bytes. All methods may be called from any thread;
/// <see cref="Apply"/>, <see cref="Flush"/> and <see cref="CollectGarbage"/> are called by one thread at a time.
/// Errors are <see cref="RecoveryLog.RecoveryException"/>s: damage is reported as Corrupt and never returned as data.
/// </remarks>
internal interface IPageStore : IDisposable
{
    /// <summary>The LSN of the newest batch that was applied; 0 in a new store.</summary>
    ulong Applied { get; }

    /// <summary>
    /// The applied LSN that a crash now would leave behind (what has reached files); never more than
    /// <see cref="Applied"/>.
    /// </summary>
    ulong PersistedApplied { get; }

    /// <summary>
    /// Bytes of memory held for batches that have not reached files yet, roughly; 0 when there are none.
    /// </summary>
    long UnflushedBytes { get; }

    /// <summary>
    /// Copies the value into <paramref name="destination"/> and returns its whole length (which may exceed the
    /// destination; then only the part that fits was copied), or -1 when there is none. Without a snapshot, the newest
    /// applied value.
    /// </summary>
    int Read(uint database, uint page, IPageSnapshot? snapshot, Span<byte> destination);

    /// <summary>
    /// Pins what is applied now, until the snapshot is disposed. Cheap (microseconds), and holds no pages in memory.
    /// </summary>
    IPageSnapshot Snapshot();

    /// <summary>
    /// Reads existing values in page order, from <paramref name="firstPage"/> up to <paramref name="lastPage"/>
    /// inclusive, with one pass over the files (read-ahead); stops early when <paramref name="onPage"/> returns false.
    /// </summary>
    void Scan(uint database, uint firstPage, uint lastPage, IPageSnapshot? snapshot, PageScanned onPage);

    /// <summary>A reusable batch of changes; not thread-safe.</summary>
    IPageBatch CreateBatch();

    /// <summary>
    /// Applies a batch atomically, together with <paramref name="applied"/> as the new <see cref="Applied"/> when it is
    /// not null (null: the batch is a part of something larger whose last batch brings the LSN). Clears the batch.
    /// </summary>
    void Apply(IPageBatch batch, ulong? applied);

    /// <summary>
    /// Brings everything applied so far into files; afterwards <see cref="PersistedApplied"/> is at least what
    /// <see cref="Applied"/> was.
    /// </summary>
    void Flush();

    /// <summary>
    /// Rewrites files of which too much is garbage (above the configured share), in the calling thread. Returns true
    /// when something was rewritten. May be cancelled; then it leaves everything valid and returns soon.
    /// </summary>
    bool CollectGarbage(CancellationToken cancellation);

    /// <summary>
    /// Rewrites all files: afterwards they hold what is live, as dense as it gets. In the calling thread; the files
    /// exist twice meanwhile. False when cancelled.
    /// </summary>
    bool Compact(CancellationToken cancellation);

    /// <summary>Sizes and counts for status reports, by name.</summary>
    IReadOnlyDictionary<string, long> Statistics();
}

/// <summary>Takes one scanned page; returns false to stop.</summary>
internal delegate bool PageScanned(uint page, ReadOnlySpan<byte> value);

/// <summary>A pinned state of an <see cref="IPageStore"/>.</summary>
internal interface IPageSnapshot : IDisposable
{
    /// <summary>The applied LSN that this snapshot shows.</summary>
    ulong Applied { get; }
}

/// <summary>Changes that are applied together. Later calls win over earlier ones on the same page.</summary>
internal interface IPageBatch : IDisposable
{
    /// <summary>Sets one value (copied).</summary>
    void Put(uint database, uint page, ReadOnlySpan<byte> value);

    /// <summary>
    /// Removes every page of a database from <paramref name="firstPage"/> to <paramref name="lastPage"/>, both
    /// included.
    /// </summary>
    void DeleteRange(uint database, uint firstPage, uint lastPage);

    /// <summary>Bytes gathered so far, roughly.</summary>
    long SizeBytes { get; }

    /// <summary>Forgets everything gathered.</summary>
    void Clear();
}
