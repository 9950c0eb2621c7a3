using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Remote.Formats;

namespace RecoveryVfs.RecoveryLog.Remote.Blocks;

/// <summary>
/// One sealed file: some of its blocks are in a sparse file here, all of them in the remote. May be used by many
/// threads at once. Errors are RecoveryExceptions that name the object and the range; the next read tries again.
/// </summary>
internal sealed class BlockFile : IDisposable
{
    /// <summary>
    /// So often a read finds that another process has given its blocks back, and fetches them again. Then it takes the
    /// bytes as they come.
    /// </summary>
    const int ReadsMax = 8;

    readonly BlockCache cache;
    readonly SparseFile file;
    readonly BlockRecord record;
    readonly BlockFetching fetching;
    readonly string path, recordPath;
    readonly Lazy<int[]> used, readers;
    readonly uint[]? seen;
    readonly ReadingOn readingOn;

    BlockFile(BlockCache cache, Extent extent, SparseFile file, BlockRecord record, string path, string recordPath)
    {
        (this.cache, Extent, this.file, this.record) = (cache, extent, file, record);
        (this.path, this.recordPath) = (path, recordPath);
        fetching = new BlockFetching(cache, extent, file, record);
        readingOn = new ReadingOn(cache.Options.BlocksPerGet);
        used = new(() => new int[record.Count]);
        readers = new(() => new int[record.Count]);
        if (cache.Options.BudgetBytes == long.MaxValue) return;
        seen = new uint[record.Count];
        for (var i = 0; i < seen.Length; i++) seen[i] = record.Number(i);
    }

    /// <summary>What it holds.</summary>
    public Extent Extent { get; }

    /// <summary>Bytes that are on disk.</summary>
    public long PresentBytes => Math.Min((long)record.Here << record.Shift, Extent.SizeBytes);

    /// <summary>Whether all of it is on disk now, verified.</summary>
    public bool IsComplete => record.Count == 0 || record.AreHere(0, record.Count - 1);

    /// <summary>Whether a range is on disk now, as far as the file has it.</summary>
    public bool IsHere(long offset, long length) =>
        !TryRange(offset, length, out _, out var first, out var last) || record.AreHere(first, last);

    internal static BlockFile Open(BlockCache cache, Extent extent, string path, string recordPath)
    {
        var changes = cache.Options.BeforeChange;
        var record = BlockRecord.Open(recordPath, extent, cache.Options, out var isNew);
        SparseFile? file = null;
        try
        {
            file = SparseFile.TryOpen(path, changes);
            if (file is not null && isNew)
            {
                _ = Posix.Unlink(recordPath);
                throw new RecoveryException(RecoveryError.Invalid,
                    $"{path} is a whole file: it has no record of blocks.", "Read it as it is")
                { Path = path };
            }
            if (file?.SizeBytes != extent.SizeBytes) file = Begin(file, record, path, extent.SizeBytes, changes);
            return new BlockFile(cache, extent, file, record, path, recordPath);
        }
        catch
        {
            file?.Dispose();
            record.Dispose();
            throw;
        }
    }

    /// <summary>A file that is not there, or was not made to the end: nothing of it is here.</summary>
    static SparseFile Begin(SparseFile? file, BlockRecord record, string path, long sizeBytes, Action<string>? changes)
    {
        using var change = record.Change();
        file ??= SparseFile.TryCreate(path, changes) ?? SparseFile.TryOpen(path, changes)
            ?? throw DiskErrors.From(DiskOperation.Open, path, DiskErrors.ENOENT);
        // Another process may have come first.
        if (file.SizeBytes == sizeBytes) return file;
        for (var i = 0; i < record.Count; i++)
            if (record.StateOf(i) != BlockState.Absent) change.Set(i, BlockState.Absent);
        file.SetSize(sizeBytes);
        return file;
    }

    /// <summary>
    /// Reads bytes; those that are not here are fetched first. Returns fewer than asked for only at the file's end. For
    /// threads that cannot await; what is here takes one call of the system a block, and allocates nothing.
    /// </summary>
    public int Read(long offset, Span<byte> to)
    {
        if (!TryRange(offset, to.Length, out var bytes, out var first, out var last)) return 0;
        Hold(first, last, 1);
        try
        {
            for (var tries = 0; tries < ReadsMax; tries++)
            {
                if (!record.AreHere(first, last)) Wait(first, last, Reach(first, last));
                if (TryReadHere(offset, to[..bytes])) return bytes;
            }
            Task.Run(() => fetching.FetchPastAsync(offset, bytes, default)).GetAwaiter().GetResult()
                .Span.CopyTo(to);
            return bytes;
        }
        finally
        {
            Hold(first, last, -1);
        }
    }

    /// <summary>On other threads: this one may be the only one that its context has.</summary>
    void Wait(int first, int last, (int From, int Until) reach) =>
        Task.Run(() => fetching.EnsureAsync(first, last, reach, default).AsTask()).GetAwaiter().GetResult();

    /// <summary>What a miss asks for besides. What is bounded holds what was asked for, and what comes next.</summary>
    (int From, int Until) Reach(int first, int last)
    {
        var until = readingOn.Until(first, last);
        return until > last || cache.Options.BudgetBytes != long.MaxValue
            ? (first, until)
            : Neighbours.Of(record, first, last);
    }

    /// <summary>The same for those who can await.</summary>
    public async ValueTask<int> ReadAsync(long offset, Memory<byte> to, CancellationToken cancellation = default)
    {
        if (!TryRange(offset, to.Length, out var bytes, out var first, out var last)) return 0;
        Hold(first, last, 1);
        try
        {
            for (var tries = 0; tries < ReadsMax; tries++)
            {
                if (!record.AreHere(first, last))
                    await fetching.EnsureAsync(first, last, Reach(first, last), cancellation);
                if (TryReadHere(offset, to.Span[..bytes])) return bytes;
            }
            (await fetching.FetchPastAsync(offset, bytes, cancellation)).CopyTo(to);
            return bytes;
        }
        finally
        {
            Hold(first, last, -1);
        }
    }

    /// <summary>Brings a range in. Many may be asked for at once; they share requests.</summary>
    public async ValueTask FetchAsync(long offset, long length, CancellationToken cancellation = default)
    {
        if (!TryRange(offset, length, out _, out var first, out var last)) return;
        // In turns that a small budget has room for, rather than all of a large file at once.
        var turn = cache.Options.BlocksPerGet * cache.Options.Gets;
        for (var from = first; from <= last; from += turn)
        {
            var to = Math.Min(last, from + turn - 1);
            Hold(from, to, 1);
            try { await fetching.EnsureAsync(from, to, (from, to), cancellation); }
            finally { Hold(from, to, -1); }
        }
    }

    /// <summary>Brings all of it in.</summary>
    public ValueTask FillAsync(CancellationToken cancellation = default) =>
        FetchAsync(0, Extent.SizeBytes, cancellation);

    /// <summary>
    /// Makes it an ordinary file, durable and whole, and takes its record away; false, and nothing is changed, when
    /// something of it is not here. The caller syncs the record's directory.
    /// </summary>
    public bool Settle()
    {
        using (var change = record.Change())
        {
            if (!IsComplete) return false;
            change.Settle();
        }
        file.Sync();
        cache.Options.BeforeChange?.Invoke("settle");
        _ = Posix.Unlink(recordPath);
        return true;
    }

    /// <summary>Takes the file and its record away.</summary>
    public void Remove()
    {
        cache.Options.BeforeChange?.Invoke("remove");
        _ = Posix.Unlink(path);
        cache.Options.BeforeChange?.Invoke("remove");
        _ = Posix.Unlink(recordPath);
        Dispose();
    }

    /// <summary>
    /// Tells of each block that is here and that nobody reads, and when it was used last. One that came since the last
    /// look is used now, whoever fetched it: what others read that is here already is not known.
    /// </summary>
    internal void ListUnused(int now, Action<int, int> tell)
    {
        if (record.Here == 0 || seen is null) return;
        for (var i = 0; i < record.Count; i++)
        {
            var number = record.Number(i);
            if (BlockRecord.StateOf(number) == BlockState.Absent) continue;
            if (seen[i] != number) (seen[i], used.Value[i]) = (number, now);
            if (readers.Value[i] == 0) tell(i, used.Value[i]);
        }
    }

    /// <summary>A block's size.</summary>
    internal long BytesOf(int block)
        => Math.Min(1L << record.Shift, Extent.SizeBytes - ((long)block << record.Shift));

    /// <summary>
    /// Gives a block's room back, unless it is being read; <paramref name="cannot"/>: this file system has no holes.
    /// </summary>
    internal bool GiveBack(int block, out bool cannot)
    {
        cannot = false;
        using var change = record.Change();
        if (record.IsSettled || record.StateOf(block) == BlockState.Absent
            || Volatile.Read(ref readers.Value[block]) > 0)
            return false;
        // In this order: whoever reads meanwhile finds another state than before, and does not believe what it read.
        change.Set(block, BlockState.Absent);
        cannot = !file.Punch((long)block << record.Shift, BytesOf(block));
        return true;
    }

    bool TryRange(long offset, long length, out int bytes, out int first, out int last)
    {
        var end = Math.Min(Extent.SizeBytes, offset + Math.Min(length, Extent.SizeBytes));
        (bytes, first, last) = (0, 0, 0);
        if (offset < 0 || end <= offset) return false;
        bytes = (int)Math.Min(int.MaxValue, end - offset);
        first = (int)(offset >> record.Shift);
        last = (int)(end - 1 >> record.Shift);
        return true;
    }

    /// <summary>What is held is not given back by this cache.</summary>
    void Hold(int first, int last, int more)
    {
        var use = cache.Use();
        for (var i = first; i <= last; i++)
        {
            Interlocked.Add(ref readers.Value[i], more);
            used.Value[i] = use;
        }
    }

    /// <summary>
    /// Reads what is here, block by block; false when one is not, or was not for a moment. Another process may give a
    /// block back at any time.
    /// </summary>
    bool TryReadHere(long offset, Span<byte> to)
    {
        while (!to.IsEmpty)
        {
            var block = (int)(offset >> record.Shift);
            var part = to[..(int)Math.Min(to.Length, ((long)block + 1 << record.Shift) - offset)];
            var before = record.Number(block);
            if (BlockRecord.StateOf(before) != BlockState.Here) return false;
            Interlocked.MemoryBarrier();
            if (file.Read(offset, part) < part.Length)
                throw new RecoveryException(RecoveryError.IoRead,
                    $"{path} ends before {offset + part.Length}, though it was made with {Extent.SizeBytes} bytes.",
                    "Remove the directory, and open the remote again")
                { Path = path };
            Interlocked.MemoryBarrier();
            if (record.Number(block) != before) return false;
            offset += part.Length;
            to = to[part.Length..];
        }
        return true;
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        cache.Closed(this);
        record.Dispose();
        file.Dispose();
    }
}
