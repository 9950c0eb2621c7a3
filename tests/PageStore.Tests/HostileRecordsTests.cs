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
        Assert.Contains("of which a restore leaves", refused.Message);
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
