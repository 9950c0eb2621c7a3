using RecoveryVfs.PageStore.Replicas;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Writing;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.Branches;
using RecoveryVfs.RecoveryLog.Remote.Collect;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.Read;
using RecoveryVfs.TestServers;

namespace RecoveryVfs.PageStore.Tests;

/// <summary>
/// Remotes branched from others, and from branches, written to, collected, and deleted in any order: each keeps what it
/// had, and nothing is left that nobody can reach.
/// </summary>
public abstract class BranchTests : IDisposable
{
    readonly string root = Path.Combine(Path.GetTempPath(), "branch-" + Guid.NewGuid().ToString("N"));
    int directories;

    static readonly Retention nothing = new()
    {
        Keep = TimeSpan.Zero,
        KeepHints = 1,
        ReaderGrace = TimeSpan.Zero
    };

    protected BranchTests() => Directory.CreateDirectory(root);

    public void Dispose() => Directory.Delete(root, recursive: true);

    protected string Root => root;

    /// <summary>A place under which remotes can lie side by side.</summary>
    protected abstract Task<string> NewBaseAsync();

    /// <summary>A remote, the directory of its writer, and what it must hold.</summary>
    sealed class Node(string url, Node? parent, SortedDictionary<string, byte[]> model)
    {
        public string Url => url;
        public Node? Parent => parent;
        public SortedDictionary<string, byte[]> Model => model;
        public List<(ulong Lsn, SortedDictionary<string, byte[]> Model)> States { get; } = [];
        public string? Directory { get; set; }
        public bool IsDeleted { get; set; }
    }

    static SortedDictionary<string, byte[]> Copy(SortedDictionary<string, byte[]> model)
        => new(model, StringComparer.Ordinal);

    string NewDirectory() => Path.Combine(root, $"d{directories++}");

    static StoreOptions Options(string directory, string? url) => new()
    {
        Directory = directory,
        PageCacheBytes = 1 << 20,
        PendingBytes = 1 << 20,
        Remote = url is null ? null : new RemoteOptions
        {
            Url = url,
            SyncInterval = TimeSpan.FromMilliseconds(20),
            HintsBytes = 256 << 10,
            Retention = null,
        },
    };

    static RemoteContext Context(string url) => new() { Store = RemoteUrl.Parse(url).Open() };

    static async Task<RestoreResult> RestoreAsync(string url, string directory, RestoreTarget target = default)
    {
        var context = Context(url);
        await using var objects = context.Store;
        return await StoreRestore.RestoreAsync(await RestorePlanner.PlanAsync(context, target),
            Options(directory, null));
    }

    async Task WriteAsync(Random random, Node node)
    {
        // Now and then its machine is lost.
        if (node.Directory is null || random.Next(4) == 0)
        {
            var directory = NewDirectory();
            if (node.Parent is not null || node.Directory is not null) await RestoreAsync(node.Url, directory);
            node.Directory = directory;
        }
        using var store = Store.Open(Options(node.Directory, node.Url));
        StoreTests.Compare(store, node.Model);
        for (var i = random.Next(1, 6); i > 0; i--)
        {
            StoreTests.Transaction(random, store, node.Model);
            node.States.Add((store.Lsn.Last, Copy(node.Model)));
        }
        store.WaitRestorable(store.Lsn.Last);
        if (random.Next(2) == 0) await store.Remote!.PublishHintsAsync();
        if (random.Next(3) == 0) await store.Remote!.CollectAsync(nothing);
    }

    static async Task<MadeBranch?> BranchAsync(string parentUrl, string url, RestoreTarget target)
    {
        var parent = Context(parentUrl);
        await using var from = parent.Store;
        await using var objects = RemoteUrl.Parse(url).Open();
        try
        {
            var plan = await RestorePlanner.PlanAsync(parent, target);
            return await new BranchMaking(
                new BranchPlaces(parent, RemoteUrl.Parse(parentUrl), objects, RemoteUrl.Parse(url), null), plan)
                .RunAsync(null);
        }
        catch (RecoveryException e) when (target != RestoreTarget.Newest
            && (e.Error == RecoveryError.NotFound || e.Message.Contains("is missing", StringComparison.Ordinal)))
        {
            // Collected: nothing but the newest state is promised here. Hints that only a pin keeps are still there.
            return null;
        }
    }

    static async Task DeleteAsync(string url)
    {
        var context = Context(url);
        await using var objects = context.Store;
        await BranchRemoval.RunAsync(context, RemoteUrl.Parse(url), static parent => parent.Open());
    }

    [Fact, Trait(Seeds.Kind, Seeds.Random)]
    public async Task Every_branch_keeps_its_own_and_nothing_is_left_that_nobody_reaches()
    {
        var place = await NewBaseAsync();
        await Seeds.OnceAsync(random => Run(random, place));
    }

    protected virtual int Steps => Seeds.Soaking ? 40 : 14;

    async Task Run(Random random, string place)
    {
        List<Node> nodes = [new(place + "/root", null, new(StringComparer.Ordinal))];
        await WriteAsync(random, nodes[0]);
        for (var step = 0; step < Steps; step++)
        {
            var alive = nodes.Where(n => !n.IsDeleted).ToList();
            var node = alive[random.Next(alive.Count)];
            switch (random.Next(6))
            {
                case 0 or 1 when alive.Count < 7: await TryBranchAsync(random, nodes, node, place); break;
                case 2 when node.Parent is not null: await TryDeleteAsync(node, nodes); break;
                case 3: await CheckAsync(node); break;
                default: await WriteAsync(random, node); break;
            }
        }
        foreach (var node in nodes.Where(n => !n.IsDeleted)) await CheckAsync(node);
        await CountAsync(nodes);
        // Leaves first, in any order.
        while (nodes.Where(n => !n.IsDeleted && n.Parent is not null).ToList() is { Count: > 0 } left)
            await TryDeleteAsync(left[random.Next(left.Count)], nodes);
        await CheckAsync(nodes[0]);
        await CountAsync(nodes);
    }

    static async Task TryBranchAsync(Random random, List<Node> nodes, Node node, string place)
    {
        var isNewest = node.States.Count == 0 || random.Next(2) == 0;
        var (lsn, model) = isNewest ? (0UL, node.Model) : node.States[random.Next(node.States.Count)];
        var url = $"{place}/b{nodes.Count}";
        if (await BranchAsync(node.Url, url, isNewest ? RestoreTarget.Newest : RestoreTarget.At(lsn)) is { } made)
        {
            Assert.False(made.IsCopy);
            nodes.Add(new Node(url, node, Copy(model)));
        }
    }

    static async Task TryDeleteAsync(Node node, List<Node> nodes)
    {
        var children = nodes.Where(n => n.Parent == node && !n.IsDeleted).ToList();
        if (children.Count == 0)
        {
            await DeleteAsync(node.Url);
            node.IsDeleted = true;
            await using var left = RemoteUrl.Parse(node.Url).Open();
            await foreach (var entry in left.ListAsync("")) Assert.Fail(entry.Name + " is left.");
            return;
        }
        var refused = await Assert.ThrowsAsync<RecoveryException>(() => DeleteAsync(node.Url));
        Assert.Equal(RecoveryError.Busy, refused.Error);
        foreach (var child in children)
            Assert.Contains(RemoteUrl.Parse(child.Url).ToString(), refused.Message);
    }

    async Task CheckAsync(Node node)
    {
        var directory = NewDirectory();
        await RestoreAsync(node.Url, directory);
        using (var store = Store.Open(Options(directory, null))) StoreTests.Compare(store, node.Model);
        Directory.Delete(directory, recursive: true);
    }

    /// <summary>
    /// Collects everywhere, and counts: what any hints name is there, once, and nothing else is.
    /// </summary>
    async Task CountAsync(List<Node> nodes)
    {
        var alive = nodes.Where(n => !n.IsDeleted).ToList();
        foreach (var node in alive)
        {
            var directory = NewDirectory();
            await RestoreAsync(node.Url, directory);
            node.Directory = directory;
            using var store = Store.Open(Options(directory, node.Url));
            // What it has opened for the while is no file of the newest hints any more, once there are newer ones.
            await store.Remote!.PublishHintsAsync();
            await store.Remote.CollectAsync(nothing);
        }
        foreach (var node in alive)
        {
            var context = Context(node.Url);
            await using var objects = context.Store;
            var store = (await StoreObject.FetchAsync(objects))!;
            var named = new HashSet<string>();
            var hints = await context.ListAsync(RemoteNames.Hints, null, default);
            foreach (var each in hints)
                foreach (var extent in (await RemoteHintsReads.FetchAsync(context, each.Name, store.LogId, default))!
                    .Extents.Values)
                {
                    Assert.Equal(extent.SizeBytes, (await objects.HeadAsync(extent.Name))?.SizeBytes);
                    named.Add(extent.Name);
                    if (extent.HasList) named.Add(extent.ListName);
                }
            var pins = await context.ListAsync(RemoteNames.Pins, null, default);
            Assert.Equal(alive.Count(n => n.Parent == node), pins.Count);
            // The newest, the one that a store which closes may publish, and one for each branch at most.
            Assert.InRange(hints.Count, 1, 2 + pins.Count);
            Assert.Empty((await context.ListAsync(RemoteNames.Extents, null, default)).Select(e => e.Name)
                .Except(named));
        }
    }

    [Fact]
    public async Task A_branch_is_small_begins_where_it_was_asked_to_and_is_no_branch_of_itself()
    {
        var place = await NewBaseAsync();
        var random = new Random(1);
        var node = new Node(place + "/root", null, new(StringComparer.Ordinal));
        await WriteAsync(random, node);
        var made = (await BranchAsync(node.Url, place + "/b", RestoreTarget.Newest))!;
        Assert.False(made.IsCopy);
        var again = await Assert.ThrowsAsync<RecoveryException>(
            () => BranchAsync(node.Url, place + "/b", RestoreTarget.Newest));
        Assert.Contains("already", again.Message);
        await Assert.ThrowsAsync<RecoveryException>(() => BranchAsync(node.Url, node.Url, RestoreTarget.Newest));
        await Assert.ThrowsAsync<RecoveryException>(() => DeleteAsync(node.Url));
        // What the parent commits is not the branch's.
        await WriteAsync(random, node);
        var context = Context(place + "/b");
        await using (context.Store)
        {
            var plan = await RestorePlanner.PlanAsync(context, RestoreTarget.Newest);
            // The epoch that begins there.
            Assert.Equal(made.Lsn + 1, plan.LastLsn);
            Assert.NotEqual(plan.Store.LogId, plan.Store.Branch!.LogId);
        }
        // A store of the parent does not take the branch for its own remote.
        Assert.Equal(RecoveryError.Invalid, Assert.Throws<RecoveryException>(() =>
        {
            using var store = Store.Open(Options(node.Directory!, place + "/b"));
            StoreTests.Transaction(random, store, node.Model);
            store.WaitRestorable(store.Lsn.Last);
        }).Error);
    }
}

public sealed class DirectoryBranchTests : BranchTests
{
    protected override Task<string> NewBaseAsync() => Task.FromResult("file://" + Path.Combine(Root, "remotes"));

    [Fact]
    public async Task A_branch_elsewhere_is_a_copy_that_needs_no_parent()
    {
        var parent = "file://" + Path.Combine(Root, "parent");
        var model = new SortedDictionary<string, byte[]>(StringComparer.Ordinal);
        using (var store = Store.Open(new StoreOptions
        {
            Directory = Path.Combine(Root, "writer"),
            Remote = new RemoteOptions { Url = parent }
        }))
        {
            StoreTests.Transaction(new Random(5), store, model);
            store.WaitRestorable(store.Lsn.Last);
            await store.Remote!.PublishHintsAsync();
        }
        var context = new RemoteContext { Store = RemoteUrl.Parse(parent).Open() };
        var (elsewhere, at) = ("file://" + Path.Combine(Root, "elsewhere"), RemoteUrl.Parse("s3://bucket/nowhere"));
        var objects = RemoteUrl.Parse(elsewhere).Open();
        var made = await new BranchMaking(new BranchPlaces(context, RemoteUrl.Parse(parent), objects, at, null),
            await RestorePlanner.PlanAsync(context, RestoreTarget.Newest)).RunAsync(null);
        Assert.True(made.IsCopy);
        Assert.Empty(await context.ListAsync("pins/", null, default));
        Directory.Delete(Path.Combine(Root, "parent"), recursive: true);
        var copy = new RemoteContext { Store = objects };
        await StoreRestore.RestoreAsync(await RestorePlanner.PlanAsync(copy, RestoreTarget.Newest),
            new StoreOptions { Directory = Path.Combine(Root, "restored") });
        using var restored = Store.Open(new StoreOptions { Directory = Path.Combine(Root, "restored") });
        StoreTests.Compare(restored, model);
    }
}

[Collection(S3Collection.Name)]
public sealed class S3BranchTests(S3Server server) : BranchTests
{
    protected override int Steps => Seeds.Soaking ? 20 : 6;

    protected override async Task<string> NewBaseAsync()
    {
        foreach (var (name, value) in server.Environment) Environment.SetEnvironmentVariable(name, value);
        return $"s3://{await server.NewBucketAsync()}/some";
    }
}
