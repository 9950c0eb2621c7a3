using RecoveryVfs.PageStore.Follow;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.TestServers;

namespace RecoveryVfs.PageStore.Tests;

/// <summary>Followers of a directory.</summary>
[Trait(Seeds.Kind, Seeds.Random)]
public sealed class DirectoryFollowerTests : DirectoryFollowers;

/// <summary>Followers of a directory whose pages come when they are read.</summary>
[Trait(Seeds.Kind, Seeds.Random)]
public sealed class LazyDirectoryFollowerTests : DirectoryFollowers
{
    protected override FetchMode Fetch => FetchMode.Lazy;

    protected override int Rounds => 20;
}

/// <summary>The remote is a directory.</summary>
public abstract class DirectoryFollowers : FollowerContract
{
    string Bucket => Path.Combine(Root, "bucket");

    protected override string Url => "file://" + Bucket;

    protected override int Rounds => 60;

    protected override void StopRemote() => Directory.Move(Bucket, Bucket + "-away");

    protected override void StartRemote() => Directory.Move(Bucket + "-away", Bucket);
}

/// <summary>Followers of Ceph's gateway.</summary>
[Collection(S3Collection.Name)]
[Trait(Seeds.Kind, Seeds.Random)]
public sealed class S3FollowerTests : FollowerContract
{
    readonly S3Server server;
    readonly RemoteUrl url;

    public S3FollowerTests(S3Server server)
    {
        S3Server.SetEnvironment();
        this.server = server;
        url = RemoteUrl.Parse(
            $"s3://{server.NewBucketAsync().GetAwaiter().GetResult()}/a/prefix?endpoint={server.Endpoint}");
    }

    protected override string Url => url.ToString();

    protected override int Rounds => 30;

    protected override void StopRemote() => server.StopGateway();

    protected override void StartRemote() => server.StartGateway();

    [Fact]
    public Task A_user_who_may_only_read_can_follow_and_is_told_that_there_is_no_pin() => Seeded(async () =>
    {
        using var writer = OpenWriter();
        var lsn = Write(writer, 10);
        var reader = await server.NewReaderAsync(url.Bucket!);
        await using var follower =
            await Follower.StartAsync(
            Following("follower", pin: true) with { Open = () => new S3ObjectStore(url, TimeProvider.System, reader) },
            Patience);
        await Compare(follower, lsn);
        await follower.CaughtUpAsync(Patience);
        Assert.Contains("403", follower.State.PinError);
        await Compare(follower, Write(writer, 10));
        var refused = await Assert.ThrowsAsync<RecoveryException>(() => follower.PromoteAsync(Patience));
        Assert.Equal(RecoveryError.Remote, refused.Error);
        // Nothing was fenced.
        Write(writer, 5);
    });
}
