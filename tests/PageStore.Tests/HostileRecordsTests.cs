using RecoveryVfs.PageStore.Follow;
using RecoveryVfs.PageStore.Pages;
using RecoveryVfs.PageStore.Replicas;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Writing;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.Read;
using Record = RecoveryVfs.RecoveryLog.Records.Record;

namespace RecoveryVfs.PageStore.Tests;

/// <summary>
/// What a remote's records may make a restorer write: a twentieth of what was free stays free, whatever they say.
/// </summary>
public sealed class HostileRecordsTests : IDisposable
{
    const int PagesClaimed = 200_000;
    const long FreeBytes = 256 << 20;

    readonly TempDirectory temp = new();
    readonly DirectoryPlaces places = new();

    public void Dispose()
    {
        places.Dispose();
        temp.Dispose();
    }

    [Fact]
    public async Task A_megabyte_of_records_that_claims_gigabytes_of_zeros_does_not_fill_the_disk()
    {
        var place = await places.NewAsync();
        Ship(place);
        // 5 bytes a page of 64 KB: 12 GiB.
        CraftedRemote.EditRecords(new Uri(place.Url).LocalPath, (in Record record) =>
            record.Kind == RecordKind.PageCommit ? Zeros(PageCommit.Read(record).Database) : null);
        var told = FreeBytes;
        // As if each step between two questions had been written; nothing here is in fact, beyond some spill.
        var disk = new TroubledDisk { Free = () => told -= RecoveryLog.Disk.DiskReserve.StepBytes };
        var into = new StoreOptions
        {
            Directory = Path.Combine(temp.Path, "restored"),
            Disk = disk,
            PageCacheBytes = 1 << 20,
            PendingBytes = 1 << 20
        };
        await using var objects = place.Open();
        // Without hints, so that all records count.
        var plan = await RestorePlanner.PlanAsync(new RemoteContext { Store = objects }, RestoreTarget.Newest,
            hintsLsn: 0);
        var refused = await Assert.ThrowsAsync<RecoveryException>(() => StoreRestore.RestoreAsync(plan, into));
        Assert.Equal(RecoveryError.Full, refused.Error);
        Assert.Contains("are left to others", refused.Message);
        Assert.InRange(told, 0, FreeBytes / 20);
        Assert.False(Directory.Exists(into.Directory));
    }

    [Fact]
    public async Task What_is_to_be_fetched_is_compared_with_the_room_before_any_of_it_comes()
    {
        var place = await places.NewAsync();
        Ship(place);
        var into = new StoreOptions
        {
            Directory = Path.Combine(temp.Path, "restored"),
            Disk = new TroubledDisk { Free = () => 100 }
        };
        var refused = await Assert.ThrowsAsync<RecoveryException>(() => place.RestoreAsync(into));
        Assert.Equal(RecoveryError.Full, refused.Error);
        Assert.Contains("are to be fetched, and 100 are free", refused.Message);
    }

    [Fact]
    public async Task A_follower_stands_still_before_such_records_fill_its_disk()
    {
        var place = await places.NewAsync();
        Ship(place);
        CraftedRemote.EditRecords(new Uri(place.Url).LocalPath, (in Record record) =>
            record.Kind == RecordKind.PageCommit ? Zeros(PageCommit.Read(record).Database) : null);
        var free = FreeBytes;
        var disk = new TroubledDisk { Free = () => Interlocked.Add(ref free, -RecoveryLog.Disk.DiskReserve.StepBytes) };
        var options = new FollowerOptions
        {
            Url = place.Url,
            Store = new StoreOptions
            {
                Directory = Path.Combine(temp.Path, "follower"),
                Disk = disk,
                PageCacheBytes = 1 << 20,
                PendingBytes = 1 << 20,
            },
        };
        // Without hints, so that all records count.
        Directory.Delete(Path.Combine(new Uri(place.Url).LocalPath, "hints"), recursive: true);
        await using var follower = await Follower.StartAsync(options);
        await follower.WhenAsync(s => s.Phase == FollowerPhase.Interrupted && s.LastError?.Error == RecoveryError.Full)
            .WaitAsync(TimeSpan.FromMinutes(2));
        Assert.Contains("are left to others", follower.State.LastError!.Message);
    }

    /// <summary>
    /// A page size that is none would be copied into a cache whose pages are smaller; a size that is claimed and not
    /// there would be gone through page by page.
    /// </summary>
    [Theory]
    [InlineData(65535, 65535)]
    [InlineData(5000, 5000)]
    [InlineData(513, 5130)]
    [InlineData(256, 2560)]
    [InlineData(0, 4096)]
    [InlineData(512, 1L << 42)]
    [InlineData(65536, long.MaxValue)]
    public async Task Records_of_databases_that_cannot_be_are_refused_by_every_reader(int pageSize, long sizeBytes)
    {
        var place = await places.NewAsync();
        Ship(place);
        CraftedRemote.EditRecords(new Uri(place.Url).LocalPath, (in Record record) =>
            record.Kind == RecordKind.PageCommit
                ? Noise(PageCommit.Read(record).Database, pageSize, sizeBytes)
                : null);
        await using var objects = place.Open();
        var plan = await RestorePlanner.PlanAsync(new RemoteContext { Store = objects }, RestoreTarget.Newest,
            hintsLsn: 0);
        var into = new StoreOptions { Directory = Path.Combine(temp.Path, "restored") };
        var refused = await Assert.ThrowsAsync<RecoveryException>(() => StoreRestore.RestoreAsync(plan, into));
        Assert.Equal(RecoveryError.Corrupt, refused.Error);
        Assert.Contains($"claims pages of {pageSize} bytes", refused.Message);
    }

    [Fact]
    public async Task The_largest_size_that_a_database_can_have_costs_what_is_there()
    {
        var place = await places.NewAsync();
        Ship(place);
        // Each commit has one page, of a database of 4 billion; every other one cuts it to that page again.
        var commits = 0;
        CraftedRemote.EditRecords(new Uri(place.Url).LocalPath, (in Record record) =>
            record.Kind == RecordKind.PageCommit
                ? Noise(PageCommit.Read(record).Database, 512, commits++ % 2 == 0 ? 512L * (uint.MaxValue - 1) : 512)
                : null);
        await using var objects = place.Open();
        var plan = await RestorePlanner.PlanAsync(new RemoteContext { Store = objects }, RestoreTarget.Newest,
            hintsLsn: 0);
        var into = new StoreOptions { Directory = Path.Combine(temp.Path, "restored"), PageCacheBytes = 1 << 20 };
        await StoreRestore.RestoreAsync(plan, into).WaitAsync(TimeSpan.FromMinutes(2));
        Assert.True(commits > 2);
        using var store = Store.Open(into);
        Assert.Empty(store.Verify(null, default));
    }

    /// <summary>VACUUM does that: it cuts off all that it does not need.</summary>
    [Fact]
    public async Task Cutting_a_database_that_claims_the_largest_size_costs_what_is_there()
    {
        var place = await places.NewAsync();
        Ship(place);
        CraftedRemote.EditRecords(new Uri(place.Url).LocalPath, (in Record record) =>
            record.Kind == RecordKind.PageCommit
                ? Noise(PageCommit.Read(record).Database, 512, 512L * (uint.MaxValue - 1))
                : null);
        await using var objects = place.Open();
        var plan = await RestorePlanner.PlanAsync(new RemoteContext { Store = objects }, RestoreTarget.Newest,
            hintsLsn: 0);
        var into = new StoreOptions { Directory = Path.Combine(temp.Path, "restored"), PageCacheBytes = 1 << 20 };
        await StoreRestore.RestoreAsync(plan, into).WaitAsync(TimeSpan.FromMinutes(2));
        using var store = Store.Open(into);
        var database = store.Databases.First(d => d.Current.PageSize == 512);
        await Task.Run(() =>
        {
            using var overlay = store.BeginOverlay(database, database.Current);
            overlay.Truncate(512);
            store.Commit([overlay], durable: false);
        }).WaitAsync(TimeSpan.FromMinutes(2));
        Assert.Equal(512, database.Current.SizeBytes);
        Assert.Empty(store.Verify(null, default));
    }

    /// <summary>A commit of one page, with its right checksum.</summary>
    static byte[] Noise(uint database, int pageSize, long sizeBytes)
    {
        var page = new byte[Math.Max(1, pageSize)];
        new Random(pageSize).NextBytes(page);
        var body = new List<byte>(new byte[PageCommitFormat.HeaderBytes]) { 1, (byte)PageForm.Whole };
        for (var length = page.Length; ; length >>= 7)
        {
            body.Add((byte)(length < 128 ? length : (length & 127) | 128));
            if (length < 128) break;
        }
        body.AddRange(page);
        var bytes = body.ToArray();
        PageCommitFormat.WriteHeader(bytes, database, (uint)pageSize, (ulong)sizeBytes,
            PageCommitFormat.HashOf(1, page), PageCommitFlags.LastPart, 1);
        return bytes;
    }

    void Ship(RemotePlace place)
    {
        using var writer =
            Store.Open(new StoreOptions { Directory = Path.Combine(temp.Path, "writer"), Remote = place.Options });
        var (random, model) = (new Random(1), new SortedDictionary<string, byte[]>(StringComparer.Ordinal));
        for (var i = 0; i < 5; i++) StoreTests.Transaction(random, writer, model);
        writer.SyncRemote();
    }

    static byte[] Zeros(uint database)
    {
        var body = new List<byte>(new byte[PageCommitFormat.HeaderBytes]);
        for (var page = 0; page < PagesClaimed; page++)
            // The next page, zeros, 65,536 bytes.
            body.AddRange([1, (byte)PageForm.Zeros, 0x80, 0x80, 4]);
        var bytes = body.ToArray();
        PageCommitFormat.WriteHeader(bytes, database, PageCommitFormat.MaxPageBytes,
            (ulong)PagesClaimed * PageCommitFormat.MaxPageBytes, 0, PageCommitFlags.LastPart | PageCommitFlags.Rebase,
            PagesClaimed);
        return bytes;
    }
}
