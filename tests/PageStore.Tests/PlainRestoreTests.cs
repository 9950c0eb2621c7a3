using RecoveryVfs.PageStore.Replicas;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Writing;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Remote.Read;

namespace RecoveryVfs.PageStore.Tests;

/// <summary>
/// A plain file that is made of a remote without a store on the way is the database, byte for byte, at any commit.
/// </summary>
public sealed class PlainRestoreTests(DirectoryPlaces places) : IClassFixture<DirectoryPlaces>, IDisposable
{
    readonly TempDirectory root = new();
    int count;

    public void Dispose() => root.Dispose();

    /// <summary>Many checkpoints make many tables, on several levels.</summary>
    StoreOptions Options(RemotePlace place) => new()
    {
        Directory = root["writer"],
        PageCacheBytes = 1 << 20,
        PendingBytes = 64 << 10,
        Remote = place.Options with { HintsBytes = 1 << 30 },
    };

    async Task<(RestoreResult? Result, string? Why, string File)> Restore(RemotePlace place, string? database,
        RestoreTarget target = default)
    {
        await using var objects = place.Open();
        var file = root[$"restored-{++count}"];
        var (result, why) =
            await PlainRestore.TryAsync(await place.PlanAsync(objects, target), database, file, file + "-wals");
        return (result, why, file);
    }

    [Fact, Trait(Seeds.Kind, Seeds.Random)]
    public async Task Every_commit_of_every_database_comes_back_byte_for_byte() => await Seeds.OnceAsync(async random =>
    {
        var place = await places.NewAsync();
        var model = new SortedDictionary<string, byte[]>(StringComparer.Ordinal);
        var states = new List<(ulong Lsn, SortedDictionary<string, byte[]> State)>();
        using var writer = Store.Open(Options(place));
        for (var i = 0; i < 150; i++)
        {
            StoreTests.Transaction(random, writer, model);
            states.Add((writer.Lsn.Last, new(model, StringComparer.Ordinal)));
            if (random.Next(8) == 0) writer.Checkpoint();
            if (random.Next(20) == 0) await writer.Remote!.PublishHintsAsync();
        }
        writer.SyncRemote();
        var byLsn = states.GroupBy(s => s.Lsn).Select(g => g.Last()).ToList();
        foreach (var (lsn, state) in byLsn.OrderBy(_ => random.Next()).Take(12).Append(byLsn[^1]))
            foreach (var (name, content) in state)
            {
                var (result, why, file) = await Restore(place, name, RestoreTarget.At(lsn));
                Assert.True(why is null, $"{name} at LSN {lsn}: {why}");
                Assert.Equal(lsn, result!.Lsn);
                Assert.Equal(state.Keys, result.Databases);
                Assert.True(content.AsSpan().SequenceEqual(File.ReadAllBytes(file)),
                    $"{name} at LSN {lsn} is not what was committed");
                File.Delete(file);
            }
    });

    [Fact]
    public async Task Cuts_deletions_and_collected_garbage_leave_what_counts()
    {
        var place = await places.NewAsync();
        using var writer = Store.Open(Options(place));
        var (a, b) = (writer.Create("a.db"), writer.Create("b.db"));
        var expected = new byte[600 * 4096];
        for (var round = 1; round <= 12; round++)
        {
            using (var overlay = writer.BeginOverlay(a, a.Current))
            {
                // Longer and shorter in turns, and never all of it.
                var pages = round % 3 == 0 ? 150 : 600;
                Array.Resize(ref expected, pages * 4096);
                for (var page = round % 4; page < pages; page += 4)
                    expected.AsSpan(page * 4096, 4096).Fill((byte)(round * 7 + page));
                if (overlay.SizeBytes > expected.Length) overlay.Truncate(expected.Length);
                for (var page = 0; page < pages; page++)
                    overlay.Write(page * 4096L, expected.AsSpan(page * 4096, 4096));
                writer.Commit([overlay], durable: true);
            }
            using (var overlay = writer.BeginOverlay(b, b.Current))
            {
                overlay.Write(round * 40960L, new byte[4096]);
                writer.Commit([overlay], durable: true);
            }
            writer.Checkpoint();
        }
        writer.Delete(b, durable: true);
        await writer.Remote!.PublishHintsAsync();
        writer.SyncRemote();
        // Without a name: there is one left.
        var (result, why, file) = await Restore(place, null);
        Assert.Null(why);
        Assert.Equal(["a.db"], result!.Databases);
        Assert.True(expected.AsSpan().SequenceEqual(File.ReadAllBytes(file)));
    }

    [Fact]
    public async Task Names_that_moved_in_the_log_are_left_to_a_store()
    {
        var place = await places.NewAsync();
        using var writer = Store.Open(Options(place));
        Fill(writer, "a.db", 1);
        await writer.Remote!.PublishHintsAsync();
        writer.Rename(writer.Find("a.db")!, "old.db");
        Fill(writer, "a.db", 2);
        writer.SyncRemote();
        Assert.Contains("renamed", (await Restore(place, "a.db")).Why);
        Assert.Equal(["a.db", "old.db"], (await Restore(place, "c.db")).Result!.Databases);
        Assert.Equal(["a.db", "old.db"], (await Restore(place, null)).Result!.Databases);
    }

    [Fact]
    public async Task Damage_is_an_error_that_names_the_object()
    {
        var place = await places.NewAsync();
        using (var writer = Store.Open(Options(place)))
        {
            Fill(writer, "a.db", 1);
            await writer.Remote!.PublishHintsAsync();
            writer.SyncRemote();
        }
        // A blob file, and perhaps a table that has nothing of the database.
        var refused = 0;
        foreach (var name in await place.NamesAsync("extents/"))
        {
            await place.DamageAsync(name);
            if (await Record.ExceptionAsync(() => Restore(place, "a.db")) is { } error)
            {
                refused++;
                Assert.Contains(name, Assert.IsType<RecoveryException>(error).Message);
            }
            await place.DamageAsync(name);
        }
        Assert.NotEqual(0, refused);
        Assert.NotNull((await Restore(place, "a.db")).Result);
    }

    static void Fill(Store store, string name, byte content)
    {
        var database = store.Create(name);
        using var overlay = store.BeginOverlay(database, database.Current);
        var page = new byte[4096];
        for (var i = 0; i < 100; i++)
        {
            page.AsSpan().Fill((byte)(content + i));
            overlay.Write(i * 4096L, page);
        }
        store.Commit([overlay], durable: true);
    }
}
