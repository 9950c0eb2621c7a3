using RecoveryVfs.PageStore.Replicas;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Writing;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.Read;

namespace RecoveryVfs.PageStore.Tests;

/// <summary>
/// What is too large for memory goes to the disk that is restored to, which has room, and not to another one.
/// </summary>
public sealed class RestoreSpoolTests : IDisposable
{
    const int PageBytes = 4096, Pages = (RemoteSegment.MemoryBytes / PageBytes) + 1000;

    readonly TempDirectory temp = new();
    readonly DirectoryPlaces places = new();

    public void Dispose()
    {
        places.Dispose();
        temp.Dispose();
    }

    [Fact]
    public async Task A_segment_of_one_huge_commit_is_spooled_where_it_is_restored_to()
    {
        var place = await places.NewAsync();
        using (var writer =
            Store.Open(new StoreOptions { Directory = Path.Combine(temp.Path, "writer"), Remote = place.Options }))
        {
            Commit(writer, Pages);
            writer.WaitRestorable(writer.Lsn.Last);
            // The newest segment is small: it is fetched when the restore is planned.
            Commit(writer, 1);
            writer.WaitRestorable(writer.Lsn.Last);
        }
        await using var objects = place.Open();
        var context = new RemoteContext { Store = objects, OpenSpool = () => throw new IOException("not there") };
        var plan = await RestorePlanner.PlanAsync(context, RestoreTarget.Newest, hintsLsn: 0);
        Assert.Contains(plan.Segments, s => s.SizeBytes > RemoteSegment.MemoryBytes);
        var into = new StoreOptions { Directory = Path.Combine(temp.Path, "restored") };
        var restored = await StoreRestore.RestoreAsync(plan, into);
        Assert.Equal(["a.db"], restored.Databases);
    }

    [Fact]
    public void Spools_are_on_the_disk_of_a_directory_that_is_still_to_be_made()
    {
        using var spool = (FileStream)RemoteContext.SpoolsIn(Path.Combine(temp.Path, "not", "yet"))();
        var link = File.ResolveLinkTarget($"/proc/self/fd/{spool.SafeFileHandle.DangerousGetHandle()}",
            returnFinalTarget: false)!;
        Assert.StartsWith(temp.Path + "/", link.FullName);
    }

    /// <summary>Whoever may look into the directory finds nothing there.</summary>
    [Fact]
    public void Spools_have_no_name_and_are_their_owners_alone()
    {
        using var spool = (FileStream)RemoteContext.SpoolsIn(temp.Path)();
        spool.Write(new byte[100_000]);
        spool.Flush();
        Assert.Empty(Directory.EnumerateFileSystemEntries(temp.Path));
        var node = FileNode.Of(spool.SafeFileHandle, "the spool");
        Assert.Equal((0x180, 100_000), (node.Rights, node.SizeBytes));
    }

    static void Commit(Store writer, int pages)
    {
        var database = writer.Find("a.db") ?? writer.Create("a.db");
        using var overlay = writer.BeginOverlay(database, database.Current);
        var (random, page) = (new Random(pages), new byte[PageBytes]);
        for (var number = 0; number < pages; number++)
        {
            random.NextBytes(page);
            if (number == 0) "SQLite format 3\0\x10\0"u8.CopyTo(page);
            overlay.Write((long)number * PageBytes, page);
        }
        writer.Commit([overlay], durable: true);
    }
}
