using System.Text;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.Simulation;
using RecoveryVfs.TestServers;

namespace RecoveryVfs.RecoveryLog.Tests.Remote;

/// <summary>What every object store must do; the classes below run it on each.</summary>
public abstract class ObjectStoreContract
{
    private protected abstract Task<IObjectStore> OpenAsync();

    [Fact]
    public async Task Created_object_is_read_back_whole_and_in_ranges()
    {
        await using var store = await OpenAsync();
        Assert.Equal(CreateResult.Created, await store.CreateAsync("log/a", "0123456789"u8.ToArray()));

        Assert.Equal("0123456789", Encoding.UTF8.GetString((await store.ReadWholeAsync("log/a", 100))!));
        await using var part = await store.GetAsync("log/a", 3, 4);
        Assert.Equal(4, part!.LengthBytes);
        Assert.Equal(10, part.ObjectBytes);
        Assert.Equal("3456", await new StreamReader(part.Body).ReadToEndAsync());
        await using var rest = await store.GetAsync("log/a", 8);
        Assert.Equal("89", await new StreamReader(rest!.Body).ReadToEndAsync());
        Assert.Equal(10, (await store.HeadAsync("log/a"))!.Value.SizeBytes);
    }

    [Fact]
    public async Task Second_create_changes_nothing()
    {
        await using var store = await OpenAsync();
        await store.CreateAsync("log/a", "first"u8.ToArray());
        Assert.Equal(CreateResult.AlreadyExists, await store.CreateAsync("log/a", "second"u8.ToArray()));
        Assert.Equal("first", Encoding.UTF8.GetString((await store.ReadWholeAsync("log/a", 100))!));
    }

    [Fact]
    public async Task Of_racing_creates_exactly_one_wins()
    {
        await using var store = await OpenAsync();
        for (var round = 0; round < 20; round++)
        {
            var name = $"log/{round}";
            var results = await Task.WhenAll(Enumerable.Range(0, 8).Select(i => Task.Run(async () =>
            {
                try { return await store.CreateAsync(name, new[] { (byte)i }); }
                catch (ObjectStoreException e) when (e.IsTransient) { return CreateResult.AlreadyExists; }
            })));
            Assert.InRange(results.Count(r => r == CreateResult.Created), 0, 1);
            var winner = Array.IndexOf(results, CreateResult.Created);
            if (winner >= 0) Assert.Equal([(byte)winner], (await store.ReadWholeAsync(name, 10))!);
        }
    }

    [Fact]
    public async Task Missing_object_is_null_everywhere_and_deletes_fine()
    {
        await using var store = await OpenAsync();
        Assert.Null(await store.GetAsync("log/none"));
        Assert.Null(await store.HeadAsync("log/none"));
        await store.DeleteAsync(["log/none"]);
    }

    [Fact]
    public async Task Listing_is_ordered_and_takes_prefix_and_start()
    {
        await using var store = await OpenAsync();
        foreach (var name in new[] { "log/b", "log/a", "log/c", "hints/x", "store.json", "logs" })
            await store.CreateAsync(name, new byte[3]);
        Assert.Equal(["log/a", "log/b", "log/c"], await NamesAsync(store, "log/"));
        Assert.Equal(["log/c"], await NamesAsync(store, "log/", "log/b"));
        Assert.Equal(["hints/x", "log/a", "log/b", "log/c", "logs", "store.json"], await NamesAsync(store, ""));
        Assert.Empty(await NamesAsync(store, "pins/"));
    }

    [Fact]
    public async Task Listing_goes_over_many_pages()
    {
        await using var store = await OpenAsync();
        var names = Enumerable.Range(0, 1205).Select(i => RemoteNames.Segment((ulong)i)).ToArray();
        foreach (var some in names.Chunk(16))
            await Task.WhenAll(some.Select(n => store.CreateAsync(n, new byte[1]).AsTask()));
        Assert.Equal(names, await NamesAsync(store, "log/"));
        await store.DeleteAsync(names[..1200]);
        Assert.Equal(names[1200..], await NamesAsync(store, "log/"));
    }

    [Fact]
    public async Task Large_object_streams_both_ways()
    {
        await using var store = await OpenAsync();
        var bytes = new byte[9 << 20];
        new Random(1).NextBytes(bytes);
        await store.CreateAsync("extents/large", new ObjectContent(bytes.Length, () => new MemoryStream(bytes)));
        var read = new MemoryStream();
        var size = await store.StreamWholeAsync("extents/large", (_, from) => new ValueTask(from.CopyToAsync(read)), 3);
        Assert.Equal(bytes.Length, size);
        Assert.True(bytes.AsSpan().SequenceEqual(read.ToArray()));
    }

    [Fact]
    public async Task Names_that_leave_the_prefix_are_refused()
    {
        await using var store = await OpenAsync();
        foreach (var name in new[] { "../x", "/x", "a//b", "", "a/../b", "a b", "log/é", ".tmp/x" })
            Assert.Equal(RecoveryError.Invalid,
                (await Assert.ThrowsAsync<RecoveryException>(async () => await store.GetAsync(name))).Error);
    }

    [Fact]
    public async Task Empty_object_is_an_object()
    {
        await using var store = await OpenAsync();
        Assert.Equal(CreateResult.Created, await store.CreateAsync("pins/empty", Array.Empty<byte>()));
        Assert.Equal(CreateResult.AlreadyExists, await store.CreateAsync("pins/empty", Array.Empty<byte>()));
        Assert.Empty((await store.ReadWholeAsync("pins/empty", 10))!);
    }

    [Fact]
    public async Task Probe_finds_it_fit_and_leaves_nothing()
    {
        await using var store = await OpenAsync();
        await RemoteProbe.CheckAsync(store, new Random(1));
        Assert.Empty(await NamesAsync(store, ""));
    }

    [Fact]
    public async Task Requests_and_bytes_are_counted()
    {
        await using var store = await OpenAsync();
        await store.CreateAsync("log/a", new byte[100]);
        await store.ReadWholeAsync("log/a", 1000);
        await store.GetAsync("hints/none");
        Assert.Equal(1, store.Counters.Requests(RequestKind.Create, ObjectClass.Log));
        Assert.Equal(1, store.Counters.Requests(RequestKind.Get, ObjectClass.Log));
        Assert.Equal(1, store.Counters.Requests(RequestKind.Get, ObjectClass.Hints));
        Assert.Equal(100, store.Counters.BytesSent(ObjectClass.Log));
        Assert.Equal(100, store.Counters.BytesReceived(ObjectClass.Log));
        Assert.Equal(3, store.Counters.TotalRequests);
    }

    internal static async Task<List<string>> NamesAsync(IObjectStore store, string prefix, string? startAfter = null)
    {
        var names = new List<string>();
        await foreach (var found in store.ListAsync(prefix, startAfter)) names.Add(found.Name);
        return names;
    }
}

public sealed class FileObjectStoreTests : ObjectStoreContract, IDisposable
{
    readonly string directory = Directory.CreateTempSubdirectory("recovery-objects-").FullName;

    private protected override Task<IObjectStore> OpenAsync()
        => Task.FromResult<IObjectStore>(new FileObjectStore(Path.Combine(directory, "remote")));

    [Fact]
    public async Task Half_written_object_is_never_seen()
    {
        await using var store = await OpenAsync();
        await Assert.ThrowsAsync<RecoveryException>(async ()
            => await store.CreateAsync("log/a", new ObjectContent(10, () => new MemoryStream(new byte[5]))));
        Assert.Null(await store.HeadAsync("log/a"));
        Assert.Empty(Directory.GetFiles(Path.Combine(directory, "remote", ".tmp")));
    }

    string In(string name) => Path.Combine(directory, name);

    [Fact]
    public async Task Links_are_not_followed_and_nothing_is_deleted_where_they_lead()
    {
        await (await OpenAsync()).CreateAsync("log/a", "bytes"u8.ToArray());
        Directory.CreateDirectory(In("precious"));
        var old = DateTime.UtcNow.AddDays(-3);
        foreach (var name in (string[])["report.txt", Guid.NewGuid().ToString("n")])
        {
            File.WriteAllText(In("precious/" + name), "keep");
            File.SetLastWriteTimeUtc(In("precious/" + name), old);
        }
        Directory.Delete(In("remote/.tmp"), true);
        Directory.CreateSymbolicLink(In("remote/.tmp"), In("precious"));
        Assert.Contains("symbolic link", (await Assert.ThrowsAsync<ObjectStoreException>(OpenAsync)).Message);
        File.Delete(In("remote/.tmp"));
        await using var store = await OpenAsync();

        // Whoever may write to the remote puts links where objects and their directories are.
        File.WriteAllText(In("precious/target"), "private");
        File.CreateSymbolicLink(In("remote/log/link"), In("precious/target"));
        Directory.CreateSymbolicLink(In("remote/extents"), In("precious"));
        await Assert.ThrowsAsync<ObjectStoreException>(() => store.GetAsync("log/link").AsTask());
        await Assert.ThrowsAsync<ObjectStoreException>(() => store.HeadAsync("log/link").AsTask());
        await Assert.ThrowsAsync<ObjectStoreException>(() => store.GetAsync("extents/target").AsTask());
        await Assert.ThrowsAsync<ObjectStoreException>(() => store.CreateAsync("extents/new", new byte[1]).AsTask());
        await Assert.ThrowsAsync<ObjectStoreException>(() => store.DeleteAsync(["extents/target"]).AsTask());
        Assert.Equal(CreateResult.AlreadyExists, await store.CreateAsync("log/link", new byte[1]));
        await Assert.ThrowsAsync<ObjectStoreException>(() => NamesOf(store, "extents/"));
        Assert.Equal(["log/a"], await NamesOf(store, ""));
        await store.DeleteAsync(["log/link"]);
        Assert.Equal(3, Directory.GetFiles(In("precious")).Length);
        Assert.Equal("private", File.ReadAllText(In("precious/target")));
    }

    [Fact]
    public async Task Only_files_of_our_own_names_are_removed_when_they_were_left_behind()
    {
        await (await OpenAsync()).CreateAsync("log/a", "bytes"u8.ToArray());
        var (ours, others, fresh) =
            (In("remote/.tmp/" + Guid.NewGuid().ToString("n")), In("remote/.tmp/notes"),
            In("remote/.tmp/" + Guid.NewGuid().ToString("n")));
        foreach (var path in (string[])[ours, others, fresh]) File.WriteAllText(path, "x");
        foreach (var path in (string[])[ours, others]) File.SetLastWriteTimeUtc(path, DateTime.UtcNow.AddDays(-3));
        await (await OpenAsync()).DisposeAsync();
        Assert.Equal((false, true, true), (File.Exists(ours), File.Exists(others), File.Exists(fresh)));
    }

    [Fact]
    public async Task A_fifo_is_refused_and_nobody_waits_for_it()
    {
        await using var store = await OpenAsync();
        await store.CreateAsync("log/a", "bytes"u8.ToArray());
        System.Diagnostics.Process.Start("mkfifo", In("remote/store.json")).WaitForExit();
        Assert.Contains("not a regular file",
            (await Assert.ThrowsAsync<ObjectStoreException>(() => store.GetAsync("store.json").AsTask())).Message);
    }

    [Theory]
    [InlineData(null, "0700", "0600")]
    [InlineData("755", "0700", "0600")]
    [InlineData("2750", "0750", "0640")]
    public async Task What_it_makes_is_its_owners_alone_unless_the_directory_was_made_for_a_group(string? mode,
        string directories, string files)
    {
        if (mode is not null)
        {
            Directory.CreateDirectory(In("remote"));
            System.Diagnostics.Process.Start("chmod", [mode, In("remote")]).WaitForExit();
        }
        await using var store = await OpenAsync();
        await store.CreateAsync("log/a", "bytes"u8.ToArray());
        if (mode is null) Assert.Equal("0700", ModeOf(In("remote")));
        Assert.Equal((directories, directories, files),
            (ModeOf(In("remote/log")), ModeOf(In("remote/.tmp")), ModeOf(In("remote/log/a"))));
    }

    static string ModeOf(string path)
    {
        using var stat =
            System.Diagnostics.Process.Start(
            new System.Diagnostics.ProcessStartInfo("stat", ["-c", "%a", path]) { RedirectStandardOutput = true })
            !;
        return "0" + stat.StandardOutput.ReadToEnd().Trim()[^3..];
    }

    static async Task<List<string>> NamesOf(IObjectStore store, string prefix)
    {
        var names = new List<string>();
        await foreach (var entry in store.ListAsync(prefix)) names.Add(entry.Name);
        return names;
    }

    public void Dispose() => Directory.Delete(directory, true);
}

public sealed class SimulatedObjectStoreTests : ObjectStoreContract
{
    private protected override Task<IObjectStore> OpenAsync() =>
        Task.FromResult<IObjectStore>(
            new SimulatedObjectStore(new SimulatedBucket(TimeProvider.System), new Random(1)));
}

[Collection(S3Collection.Name)]
public sealed class S3ObjectStoreTests(S3Server server) : ObjectStoreContract
{
    private protected override async Task<IObjectStore> OpenAsync() => await server.NewStoreAsync();

    [Fact]
    public async Task Missing_bucket_and_wrong_credentials_say_so()
    {
        await using var missing =
            new S3ObjectStore(RemoteUrl.Parse($"s3://no-such-bucket/x?endpoint={server.Endpoint}", _ => null),
            TimeProvider.System, S3Server.Credentials);
        var e = await Assert.ThrowsAsync<ObjectStoreException>(async ()
            => await missing.CreateAsync("log/a", new byte[1]));
        Assert.Equal(ObjectStoreError.Missing, e.Error);
        Assert.Contains("no-such-bucket", e.ToRecoveryException().Message);
        Assert.Equal(ObjectStoreError.Missing,
            (await Assert.ThrowsAsync<ObjectStoreException>(async () => await missing.GetAsync("log/a"))).Error);

        var url = await server.NewRemoteAsync();
        await using var denied =
            new S3ObjectStore(url, TimeProvider.System,
            new Amazon.Runtime.BasicAWSCredentials("testaccesskey", "wrong"));
        e = await Assert.ThrowsAsync<ObjectStoreException>(async () => await denied.CreateAsync("log/a", new byte[1]));
        Assert.Equal(ObjectStoreError.Denied, e.Error);
        Assert.Contains("credentials", e.ToRecoveryException().Message);
    }

    [Fact]
    public async Task Dead_server_is_unavailable_not_unknown()
    {
        var url = RemoteUrl.Parse($"s3://bucket/x?endpoint=http://127.0.0.1:{S3Server.FreePort()}", _ => null);
        await using var store = new S3ObjectStore(url, TimeProvider.System, S3Server.Credentials);
        var e = await Assert.ThrowsAsync<ObjectStoreException>(async ()
            => await store.CreateAsync("log/a", new byte[1]));
        Assert.Equal(ObjectStoreError.Unavailable, e.Error);
    }
}
