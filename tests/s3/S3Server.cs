using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Runtime.CompilerServices;
using System.Text.Json.Nodes;
using Amazon.Runtime;
using Amazon.S3;

namespace RecoveryVfs.TestServers;

/// <summary>
/// Ceph's RADOS Gateway on loopback, started by the scripts in tests/s3; its packages are installed when they are
/// missing.
/// </summary>
public sealed class S3Server : IDisposable
{
    const string AccessKey = "testaccesskey", SecretKey = "testsecretkey0123456789";

    readonly string directory = Path.Combine(Path.GetTempPath(), $"recovery-s3-{Guid.NewGuid():n}");
    int buckets;

    public S3Server()
    {
        var port = FreePort();
        Endpoint = new Uri($"http://127.0.0.1:{port}");
        if (!File.Exists("/usr/bin/radosgw"))
        {
            Run("apt-get", ["update", "-q"]);
            Run("apt-get", ["install", "-q", "-y", "--no-install-recommends", "ceph-mon", "ceph-osd", "radosgw"]);
        }
        Run(Script("ceph-start.sh"), [directory], ("RGW_PORT", $"{port}"), ("MON_PORT", $"{FreePort()}"),
            ("ACCESS_KEY", AccessKey), ("SECRET_KEY", SecretKey));
    }

    public Uri Endpoint { get; }

    /// <summary>What a program needs in its environment to use the server.</summary>
    public Dictionary<string, string> Environment => new()
    {
        ["AWS_ENDPOINT_URL"] = Endpoint.AbsoluteUri,
        ["AWS_ACCESS_KEY_ID"] = AccessKey,
        ["AWS_SECRET_ACCESS_KEY"] = SecretKey,
        ["AWS_REGION"] = "us-east-1",
    };

    /// <summary>Lets what opens remotes by their URL find the keys, as a user would give them.</summary>
    public static void SetEnvironment()
    {
        System.Environment.SetEnvironmentVariable("AWS_ACCESS_KEY_ID", AccessKey);
        System.Environment.SetEnvironmentVariable("AWS_SECRET_ACCESS_KEY", SecretKey);
        System.Environment.SetEnvironmentVariable("AWS_REGION", "us-east-1");
    }

    /// <summary>A user who may read a bucket and list it, and nothing else.</summary>
    public Task<AWSCredentials> NewReaderAsync(string bucket) => NewUserAsync(bucket, $$"""
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:GetObject", "s3:ListBucket"],
         "Resource": ["arn:aws:s3:::{{bucket}}", "arn:aws:s3:::{{bucket}}/*"]}]}
        """);

    /// <summary>A user who may do with a bucket what a policy says, and nothing else.</summary>
    public async Task<AWSCredentials> NewUserAsync(string bucket, string policy)
    {
        var name = $"user{Interlocked.Increment(ref buckets)}";
        Run("radosgw-admin",
            ["-c", Path.Combine(directory, "ceph.conf"), "-n", "client.rgw.a", "user", "create", $"--uid={name}",
            $"--display-name={name}",
            $"--access-key={name}key", $"--secret-key={name}secret"]);
        // The policy of a user, put on the bucket, says whose it is.
        var statements = JsonNode.Parse(policy)!;
        foreach (var statement in statements["Statement"]!.AsArray())
            statement!["Principal"] = new JsonObject { ["AWS"] = new JsonArray($"arn:aws:iam:::user/{name}") };
        using var client = NewClient();
        await client.PutBucketPolicyAsync(bucket, statements.ToJsonString());
        return new BasicAWSCredentials(name + "key", name + "secret");
    }

    AmazonS3Client NewClient()
        => new(Credentials, new AmazonS3Config { ServiceURL = Endpoint.AbsoluteUri, ForcePathStyle = true });

    public static AWSCredentials Credentials { get; } = new BasicAWSCredentials(AccessKey, SecretKey);

    /// <summary>Makes a bucket; returns its name.</summary>
    public async Task<string> NewBucketAsync(string? name = null)
    {
        name ??= $"bucket-{Interlocked.Increment(ref buckets)}";
        using var client = NewClient();
        await client.PutBucketAsync(name);
        return name;
    }

    /// <summary>Kills the gateway, as an outage; the objects stay.</summary>
    public void StopGateway() => Run(Script("ceph-rgw.sh"), ["stop", directory]);

    public void StartGateway() => Run(Script("ceph-rgw.sh"), ["start", directory]);

    /// <summary>The gateway takes requests and does not answer them, until <see cref="ResumeGateway"/>.</summary>
    public void PauseGateway() => SignalGateway("-STOP");

    public void ResumeGateway() => SignalGateway("-CONT");

    void SignalGateway(string signal)
        => Run("kill", [signal, File.ReadAllText(Path.Combine(directory, "run/client.rgw.a.pid")).Trim()]);

    public void Dispose()
    {
        Run(Script("ceph-stop.sh"), [directory]);
        Directory.Delete(directory, recursive: true);
    }

    static string Script(string name, [CallerFilePath] string here = "") =>
        Path.Combine(Path.GetDirectoryName(here)!, name);

    internal static int FreePort()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        return ((IPEndPoint)listener.LocalEndpoint).Port;
    }

    static void Run(string program, string[] arguments, params (string Name, string Value)[] environment)
    {
        // Into a file, not a pipe: the daemons that the scripts start would keep a pipe open.
        var output = Path.GetTempFileName();
        var start = new ProcessStartInfo("/bin/bash",
            ["-c", "exec \"$@\" > \"$RUN_OUTPUT\" 2>&1", "run", program, .. arguments]);
        start.Environment["RUN_OUTPUT"] = output;
        start.Environment["DEBIAN_FRONTEND"] = "noninteractive";
        foreach (var (name, value) in environment) start.Environment[name] = value;
        using var process = Process.Start(start)!;
        process.WaitForExit();
        var said = File.ReadAllText(output);
        File.Delete(output);
        if (process.ExitCode != 0)
            throw new InvalidOperationException($"{program} {string.Join(' ', arguments)} failed:\n{said}");
    }
}
