namespace RecoveryVfs.Cli.Tests;

/// <summary>A remote on S3 where nobody listens.</summary>
static class Nobody
{
    public static string Url => $"s3://bucket/app?endpoint=http://127.0.0.1:{TestServers.S3Server.FreePort()}";

    public static Dictionary<string, string> Credentials { get; } = new()
    {
        ["AWS_ACCESS_KEY_ID"] = "nobody",
        ["AWS_SECRET_ACCESS_KEY"] = "nothing",
        ["AWS_REGION"] = "us-east-1",
    };
}
