using System.Diagnostics;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using Amazon.Runtime;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.State;
using RecoveryVfs.RecoveryLog.Remote.Write;
using RecoveryVfs.Simulation;
using RecoveryVfs.TestServers;

namespace RecoveryVfs.RecoveryLog.Tests.Remote;

/// <summary>Object stores that do not keep the one promise that everything rests on are refused by name.</summary>
public sealed class RefusedServerTests
{
    /// <summary>npm's s3rver ignores If-None-Match and overwrites.</summary>
    [Fact]
    public async Task S3rver_is_refused_by_name()
    {
        int port = S3Server.FreePort();
        string data = Directory.CreateTempSubdirectory("recovery-s3rver-").FullName;
        using var server = StartS3rver(port, data);
        try
        {
            await UntilItAnswersAsync(port, server);
            await using var store =
                new S3ObjectStore(RemoteUrl.Parse($"s3://bucket/p?endpoint=http://127.0.0.1:{port}", _ => null),
                TimeProvider.System, new BasicAWSCredentials("S3RVER", "S3RVER"));
            var e = await Assert.ThrowsAsync<RecoveryException>(() => RemoteProbe.CheckAsync(store, new Random(1)));
            Assert.Equal(RecoveryError.Unsupported, e.Error);
            Assert.Contains($"127.0.0.1:{port}", e.Message);
            Assert.Contains("If-None-Match", e.Message);
        }
        finally
        {
            server.Kill(entireProcessTree: true);
            await server.WaitForExitAsync();
            Directory.Delete(data, true);
        }
    }

    [Fact]
    public async Task Server_that_overwrites_is_refused_and_nothing_is_written_to_it()
    {
        var bucket = new SimulatedBucket(TimeProvider.System);
        await using var store = new Overwriting(bucket);
        var log = LogTesting.Open(new PowerLossDisk());
        var shipper =
            new Shipper(new RemoteContext { Store = store }, log, new ShipperOptions { Author = 1, MayCreate = true });
        shipper.Start();
        var e = await Assert.ThrowsAsync<RecoveryException>(() => shipper.ConnectedAsync());
        Assert.Equal(RecoveryError.Unsupported, e.Error);
        Assert.Equal(ShipperPhase.Failed, shipper.State.Phase);
        Assert.Throws<RecoveryException>(shipper.ThrowIfLost);
        Assert.Empty(bucket.Names);
        await shipper.DisposeAsync();
    }

    [Fact]
    public async Task Server_that_answers_501_is_refused()
    {
        await using var store = new Unsupporting(new SimulatedBucket(TimeProvider.System));
        var e = await Assert.ThrowsAsync<RecoveryException>(() => RemoteProbe.CheckAsync(store, new Random(1)));
        Assert.Contains("conditional create", e.Message);
        Assert.Equal((RecoveryError.Unsupported, store.Location, false), (e.Error, e.Path, e.IsTransient));
        Assert.StartsWith("Use one with conditional create", e.Hint);
    }

    /// <summary>Installed once into build/, which git ignores.</summary>
    static Process StartS3rver(int port, string data, [CallerFilePath] string here = "")
    {
        string build = Path.GetFullPath(Path.Combine(Path.GetDirectoryName(here)!, "../../../build/s3rver"));
        Directory.CreateDirectory(build);
        string program = Path.Combine(build, "node_modules/s3rver/bin/s3rver.js");
        if (!File.Exists(program))
        {
            using var install =
                Process.Start(
                new ProcessStartInfo("npm", ["install", "--no-save", "--silent", "--prefix", build, "s3rver@3.7.1"]))
                !;
            install.WaitForExit();
            Assert.True(install.ExitCode == 0, "npm install s3rver@3.7.1 failed");
        }
        return Process.Start(
            new ProcessStartInfo("node",
            [program, "-p", $"{port}", "-a", "127.0.0.1", "-d", data, "--configure-bucket", "bucket", "--silent"]))!;
    }

    static async Task UntilItAnswersAsync(int port, Process server)
    {
        var until = Stopwatch.StartNew();
        while (until.Elapsed < TimeSpan.FromSeconds(60))
        {
            Assert.False(server.HasExited, "s3rver ended");
            using var client = new TcpClient();
            try
            {
                await client.ConnectAsync("127.0.0.1", port);
                return;
            }
            catch (SocketException) { await Task.Yield(); }
        }
        throw new TimeoutException($"s3rver does not answer on port {port}");
    }

    sealed class Overwriting(SimulatedBucket bucket) : Wrapping(bucket)
    {
        public override async ValueTask<CreateResult> CreateAsync(string name, ObjectContent content,
            CancellationToken cancellation)
        {
            Bucket.Delete(name);
            await base.CreateAsync(name, content, cancellation);
            return CreateResult.Created;
        }
    }

    sealed class Unsupporting(SimulatedBucket bucket) : Wrapping(bucket)
    {
        public override ValueTask<CreateResult> CreateAsync(string name, ObjectContent content,
            CancellationToken cancellation) =>
            throw new ObjectStoreException(ObjectStoreError.Unsupported, "501 NotImplemented");
    }

    abstract class Wrapping(SimulatedBucket bucket) : IObjectStore
    {
        readonly SimulatedObjectStore inner = new(bucket, new Random(1));
        protected SimulatedBucket Bucket { get; } = bucket;
        public string Location => "s3://bad/bucket";
        public RequestCounters Counters => inner.Counters;
        public virtual ValueTask<CreateResult> CreateAsync(string name, ObjectContent content,
            CancellationToken cancellation) => inner.CreateAsync(name, content, cancellation);
        public ValueTask<ObjectDownload?> GetAsync(string name, long offsetBytes, long? lengthBytes,
            CancellationToken cancellation) => inner.GetAsync(name, offsetBytes, lengthBytes, cancellation);
        public ValueTask<ObjectInfo?> HeadAsync(string name, CancellationToken cancellation)
            => inner.HeadAsync(name, cancellation);
        public IAsyncEnumerable<ObjectInfo> ListAsync(string prefix, string? startAfter, CancellationToken cancellation)
            => inner.ListAsync(prefix, startAfter, cancellation);
        public ValueTask DeleteAsync(IReadOnlyCollection<string> names, CancellationToken cancellation)
            => inner.DeleteAsync(names, cancellation);
        public ValueTask DisposeAsync() => inner.DisposeAsync();
    }
}
