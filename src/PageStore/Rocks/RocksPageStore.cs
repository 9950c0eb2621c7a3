using System.Diagnostics;
using System.Runtime.InteropServices;
using RecoveryVfs.PageStore.Interop;
using RecoveryVfs.PageStore.Pages;
using RecoveryVfs.RecoveryLog;
using Code = RecoveryVfs.PageStore.Interop.Native.Code;

namespace RecoveryVfs.PageStore.Rocks;

/// <summary>
/// Pages in RocksDB: values in blob files, keys in a small tree, no write-ahead log (the recovery log is that). Closing
/// does not flush: what was not flushed is replayed from the recovery log at the next open.
/// </summary>
/// <remarks>
/// When the disk is full, flushes and then <see cref="Apply"/> fail with Full and change nothing; the first Apply or
/// Flush after space was freed resumes. After any other failed write or sync RocksDB takes no writes until the store is
/// opened again; reads go on.
/// </remarks>
internal sealed unsafe partial class RocksPageStore : IPageStore
{
    readonly StoreHandle handle = new();
    readonly RocksPageStoreOptions options;
    readonly RecordedFiles? files;
    readonly ManifestMark mark;
    readonly PlaceMap? places;
    ulong applied;

    RocksPageStore(RocksPageStoreOptions options, RecordedFiles? files, PlaceMap? places, ManifestMark mark)
    {
        this.options = options;
        this.files = files;
        this.places = places;
        this.mark = mark;
    }

    /// <summary>Pages that were read without RocksDB.</summary>
    internal long PlacedReads => places?.Reads ?? 0;

    /// <inheritdoc/>
    public ulong Applied => Volatile.Read(ref applied);

    /// <inheritdoc/>
    /// <remarks>A lock and a comparison, unless something was flushed since the last call.</remarks>
    public ulong PersistedApplied
    {
        get
        {
            Check(Native.rv_persisted_applied(handle, out var persisted, out var error), error,
                "Reading the persisted LSN", writing: false);
            return persisted;
        }
    }

    /// <inheritdoc/>
    public long UnflushedBytes => Native.rv_unflushed_bytes(handle);

    /// <inheritdoc/>
    /// <remarks>Allocates nothing. RocksDB takes 4 to 5 us when all is cached, about 10 with a read of the disk's
    /// cache. A page whose place is known is one <c>pread</c>, a checksum and a decompression.</remarks>
    public int Read(uint database, uint page, IPageSnapshot? snapshot, Span<byte> destination)
    {
        if (places?.Read(database, page, destination) is >= 0 and var placed) return placed;
        fixed (byte* buffer = destination)
        {
            var code = Native.rv_get(handle, Pointer(snapshot), database, page, buffer, destination.Length,
                out var length, out var error);
            if (code != Code.Ok)
                throw Failure(code, error, $"Reading page {page} of database {database}", writing: false);
            return length;
        }
    }

    /// <inheritdoc/>
    public IPageSnapshot Snapshot() =>
        new RocksSnapshot(this, Native.rv_snapshot_take(handle) is var taken
            and not 0 ? taken
            : throw new InsufficientMemoryException("There is no memory for a snapshot, or the process is exiting."));

    /// <inheritdoc/>
    public void Scan(uint database, uint firstPage, uint lastPage, IPageSnapshot? snapshot, PageScanned onPage)
    {
        if (firstPage > lastPage)
            return;
        if (places is not null)
        {
            if (places.Scan(database, firstPage, lastPage, onPage) is not { } rest)
                return;
            firstPage = rest;
        }
        var scan = new RocksScan(onPage);
        var self = GCHandle.Alloc(scan);
        try
        {
            var code = Native.rv_scan(
                handle, Pointer(snapshot), database, firstPage, lastPage, &RocksScan.OnPage, GCHandle.ToIntPtr(self),
                    out var error);
            if (code != Code.Ok)
                throw Failure(code, error, $"Scanning pages {firstPage} to {lastPage} of database {database}",
                    writing: false);
        }
        finally
        {
            self.Free();
        }
        scan.Rethrow();
    }

    /// <summary>The first database from this number on that has pages; null when there is none.</summary>
    public uint? NextDatabase(uint from)
    {
        Check(Native.rv_next_database(handle, from, out var database, out var error), error,
            "Looking which databases there are", writing: false);
        return database == 0 ? null : database;
    }

    /// <inheritdoc/>
    public IPageBatch CreateBatch() => new RocksBatch(places);

    /// <inheritdoc/>
    public void Apply(IPageBatch batch, ulong? applied)
    {
        Debug.Assert(applied is null || applied >= this.applied, "LSNs are applied in order");
        if (applied is null && batch.SizeBytes == 0)
            return;
        var code = Native.rv_apply(handle, ((RocksBatch)batch).Handle, applied is null ? 0 : 1, applied
            ?? 0, out var error);
        if (code != Code.Ok)
            throw Failure(code, error, applied is null ? "Applying pages" : $"Applying pages up to LSN {applied}",
                writing: true);
        if (applied is { } lsn)
            Volatile.Write(ref this.applied, lsn);
    }

    /// <inheritdoc/>
    public void Flush()
    {
        Check(Native.rv_flush(handle, out var error), error, "Flushing pages", writing: true);
        Telemetry.Flushed(options.Directory);
    }

    /// <summary>The files of a page store that has any.</summary>
    public static RocksPageStore? FilesOf(IPageStore pages) => pages as RocksPageStore
        ?? (pages as MirroredPages)?.Files;

    /// <summary>
    /// Until what is returned is disposed, every file that is live now, or becomes so, stays in the directory: so that
    /// files named by hints can be linked or shipped. (What was obsolete before may still be on its way out.)
    /// </summary>
    public IDisposable HoldFiles()
    {
        Check(Native.rv_hold_files(handle, 1, out var error), error, "Holding the page store's files", writing: false);
        return new Hold(this);
    }

    /// <summary>Closes without a flush. Calls that are running end first.</summary>
    public void Dispose()
    {
        handle.Dispose();
        places?.Dispose();
    }

    internal ulong ReadApplied(nint snapshot)
    {
        Check(Native.rv_applied(handle, snapshot, out var lsn, out var error), error, "Reading the applied LSN",
            writing: false);
        return lsn;
    }

    /// <summary>A snapshot of a closed store went with it.</summary>
    internal void Release(nint snapshot)
    {
        try
        {
            Native.rv_snapshot_release(handle, snapshot);
        }
        catch (ObjectDisposedException)
        {
        }
    }

    static nint Pointer(IPageSnapshot? snapshot) => snapshot is null ? 0 : ((RocksSnapshot)snapshot).Pointer;

    void Check(Code code, nint error, string action, bool writing)
    {
        if (code != Code.Ok)
            throw Failure(code, error, action, writing);
    }

    RecoveryException Failure(Code code, nint error, string action, bool writing) =>
        RocksErrors.Translate(code, RocksErrors.Take(error), action, options.Directory, writing, files?.Refusal);

    sealed class Hold(RocksPageStore store) : IDisposable
    {
        int held = 1;

        public void Dispose()
        {
            if (Interlocked.Exchange(ref held, 0) == 0 || store.handle.IsClosed)
                return;
            store.Check(Native.rv_hold_files(store.handle, 0, out var error), error, "Releasing the page store's files",
                writing: false);
        }
    }
}
