using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.TestServers;

namespace RecoveryVfs.RecoveryLog.Tests.Remote;

/// <summary>Remotes on the S3 server.</summary>
static class S3Remotes
{
    /// <summary>A new bucket, and a prefix in it.</summary>
    public static async Task<RemoteUrl> NewRemoteAsync(this S3Server server) =>
        RemoteUrl.Parse($"s3://{await server.NewBucketAsync()}/a/prefix?endpoint={server.Endpoint}", _ => null);

    public static async Task<S3ObjectStore> NewStoreAsync(this S3Server server)
        => new(await server.NewRemoteAsync(), TimeProvider.System, S3Server.Credentials);
}
