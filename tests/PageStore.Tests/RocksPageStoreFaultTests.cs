using RecoveryVfs.PageStore.Interop;
using RecoveryVfs.PageStore.Rocks;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.PageStore.Tests;

/// <summary>What happens when the disk does not do what it should.</summary>
public sealed class RocksPageStoreFaultTests : IDisposable
{
    readonly TempDirectory temp = new();
    readonly History history = new(seed: 11);

    public void Dispose() => temp.Dispose();

    (RocksPageStore Store, RecordedFiles Files) Open(IFileRecorder? recorder = null)
    {
        var files = new RecordedFiles(recorder, faults: true);
        return (RocksPageStore.Open(new() { Directory = temp.Path, Files = files }), files);
    }

    void CheckReopened(ulong atLeast)
    {
        using var store = RocksPageStore.Open(new() { Directory = temp.Path });
        Assert.True(store.Applied >= atLeast, $"{store.Applied} < {atLeast}");
        Assert.Equal(store.Applied, store.PersistedApplied);
        history.Check(store);
    }

    [Theory]
    [InlineData(nameof(FaultOperations.Write), ".blob")]
    [InlineData(nameof(FaultOperations.Write), ".sst")]
    [InlineData(nameof(FaultOperations.Write), "MANIFEST")]
    [InlineData(nameof(FaultOperations.Open), ".blob")]
    [InlineData(nameof(FaultOperations.Sync), ".sst")]
    [InlineData(nameof(FaultOperations.Write), "")]
    public void A_full_disk_fails_writes_until_there_is_space_and_then_they_go_on(string operations, string files)
    {
        var (store, disk) = Open();
        using (store)
        {
            history.WriteTo(store, 20);
            store.Flush();
            history.WriteTo(store, 30);
            history.Check(store);
            disk.Fail(Enum.Parse<FaultOperations>(operations), files, FaultError.Enospc);
            for (var again = 0; again < 3; again++)
            {
                var error = Assert.Throws<RecoveryException>(store.Flush);
                Assert.Equal(RecoveryError.Full, error.Error);
                Assert.Contains("Free some space", error.Message);
                Assert.Equal(20ul, store.PersistedApplied);
                history.Check(store); // reads go on
            }
            var refused = Assert.Throws<RecoveryException>(() => history.Write(store, 31));
            Assert.Equal(RecoveryError.Full, refused.Error);
            Assert.Equal(30ul, store.Applied);

            disk.Heal();
            history.WriteTo(store, 40); // resumes by itself
            history.Check(store);
            store.Flush();
            Assert.Equal(40ul, store.PersistedApplied);
            history.Check(store);
        }
        CheckReopened(40);
    }

    /// <summary>RocksDB's way back from a full disk (Resume) lifts everybody's hold on its files.</summary>
    [Fact]
    public void Files_that_are_held_stay_while_the_store_comes_back_from_a_full_disk()
    {
        var (store, disk) = Open();
        string[] Files() => Directory.GetFiles(temp.Path, "*.blob");
        using (store)
        {
            history.WriteTo(store, 100);
            store.Flush();
            store.CollectGarbage(default);
            using (store.HoldFiles())
            {
                var held = Files();
                Assert.NotEmpty(held);
                // All of them are garbage then.
                history.WriteTo(store, 800);
                store.Flush();
                store.Compact(default);
                disk.Fail(FaultOperations.Write, ".blob", FaultError.Enospc);
                history.WriteTo(store, 805);
                Assert.Equal(RecoveryError.Full, Assert.Throws<RecoveryException>(store.Flush).Error);
                Assert.Empty(held.Except(Files()));
                disk.Heal();
                history.WriteTo(store, 810); // resumes by itself
                store.Flush();
                Assert.Empty(held.Except(Files()));
            }
            Assert.Equal(store.Statistics()["blob_files"], Files().Length);
        }
        CheckReopened(810);
    }

    [Fact]
    public void A_refused_batch_is_whole_and_can_be_applied_later()
    {
        var (store, disk) = Open();
        using (store)
        using (var batch = store.CreateBatch())
        {
            history.WriteTo(store, 5);
            disk.Fail(FaultOperations.Write, ".blob", FaultError.Enospc);
            Assert.Throws<RecoveryException>(store.Flush);
            batch.Put(1, 999, [9]);
            var size = batch.SizeBytes;
            for (var again = 0; again < 2; again++)
            {
                Assert.Throws<RecoveryException>(() => store.Apply(batch, 6));
                Assert.Equal(size, batch.SizeBytes);
            }
            Assert.Null(store.Get(1, 999));
            disk.Heal();
            store.Apply(batch, 6);
            Assert.Equal([9], store.Get(1, 999));
            Assert.Equal(6ul, store.Applied);
        }
    }

    [Theory]
    [InlineData(nameof(FaultOperations.Sync), ".blob", RecoveryError.IoSync)]
    [InlineData(nameof(FaultOperations.Sync), ".sst", RecoveryError.IoSync)]
    [InlineData(nameof(FaultOperations.Sync), "MANIFEST", RecoveryError.IoSync)]
    [InlineData(nameof(FaultOperations.Write), ".blob", RecoveryError.IoWrite)]
    [InlineData(nameof(FaultOperations.Write), "MANIFEST", RecoveryError.IoWrite)]
    public void After_a_failed_write_or_sync_nothing_is_written_until_the_store_is_reopened(string operations,
        string files, RecoveryError expected)
    {
        var (store, disk) = Open();
        using (store)
        {
            history.WriteTo(store, 20);
            store.Flush();
            history.WriteTo(store, 30);
            disk.Fail(Enum.Parse<FaultOperations>(operations), files, FaultError.Eio, times: 1);
            var error = Assert.Throws<RecoveryException>(store.Flush);
            Assert.Equal(expected, error.Error);
            Assert.Contains("reopen", error.Message);
            disk.Heal();
            Assert.Throws<RecoveryException>(store.Flush);
            Assert.Throws<RecoveryException>(() => history.Write(store, 31));
            Assert.Equal(20ul, store.PersistedApplied);
            history.Check(store);
        }
        CheckReopened(20);
    }

    [Fact]
    public void A_failed_read_is_reported_and_the_next_one_works()
    {
        var (store, disk) = Open();
        using (store)
        {
            history.WriteTo(store, 20);
            store.Flush();
            var page = store.ScanAll(1)[0].Page;
            disk.Fail(FaultOperations.Read, ".blob", FaultError.Eio, times: 1);
            var error = Assert.Throws<RecoveryException>(() => store.Get(1, page));
            Assert.Equal(RecoveryError.IoRead, error.Error);
            Assert.Contains(".blob", error.Message);
            disk.Fail(FaultOperations.Read, ".blob", FaultError.Eio, times: 1);
            Assert.Equal(RecoveryError.IoRead, Assert.Throws<RecoveryException>(() => store.ScanAll(1)).Error);
            history.Check(store);
        }
    }

    [Fact]
    public void Too_many_open_files_say_so()
    {
        var (store, _) = Open();
        using (store)
        {
            history.WriteTo(store, 20);
            store.Flush();
        }
        var files = new RecordedFiles(null, faults: true);
        files.Fail(FaultOperations.Open, ".sst", FaultError.Emfile);
        var error = Assert.Throws<RecoveryException>(()
            => RocksPageStore.Open(new() { Directory = temp.Path, Files = files }));
        Assert.Equal(RecoveryError.CannotOpen, error.Error);
        Assert.Contains("ulimit", error.Message);
    }

    [Fact]
    public void A_store_that_is_open_is_busy_for_others()
    {
        var (store, _) = Open();
        using (store)
        {
            var error = Assert.Throws<RecoveryException>(() => RocksPageStore.Open(new() { Directory = temp.Path }));
            Assert.Equal(RecoveryError.Busy, error.Error);
        }
        CheckReopened(0);
    }

    [Fact]
    public void A_directory_that_cannot_be_made_is_named()
    {
        File.WriteAllText(temp["file"], "");
        var error = Assert.Throws<RecoveryException>(()
            => RocksPageStore.Open(new() { Directory = Path.Combine(temp["file"], "pages") }));
        Assert.Equal(RecoveryError.CannotOpen, error.Error);
        Assert.Contains(temp["file"], error.Message);
    }

    [Fact]
    public void What_the_recorder_refuses_fails_with_its_own_error()
    {
        var recorder = new Fence();
        var (store, _) = Open(recorder);
        using (store)
        {
            history.WriteTo(store, 20);
            recorder.Fenced = true;
            var error = Assert.Throws<RecoveryException>(store.Flush);
            Assert.Equal(RecoveryError.Fenced, error.Error);
            Assert.Contains("epoch 7", error.Message);
            Assert.Throws<RecoveryException>(() => history.Write(store, 21));
            history.Check(store);
        }
    }

    sealed class Fence : IFileRecorder
    {
        public volatile bool Fenced;

        void Check()
        {
            if (Fenced)
                throw new RecoveryException(RecoveryError.Fenced, "A writer with epoch 7 has taken over.");
        }

        public void Created(string name) => Check();
        public void Appended(string name, ReadOnlySpan<byte> bytes, long sizeBytes, uint crc32c) => Check();
        public void Sealed(string name, long sizeBytes, uint crc32c) => Check();
        public void Truncated(string name, long sizeBytes) => Check();
        public void Renamed(string name, string newName) => Check();
        public void Linked(string name, string otherName) => Check();
        public void Deleted(string name) => Check();
    }
}
