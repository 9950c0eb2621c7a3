using System.Buffers.Binary;
using System.Collections.Concurrent;
using RecoveryVfs.PageStore.Pages;
using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Writing;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.Testing;

namespace RecoveryVfs.PageStore.Tests;

/// <summary>
/// What an opening costs where there are many databases and WALs: what the log has, not what there is.
/// </summary>
public sealed class ManyFilesTests : IDisposable
{
    const int Files = 150;

    readonly TempDirectory temp = new();

    public void Dispose() => temp.Dispose();

    StoreOptions Options(TroubledDisk? disk = null) => new()
    {
        Directory = temp["store"],
        PageCacheBytes = 1 << 20,
        WalBufferBytes = 0,
        Disk = disk ?? new TroubledDisk(),
    };

    [Fact]
    public void What_a_replay_wrote_is_synced_once_for_the_first_hints_and_not_while_opening()
    {
        using (var store = Store.Open(Options()))
        {
            var files = Enumerable.Range(0, Files).Select(i => store.OpenFile($"{i}.db-wal", create: true)!).ToList();
            store.Checkpoint();
            for (var round = 0; round < 3; round++)
                foreach (var file in files)
                {
                    var bytes = new byte[100];
                    BinaryPrimitives.WriteInt32LittleEndian(bytes, round);
                    file.Write(round * 100, bytes);
                }
            store.Sync();
            Killed.Copy(store, temp["store-copy"]);
            foreach (var file in files) file.Dispose();
        }
        Killed.Replace(temp["store"]);
        var synced = new ConcurrentBag<string>();
        var disk = new TroubledDisk
        {
            Synced = path =>
            {
                if (path.Contains("/files/", StringComparison.Ordinal)) synced.Add(path);
            },
        };
        using var opened = Store.Open(Options(disk));
        Assert.Empty(synced);
        opened.Checkpoint();
        Assert.Equal(Directory.EnumerateFiles(temp["store/files"]).Order(), synced.Order());
        Assert.Equal(Files, synced.Count);
        for (var i = 0; i < Files; i++)
        {
            using var file = opened.OpenFile($"{i}.db-wal", create: false)!;
            var bytes = new byte[400];
            Assert.Equal(300, file.Read(0, bytes));
            for (var round = 0; round < 3; round++)
                Assert.Equal(round, BinaryPrimitives.ReadInt32LittleEndian(bytes.AsSpan(round * 100)));
        }
    }

    /// <summary>
    /// Half of the files have records after the hints, in turns, and the others none: more than are kept open at once.
    /// </summary>
    [Fact]
    public void Each_file_is_opened_once_when_what_the_log_has_of_it_comes_together()
    {
        using (var store = Store.Open(Options()))
        {
            var files = Enumerable.Range(0, Files).Select(i => store.OpenFile($"{i}.db-wal", create: true)!).ToList();
            foreach (var file in files) file.Write(0, new byte[20_000]);
            store.Checkpoint();
            for (var i = 0; i < Files; i += 2)
            {
                files[i].Write(20_000, new byte[100]);
                files[i].Write(20_100, new byte[100]);
            }
            store.Sync();
            Killed.Copy(store, temp["store-copy"]);
            foreach (var file in files) file.Dispose();
        }
        Killed.Replace(temp["store"]);
        var opened = new ConcurrentDictionary<string, int>();
        var disk = new TroubledDisk
        {
            Opened = path =>
            {
                if (path.Contains("/files/", StringComparison.Ordinal)) opened.AddOrUpdate(path, 1, (_, n) => n + 1);
            },
        };
        using var again = Store.Open(Options(disk));
        var counts = opened.ToArray();
        Assert.Equal(Files, counts.Length);
        Assert.All(counts, file => Assert.True(file.Value == 1, $"{file.Key} was opened {file.Value} times"));
    }

    [Fact]
    public void The_version_of_a_database_is_read_when_it_is_used_first()
    {
        const uint Databases = 1000;
        var pages = new CountedPages();
        using (var batch = pages.CreateBatch())
        {
            var header = new byte[DatabaseHeader.SizeBytes];
            for (var id = 1u; id <= Databases; id++)
            {
                DatabaseHeader.Write(header, new DatabaseVersion(id, 4096, 4096, false, 7));
                batch.Put(id, 0, header);
            }
            pages.Apply(batch, Databases);
        }
        using var core = new StoreCore(Options(), pages, temp["spill"]);
        core.AdoptHints(new Hints
        {
            LogId = Guid.NewGuid(),
            Epoch = 1,
            Lsn = Databases,
            ReplayFrom = Databases + 1,
            NextFnode = 1,
            NextDatabaseId = Databases + 1,
            Files = [],
            Databases = [.. Enumerable.Range(1, (int)Databases).Select(i => new LiveDatabase((uint)i, $"{i}.db"))],
        });
        Assert.Equal(0, pages.Reads);
        var database = core.Catalog.Find("77.db")!;
        var pinned = database.Pin();
        Assert.Equal((77UL, 4096L, 7UL), (pinned.Lsn, pinned.SizeBytes, pinned.Checksum));
        Assert.Same(pinned, database.Current);
        database.Unpin(pinned);
        Assert.Equal(1, pages.Reads);
    }

    /// <summary>Pages in memory; how often they were read is counted.</summary>
    sealed class CountedPages : IPageStore
    {
        readonly MemoryPageStore pages = new();

        public int Reads;

        public int Read(uint database, uint page, IPageSnapshot? snapshot, Span<byte> destination)
        {
            Reads++;
            return pages.Read(database, page, snapshot, destination);
        }

        public ulong Applied => pages.Applied;
        public ulong PersistedApplied => pages.PersistedApplied;
        public long UnflushedBytes => pages.UnflushedBytes;
        public IPageSnapshot Snapshot() => pages.Snapshot();

        public void Scan(uint database, uint firstPage, uint lastPage, IPageSnapshot? snapshot, PageScanned onPage)
            => pages.Scan(database, firstPage, lastPage, snapshot, onPage);

        public IPageBatch CreateBatch() => pages.CreateBatch();
        public void Apply(IPageBatch batch, ulong? applied) => pages.Apply(batch, applied);
        public void Flush() => pages.Flush();
        public bool CollectGarbage(CancellationToken cancellation) => pages.CollectGarbage(cancellation);
        public bool Compact(CancellationToken cancellation) => pages.Compact(cancellation);
        public IReadOnlyDictionary<string, long> Statistics() => pages.Statistics();
        public void Dispose() => pages.Dispose();
    }
}
