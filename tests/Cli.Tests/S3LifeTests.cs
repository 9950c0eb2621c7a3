using System.Text.RegularExpressions;
using Amazon.S3;
using Amazon.S3.Model;
using Microsoft.Data.Sqlite;
using RecoveryVfs.TestServers;

namespace RecoveryVfs.Cli.Tests;

[Collection(S3Collection.Name)]
public sealed class S3LifeTests : RemoteLifeTests
{
    readonly S3Server server;

    public S3LifeTests(S3Server server)
    {
        this.server = server;
        // Connections of this process find the server as an application's would.
        foreach (var (name, value) in server.Environment) System.Environment.SetEnvironmentVariable(name, value);
    }

    protected override string NewRemote() => $"s3://{server.NewBucketAsync().GetAwaiter().GetResult()}/some/prefix";

    protected override Dictionary<string, string> Environment => server.Environment;

    protected override void Damage(string remote)
    {
        var bucket = new Uri(remote).Host;
        using var client = new AmazonS3Client(S3Server.Credentials, new AmazonS3Config
        {
            ServiceURL = server.Endpoint.AbsoluteUri,
            ForcePathStyle = true,
            RequestChecksumCalculation = Amazon.Runtime.RequestChecksumCalculation.WHEN_REQUIRED,
        });
        var key = client.ListObjectsV2Async(
            new ListObjectsV2Request { BucketName = bucket, Prefix = "some/prefix/hints/" }).Result.S3Objects[0].Key;
        using var found = client.GetObjectAsync(bucket, key).Result;
        using var bytes = new MemoryStream();
        found.ResponseStream.CopyTo(bytes);
        bytes.GetBuffer()[bytes.Length - 1] ^= 1;
        bytes.Position = 0;
        client.PutObjectAsync(
            new PutObjectRequest { BucketName = bucket, Key = key, InputStream = bytes, UseChunkEncoding = false })
            .Wait();
    }

    Outcome RunWith(string name, string value, params string[] arguments) =>
        Recover.RunWith(new(server.Environment) { [name] = value }, arguments);

    [Fact]
    public void Wrong_credentials_a_missing_bucket_and_a_server_that_is_not_there_are_told_apart()
    {
        var remote = NewRemote();
        using (var db = Open("data", remote)) Shipped.Execute(db, "CREATE TABLE t(x); PRAGMA recovery_sync");
        Shipped.Close();
        foreach (var arguments in (string[][])[["status", remote], ["restore", remote, Place("r")], ["verify", remote],
            ["log", remote]])
        {
            Assert.Contains("credentials", RunWith("AWS_SECRET_ACCESS_KEY", "wrong", arguments).MustEndWith(1).Errors);
            Assert.Contains("can be reached",
                RunWith("AWS_ENDPOINT_URL", $"http://127.0.0.1:{S3Server.FreePort()}", arguments).MustEndWith(1)
                .Errors);
            string[] elsewhere = [.. arguments.Select(a => a == remote ? "s3://no-such-bucket/x" : a)];
            Assert.Contains("NoSuchBucket", Run(elsewhere).MustEndWith(1).Errors);
        }
        Assert.Equal("unreachable", RunWith("AWS_SECRET_ACCESS_KEY", "wrong", "status", Place("data"), "--json")
            .MustEndWith(1).Json.GetProperty("state").GetString());
        Assert.False(Directory.Exists(Place("r")));
    }

    [Fact]
    public async Task An_application_whose_bucket_is_missing_goes_on_locally_and_looks_ill()
    {
        using (var db = Open("data", "s3://no-such-bucket/x"))
        {
            Shipped.Execute(db, "CREATE TABLE t(x)");
            Assert.True(SpinWait.SpinUntil(() => Shipped.Scalar(db, "PRAGMA recovery_status")
                .Contains("remote_state: outage"), TimeSpan.FromSeconds(60)));
            var status = Shipped.Scalar(db, "PRAGMA recovery_status");
            Assert.Contains("remote_healthy: no", status);
            Assert.Contains("NoSuchBucket", status);
            // Waiting would not bring a bucket.
            Assert.Contains("NoSuchBucket",
                Assert.ThrowsAny<Exception>(() => Shipped.Execute(db, "PRAGMA recovery_sync")).Message);
            Shipped.Execute(db, "INSERT INTO t VALUES (1)");
        }
        Shipped.Close();
        // The trouble is over: the next who asks need not wait for the next try, nor hear of the last one.
        var bucket = "late-" + Guid.NewGuid().ToString("N");
        using (var db = Open("late", $"s3://{bucket}/x"))
        {
            Shipped.Execute(db, "CREATE TABLE t(x)");
            string Failed()
                => Regex.Match(Shipped.Scalar(db, "PRAGMA recovery_status"), "remote_requests_failed: ([0-9]+)")
                    .Groups[1].Value;
            var (before, looks) = ("", 0);
            while (before != Failed())
            {
                Assert.True(++looks < 30, "it never rests");
                before = Failed();
                // Only that nothing is tried for a while shows that it rests longer and longer between its tries.
                await Task.Delay(2000);
            }
            Assert.Contains("remote_state: outage", Shipped.Scalar(db, "PRAGMA recovery_status"));
            await server.NewBucketAsync(bucket);
            Shipped.Execute(db, "PRAGMA recovery_sync");
            Assert.Contains("remote_healthy: yes", Shipped.Scalar(db, "PRAGMA recovery_status"));
        }
        Shipped.Close();
        Assert.Contains("NoSuchBucket",
            Run("sync", "--wait", "--timeout", "2s", Place("data"), "--remote", "s3://no-such-bucket/x").MustEndWith(1)
            .Errors);
    }

    [Fact]
    public void A_gateway_that_dies_and_comes_back_loses_nothing()
    {
        var remote = NewRemote();
        using (var db = Open("data", remote))
        {
            Shipped.Execute(db, "CREATE TABLE t(id INTEGER PRIMARY KEY); PRAGMA recovery_sync");
            server.StopGateway();
            for (var i = 0; i < 50; i++) Shipped.Execute(db, "INSERT INTO t DEFAULT VALUES");
            Assert.True(SpinWait.SpinUntil(() => Shipped.Scalar(db, "PRAGMA recovery_status")
                .Contains("remote_state: outage"), TimeSpan.FromSeconds(60)));
            var outage = Assert.ThrowsAny<Exception>(() => Shipped.Execute(db, "PRAGMA recovery_sync=1")).Message;
            Assert.Contains("can be reached", outage);
            Assert.Contains("is shipped once", outage);
            Assert.Contains("give the seconds",
                Assert.ThrowsAny<Exception>(() => Shipped.Execute(db, "PRAGMA recovery_sync=soon")).Message);
            server.StartGateway();
            Shipped.Execute(db, "PRAGMA recovery_sync");
            Assert.Contains("remote_healthy: yes", Shipped.Scalar(db, "PRAGMA recovery_status"));
        }
        Shipped.Close();
        Run("restore", remote, "-o", Place("back.db")).MustEndWith(0);
        Assert.Equal(50, Shipped.RowsOfPlain(Place("back.db")));
    }
}
