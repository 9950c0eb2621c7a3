using RecoveryVfs.PageStore.Pages;

namespace RecoveryVfs.PageStore.Rocks;

/// <summary>
/// Pages that are all in memory, and in RocksDB's files behind: what a store with <c>pages=memory</c> has as soon as it
/// ships to a remote, or was restored from one. Reads are answered by memory, and what is applied is applied to both;
/// so its files, hints and log are those of any other store.
/// </summary>
internal sealed class MirroredPages : IPageStore
{
    const int BatchBytes = 8 << 20;

    readonly MemoryPageStore memory = new();

    /// <summary>Takes the files over, and brings all that they have into memory.</summary>
    public MirroredPages(RocksPageStore files)
    {
        Files = files;
        try
        {
            Load();
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>What is in files.</summary>
    public RocksPageStore Files { get; }

    /// <inheritdoc/>
    /// <remarks>What is in both: memory, which readers see, gets a batch last.</remarks>
    public ulong Applied => memory.Applied;

    /// <inheritdoc/>
    public ulong PersistedApplied => Files.PersistedApplied;

    /// <inheritdoc/>
    public long UnflushedBytes => Files.UnflushedBytes;

    void Load()
    {
        using var batch = memory.CreateBatch();
        for (uint? database = 0; (database = Files.NextDatabase(database.Value + 1)) is { } found;)
            Files.Scan(found, 0, uint.MaxValue, null, (page, value) =>
            {
                batch.Put(found, page, value);
                if (batch.SizeBytes >= BatchBytes) memory.Apply(batch, null);
                return true;
            });
        memory.Apply(batch, Files.Applied);
        memory.Flush();
    }

    /// <inheritdoc/>
    public int Read(uint database, uint page, IPageSnapshot? snapshot, Span<byte> destination) =>
        memory.Read(database, page, snapshot, destination);

    /// <inheritdoc/>
    public IPageSnapshot Snapshot() => memory.Snapshot();

    /// <inheritdoc/>
    public void Scan(uint database, uint firstPage, uint lastPage, IPageSnapshot? snapshot, PageScanned onPage) =>
        memory.Scan(database, firstPage, lastPage, snapshot, onPage);

    /// <inheritdoc/>
    public IPageBatch CreateBatch() => new Batch(memory.CreateBatch(), Files.CreateBatch());

    /// <inheritdoc/>
    /// <remarks>The files first: what they refuse is in neither.</remarks>
    public void Apply(IPageBatch batch, ulong? applied)
    {
        var both = (Batch)batch;
        Files.Apply(both.ForFiles, applied);
        memory.Apply(both.ForMemory, applied);
    }

    /// <inheritdoc/>
    public void Flush()
    {
        Files.Flush();
        memory.Flush();
    }

    /// <inheritdoc/>
    public bool CollectGarbage(CancellationToken cancellation) => Files.CollectGarbage(cancellation);

    /// <inheritdoc/>
    public bool Compact(CancellationToken cancellation) => Files.Compact(cancellation);

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, long> Statistics() =>
        Files.Statistics().Append(new("pages_in_memory", memory.Statistics()["pages"])).ToDictionary();

    /// <inheritdoc/>
    public void Dispose()
    {
        memory.Dispose();
        Files.Dispose();
    }

    sealed class Batch(IPageBatch forMemory, IPageBatch forFiles) : IPageBatch
    {
        public IPageBatch ForMemory => forMemory;

        public IPageBatch ForFiles => forFiles;

        public long SizeBytes => forFiles.SizeBytes;

        public void Put(uint database, uint page, ReadOnlySpan<byte> value)
        {
            forMemory.Put(database, page, value);
            forFiles.Put(database, page, value);
        }

        public void DeleteRange(uint database, uint firstPage, uint lastPage)
        {
            forMemory.DeleteRange(database, firstPage, lastPage);
            forFiles.DeleteRange(database, firstPage, lastPage);
        }

        public void Clear()
        {
            forMemory.Clear();
            forFiles.Clear();
        }

        public void Dispose()
        {
            forMemory.Dispose();
            forFiles.Dispose();
        }
    }
}
