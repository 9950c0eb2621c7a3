using Microsoft.Data.Sqlite;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.Blocks;
using RecoveryVfs.RecoveryLog.Remote.Formats;

namespace RecoveryVfs.Cli.Tests;

/// <summary>The lists of blocks that a store's remote has: who ships, keeps, verifies and uses them.</summary>
public sealed class BlockListTests : IDisposable
{
    readonly string root = Directory.CreateTempSubdirectory("recovery-lists-").FullName;

    public BlockListTests()
    {
        SQLitePCL.Batteries_V2.Init();
        Recovery.Register();
        Directory.CreateDirectory(Place("data"));
    }

    public void Dispose()
    {
        Shipped.Close();
        Directory.Delete(root, recursive: true);
    }

    string Place(string name) => Path.Combine(root, name);

    string Remote => "file://" + Place("remote");

    SqliteConnection Application() =>
        Shipped.Open(Place("data"), "a.db", "&sync-interval=20&remote=" + Uri.EscapeDataString(Remote));

    static void Fill(SqliteConnection db, int rows) =>
        Shipped.Execute(db, "CREATE TABLE IF NOT EXISTS t(id INTEGER PRIMARY KEY, v);"
            + $"WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) "
            + "INSERT INTO t(v) SELECT randomblob(3000) FROM n; PRAGMA recovery_snapshot");

    /// <summary>A store of more than a megabyte, shipped and closed.</summary>
    void Ship()
    {
        using (var db = Application()) Fill(db, 500);
        Shipped.Close();
    }

    static RemoteHints Newest(string remote)
    {
        var path = Directory.GetFiles(Path.Combine(remote, "hints")).Order(StringComparer.Ordinal).First();
        return RemoteHintsFormat.Read(File.ReadAllBytes(path), "hints/" + Path.GetFileName(path));
    }

    /// <summary>Each large extent has a list that is its own, and nothing else in the remote looks like one.</summary>
    static List<Extent> Listed(string remote)
    {
        var extents = Newest(remote).Extents.Values.ToList();
        Assert.All(extents, e => Assert.Equal(e.SizeBytes > BlockList.ListlessBytes, e.HasList));
        var listed = extents.Where(e => e.HasList).ToList();
        Assert.NotEmpty(listed);
        foreach (var extent in listed)
        {
            var bytes = File.ReadAllBytes(Path.Combine(remote, extent.ListName));
            Assert.Equal(extent.List, ObjectHash.Of(bytes));
            Assert.Equal(extent.SizeBytes, BlockList.Read(bytes, extent, extent.ListName).SizeBytes);
        }
        return listed;
    }

    [Fact]
    public void A_writer_that_starts_again_knows_the_lists_of_what_was_shipped()
    {
        Ship();
        var first = Listed(Place("remote"));
        var written = first.Select(e => File.GetLastWriteTimeUtc(Path.Combine(Place("remote"), e.ListName))).ToList();
        for (var life = 0; life < 2; life++)
        {
            using (var db = Application()) Fill(db, 1);
            Shipped.Close();
            Assert.Superset(first.Select(e => e.Name).ToHashSet(),
                Listed(Place("remote")).Select(e => e.Name).ToHashSet());
        }
        Assert.Equal(written, first.Select(e => File.GetLastWriteTimeUtc(Path.Combine(Place("remote"), e.ListName))));
        // So does whoever takes the remote over.
        Recover.Run("restore", Remote, Place("other")).MustEndWith(0);
        using (var db = Shipped.Open(Place("other"), "a.db", "&remote=" + Uri.EscapeDataString(Remote))) Fill(db, 1);
        Shipped.Close();
        Assert.Superset(first.Select(e => e.Name).ToHashSet(),
            Listed(Place("remote")).Select(e => e.Name).ToHashSet());
        Recover.Run("verify", Remote).MustEndWith(0);
    }

    [Fact]
    public void Verify_names_lists_that_are_missing_or_damaged_or_of_other_bytes()
    {
        Ship();
        var remote = Place("remote");
        Recover.Run("verify", Remote).MustEndWith(0);
        var extent = Listed(remote)[0];
        var path = Path.Combine(remote, extent.ListName);
        var good = File.ReadAllBytes(path);
        foreach (var harm in new Action[]
        {
            () => File.Delete(path),
            () => { var bad = (byte[])good.Clone(); bad[^1] ^= 1; File.WriteAllBytes(path, bad); },
        })
        {
            harm();
            foreach (var sample in new string[][] { [], ["--sample"] })
                Assert.Contains(extent.ListName,
                    Recover.Run(["verify", Remote, .. sample]).MustEndWith(4).Errors);
            // A state is as restorable as before.
            Recover.Run("restore", Remote, Place("r")).MustEndWith(0);
            Directory.Delete(Place("r"), recursive: true);
            File.WriteAllBytes(path, good);
        }
        // A list that hints vouch for, of blocks that the extent has not.
        good[^1] ^= 1;
        File.WriteAllBytes(path, good);
        foreach (var hints in Directory.GetFiles(Path.Combine(remote, "hints")))
        {
            var read = RemoteHintsFormat.Read(File.ReadAllBytes(hints), "hints/" + Path.GetFileName(hints));
            File.WriteAllBytes(hints, RemoteHintsFormat.Write(read.Header, [.. read.Extents.Values.Select(e =>
                e.Name == extent.Name ? e with { List = ObjectHash.Of(good) } : e)], read.Hints));
        }
        Assert.Contains(extent.ListName, Recover.Run("verify", Remote).MustEndWith(4).Errors);
    }

    [Fact]
    public void Lists_go_with_their_extents_and_no_earlier()
    {
        Ship();
        var kept = Listed(Place("remote"));
        // One that no hints name, a list whose extent went first, and one that a later writer has just shipped.
        var (dead, later) = (RemoteNames.Extent(900, 1, ObjectHash.Of([1])), RemoteNames.Extent(901, 99, default));
        var alone = RemoteNames.ListOf(RemoteNames.Extent(902, 1, ObjectHash.Of([2])));
        foreach (var name in new[] { dead, RemoteNames.ListOf(dead), alone, RemoteNames.ListOf(later) })
        {
            var path = Path.Combine(Place("remote"), name);
            File.WriteAllBytes(path, [1]);
            File.SetLastWriteTimeUtc(path, DateTime.UtcNow.AddDays(-9));
        }
        Recover.Run("gc", Place("data"), "--keep", "1h").MustEndWith(0);
        bool Is(string name) => File.Exists(Path.Combine(Place("remote"), name));
        Assert.All(kept, e => Assert.True(Is(e.Name) && Is(e.ListName)));
        Assert.False(Is(dead) || Is(RemoteNames.ListOf(dead)) || Is(alone));
        Assert.True(Is(RemoteNames.ListOf(later)));
    }

    [Fact]
    public async Task Branches_and_snapshot_files_have_the_lists_and_serve_ranges()
    {
        Ship();
        Recover.Run("branch", Remote, "file://" + Place("branch")).MustEndWith(0);
        Recover.Run("snapshot", "create", Remote, "-o", Place("file")).MustEndWith(0);
        Recover.Run("snapshot", "verify", Place("file")).MustEndWith(0);
        Recover.Run("snapshot", "restore", Place("file"), Place("restored")).MustEndWith(0);
        foreach (var url in new[] { Remote, "file://" + Place("branch") })
        {
            await using var objects = RemoteUrl.Parse(url).Open();
            var extent = Newest(new Uri(url).LocalPath).Extents.Values.MaxBy(e => e.SizeBytes);
            Assert.True(extent.HasList);
            using var cache = new BlockCache(new RemoteContext { Store = objects }, new BlockCacheOptions());
            var place = Path.Combine(root, Guid.NewGuid().ToString("N"));
            using var file = cache.Open(extent, place, place + ".record");
            var bytes = new byte[1000];
            Assert.Equal(1000, file.Read(extent.SizeBytes / 2, bytes));
            Assert.True(File.ReadAllBytes(Path.Combine(Place("remote"), extent.Name))
                .AsSpan((int)(extent.SizeBytes / 2), 1000).SequenceEqual(bytes));
            Assert.InRange(cache.FetchedBytes, 1000, 3 << BlockList.UsualShift);
        }
    }

    [Fact]
    public void A_remote_of_software_that_knew_no_lists_is_gone_on_with()
    {
        Ship();
        var remote = Place("remote");
        foreach (var hints in Directory.GetFiles(Path.Combine(remote, "hints")))
        {
            var read = RemoteHintsFormat.Read(File.ReadAllBytes(hints), "hints/" + Path.GetFileName(hints));
            File.WriteAllBytes(hints, RemoteHintsFormat.Write(read.Header,
                [.. read.Extents.Values.Select(e => e with { List = default })], read.Hints));
        }
        foreach (var list in Directory.GetFiles(Path.Combine(remote, "extents"), "*.blocks")) File.Delete(list);
        Recover.Run("verify", Remote).MustEndWith(0);
        using (var db = Application()) Fill(db, 500);
        Shipped.Close();
        Recover.Run("verify", Remote).MustEndWith(0);
        var extents = Newest(remote).Extents.Values.Where(e => e.SizeBytes > BlockList.ListlessBytes).ToList();
        Assert.Contains(extents, e => !e.HasList);
        Assert.Contains(extents, e => e.HasList);
    }
}
