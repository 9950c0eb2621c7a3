using RecoveryVfs.TestServers;

namespace RecoveryVfs.Bench;

/// <summary>
/// Where remotes are while the bench runs: Ceph's S3 gateway on loopback, in memory; where it is not installed,
/// directories in memory.
/// </summary>
internal static class RemoteServer
{
    static readonly Lazy<S3Server?> server = new(Start);
    static readonly string directory =
        Path.Combine(Directory.Exists("/dev/shm") ? "/dev/shm" : Path.GetTempPath(),
        "recovery-bench-" + Guid.NewGuid().ToString("N"));
    static int count;

    public static bool IsS3 => server.Value is not null;

    /// <summary>The S3 server, if there is one.</summary>
    public static S3Server? Server => server.Value;

    static S3Server? Start()
    {
        if (!File.Exists("/usr/bin/radosgw")) return null;
        var started = new S3Server();
        foreach (var (name, value) in started.Environment) Environment.SetEnvironmentVariable(name, value);
        return started;
    }

    /// <summary>A new remote's URL.</summary>
    public static string NewUrl() => IsS3
        ? $"s3://{server.Value!.NewBucketAsync().GetAwaiter().GetResult()}/bench"
        : NewDirectoryUrl();

    /// <summary>The same in a directory in memory, which costs no other process anything.</summary>
    public static string NewDirectoryUrl()
        => new Uri(Path.Combine(directory, $"{Interlocked.Increment(ref count)}")).AbsoluteUri;

    public static void Stop()
    {
        Recovery.CloseIdleStores();
        if (server.IsValueCreated) server.Value?.Dispose();
        if (Directory.Exists(directory)) Directory.Delete(directory, recursive: true);
    }
}
