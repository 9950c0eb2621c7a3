using RecoveryVfs.PageStore.Interop;
using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.PageStore.Rocks;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.PageStore.Tests;

/// <summary>
/// Pages whose place is known are read without RocksDB, and are the same pages, whatever RocksDB does to its files
/// meanwhile.
/// </summary>
public sealed class PlaceMapTests : IDisposable
{
    const int PageBytes = 4096;

    readonly TempDirectory directory = new();

    public void Dispose() => directory.Dispose();

    RocksPageStore Open()
        => RocksPageStore.Open(new RocksPageStoreOptions { Directory = directory["pages"], Recorder = new Nobody() });

    /// <summary>A page store with commits of a history in it, and the header of its database.</summary>
    RocksPageStore OpenNew(History history, params ReadOnlySpan<ulong> flushedAt)
    {
        if (Directory.Exists(directory["pages"])) Directory.Delete(directory["pages"], recursive: true);
        using (var store = Open())
        {
            var header = new byte[DatabaseHeader.SizeBytes];
            DatabaseHeader.Write(header, new DatabaseVersion(1, History.Pages * PageBytes, PageBytes, false, 0));
            store.Commit(null, batch => batch.Put(1, 0, header));
            foreach (var lsn in flushedAt)
            {
                history.WriteTo(store, lsn);
                store.Flush();
            }
        }
        return Open();
    }

    /// <summary>Reads until the places are known. They are learned on another thread.</summary>
    static void Learn(RocksPageStore store, uint page = 1)
    {
        var until = Environment.TickCount64 + 60_000;
        while (store.PlacedReads == 0 && Environment.TickCount64 < until) store.Get(1, page);
        Assert.NotEqual(0, store.PlacedReads);
    }

    [Fact, Trait(Seeds.Kind, Seeds.Random)]
    public void What_is_read_is_what_was_written_through_commits_cuts_compactions_and_collections() => Seeds.Run(4,
        random =>
    {
        var history = new History(random.Next(), PageBytes);
        using (var store = OpenNew(history, 10, 20, 40, 50, 70, 75, 90, 120))
        {
            Learn(store, FirstOf(store));
            history.Check(store);
            var placed = store.PlacedReads;
            Assert.InRange(placed, 100, long.MaxValue);
            using var before = store.Snapshot();
            for (var round = 0; round < 6; round++)
            {
                history.WriteTo(store, store.Applied + (ulong)random.Next(1, 5));
                using var between = store.Snapshot();
                history.Check(store);
                Step(random, store);
                history.Check(store);
                history.Check(store, between);
                history.Check(store, before);
            }
            Assert.InRange(store.PlacedReads, placed + 1, long.MaxValue);
        }
    });

    static uint FirstOf(RocksPageStore store) => store.ScanAll(1, 1)[0].Page;

    static void Step(Random random, RocksPageStore store)
    {
        switch (random.Next(4))
        {
            case 0: store.Flush(); break;
            case 1: store.CollectGarbage(default); break;
            case 2: store.Compact(default); break;
        }
    }

    [Fact]
    public async Task Readers_see_no_other_pages_while_files_are_rewritten()
    {
        var history = new History(7, PageBytes);
        using (var store = OpenNew(history, 300))
        {
            Learn(store, FirstOf(store));
            using var snapshot = store.Snapshot();
            var over = false;
            var readers = Enumerable.Range(0, 3).Select(_ => Task.Run(() =>
            {
                do history.Check(store, snapshot);
                while (!Volatile.Read(ref over));
            })).ToList();
            for (var round = 0; round < 8; round++)
            {
                history.WriteTo(store, store.Applied + 5);
                store.Flush();
                store.Compact(default);
            }
            Volatile.Write(ref over, true);
            await Task.WhenAll(readers);
            history.Check(store);
            // What RocksDB has deleted gives its space back.
            Assert.DoesNotContain(Directory.EnumerateFiles("/proc/self/fd")
                .Select(f => new FileInfo(f).LinkTarget ?? ""),
                target => target.StartsWith(directory.Path, StringComparison.Ordinal)
                    && target.EndsWith(".blob (deleted)", StringComparison.Ordinal));
        }
    }

    [Fact]
    public void Damage_is_reported_and_never_returned()
    {
        var history = new History(3, PageBytes);
        using (var store = OpenNew(history, 50))
        {
            var first = FirstOf(store);
            Learn(store, first);
            foreach (var blob in Directory.EnumerateFiles(directory["pages"], "*.blob"))
            {
                // In each page's blob, and nowhere in front of a header's length.
                var bytes = File.ReadAllBytes(blob);
                for (var at = 200; at < bytes.Length; at += 100) bytes[at] ^= 4;
                using var file = new FileStream(blob, FileMode.Open, FileAccess.Write, FileShare.ReadWrite);
                file.Write(bytes);
            }
            Assert.Equal(RecoveryError.Corrupt,
                Assert.Throws<RecoveryException>(() => store.Get(1, first + 20) ?? store.Get(1, first + 21)).Error);
        }
    }

    sealed class Nobody : IFileRecorder
    {
        public void Created(string name) { }
        public void Appended(string name, ReadOnlySpan<byte> bytes, long sizeBytes, uint crc32c) { }
        public void Sealed(string name, long sizeBytes, uint crc32c) { }
        public void Truncated(string name, long sizeBytes) { }
        public void Renamed(string name, string newName) { }
        public void Linked(string name, string otherName) { }
        public void Deleted(string name) { }
    }
}
