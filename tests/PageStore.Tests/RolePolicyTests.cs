using System.Runtime.CompilerServices;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using RecoveryVfs.PageStore.Replicas;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Writing;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.Collect;
using RecoveryVfs.RecoveryLog.Remote.Pins;
using RecoveryVfs.RecoveryLog.Remote.Read;
using RecoveryVfs.RecoveryLog.Remote.Write;
using RecoveryVfs.TestServers;

namespace RecoveryVfs.PageStore.Tests;

/// <summary>
/// The policies of docs/SECURITY.md, on a real S3 server: each role does its work with its own, and not without any one
/// action of it.
/// </summary>
[Collection(S3Collection.Name)]
public sealed partial class RolePolicyTests(S3Server server) : IDisposable
{
    const string Prefix = "app/data";

    readonly string root = Directory.CreateTempSubdirectory("recovery-roles-").FullName;

    public void Dispose() => Directory.Delete(root, recursive: true);

    [GeneratedRegex("```json (?<role>[a-z]+)\n(?<policy>.*?)```", RegexOptions.Singleline)]
    private static partial Regex Policies();

    /// <summary>The policy of a role as the document has it, for a bucket; without an action if one is named.</summary>
    static string PolicyOf(string role, string bucket, string? without = null, [CallerFilePath] string here = "")
    {
        var document = File.ReadAllText(Path.Combine(Path.GetDirectoryName(here)!, "../../docs/SECURITY.md"));
        var text = Policies().Matches(document).Single(m => m.Groups["role"].Value == role).Groups["policy"].Value;
        var policy = JsonNode.Parse(text.Replace("${BUCKET}", bucket).Replace("${PREFIX}", Prefix))!;
        var statements = policy["Statement"]!.AsArray();
        foreach (var statement in statements.ToList())
        {
            var actions = statement!["Action"]!.AsArray();
            if (actions.FirstOrDefault(a => a!.GetValue<string>() == without) is { } action) actions.Remove(action);
            if (actions.Count == 0) statements.Remove(statement);
        }
        return policy.ToJsonString();
    }

    public static TheoryData<string, string?> Cases => new()
    {
        { "writer", null }, { "writer", "s3:ListBucket" }, { "writer", "s3:GetObject" }, { "writer", "s3:PutObject" },
            { "writer", "s3:DeleteObject" },
        { "reader", null }, { "reader", "s3:ListBucket" }, { "reader", "s3:GetObject" },
    };

    [Theory]
    [MemberData(nameof(Cases))]
    public async Task A_role_needs_what_its_policy_has_and_no_more(string role, string? without)
    {
        var bucket = await server.NewBucketAsync();
        var url = $"s3://{bucket}/{Prefix}?endpoint={server.Endpoint}";
        // What is there was written with other keys: who wrote an object may read it, whatever a policy says.
        var directory = Path.Combine(root, Guid.NewGuid().ToString("n"));
        await WriteAsync(new RemotePlace(url, _ => Open(url, S3Server.Credentials)), directory);
        var credentials = await server.NewUserAsync(bucket, PolicyOf(role, bucket, without));
        var place = new RemotePlace(url, _ => Open(url, credentials));
        var problem =
            await Record.ExceptionAsync(() => role == "reader" ? ReadAsync(place) : WriteAsync(place, directory));
        if (without is null) Assert.Null(problem);
        else Assert.True(problem is RecoveryException or ObjectStoreException,
            $"The {role} does not need {without}, or ended otherwise: {problem}");
    }

    static S3ObjectStore Open(string url, Amazon.Runtime.AWSCredentials credentials)
        => new(RemoteUrl.Parse(url, _ => null), TimeProvider.System, credentials);

    /// <summary>Ships, publishes hints, pins, and collects what they leave behind.</summary>
    static async Task WriteAsync(RemotePlace place, string directory)
    {
        using var store =
            Store.Open(new StoreOptions
            {
                Directory = directory,
                PageCacheBytes = 1 << 20,
                PendingBytes = 1 << 20,
                Remote = place.Options with { Retention = null }
            });
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(2));
        var (random, model) = (new Random(1), new SortedDictionary<string, byte[]>(StringComparer.Ordinal));
        foreach (var database in store.Databases)
        {
            var bytes = new byte[database.Current.SizeBytes];
            database.Read(database.Current, 0, bytes);
            model[database.Name] = bytes;
        }
        for (var round = 0; round < 2; round++)
        {
            for (var i = 0; i < 10; i++) StoreTests.Transaction(random, store, model);
            store.Remote!.SyncTo(store.Lsn.Last, TimeSpan.FromSeconds(5));
            await store.Remote.PublishHintsAsync(patience.Token);
        }
        await using var objects = place.Open();
        var context = new RemoteContext { Store = objects, Tries = 2 };
        await Pin.PutAsync(context, "held", Pin.At(store.Lsn.Last), patience.Token);
        await Pin.RemoveAsync(context, "held", patience.Token);
        await store.Remote!.CollectAsync(
            new Retention { Keep = TimeSpan.Zero, KeepHints = 1, ReaderGrace = TimeSpan.Zero }, patience.Token);
        Assert.Single(await place.NamesAsync("hints/"));
    }

    async Task ReadAsync(RemotePlace place)
    {
        await using var objects = place.Open();
        var plan = await RestorePlanner.PlanAsync(new RemoteContext { Store = objects, Tries = 2 },
            RestoreTarget.Newest);
        var result = await StoreRestore.RestoreAsync(plan,
            new StoreOptions { Directory = Path.Combine(root, Guid.NewGuid().ToString("n")) });
        Assert.NotEmpty(result.Databases);
        // And nothing but reading.
        await Assert.ThrowsAsync<ObjectStoreException>(() => objects.CreateAsync("pins/x", new byte[1]).AsTask());
        await Assert.ThrowsAsync<ObjectStoreException>(() => objects.DeleteAsync(["store.json"]).AsTask());
    }
}
