using RecoveryVfs.RecoveryLog.Objects;

namespace RecoveryVfs.RecoveryLog.Tests.Remote;

public sealed class RemoteUrlTests
{
    static string? Nothing(string name) => null;

    [Fact]
    public void Plain_s3_url_leaves_the_rest_to_aws()
    {
        var url = RemoteUrl.Parse("s3://bucket/some/prefix/", Nothing);
        Assert.Equal(("bucket", "some/prefix", null, null, false),
            (url.Bucket, url.Prefix, url.Endpoint, url.Region, url.ForcePathStyle));
        Assert.Equal("s3://bucket/some/prefix", url.ToString());
    }

    [Fact]
    public void Options_are_read_and_an_endpoint_implies_path_style()
    {
        var url = RemoteUrl.Parse(
            "s3://bucket?endpoint=http://127.0.0.1:9000&region=eu-west-1&storage-class=STANDARD_IA", Nothing);
        Assert.Equal(("", "eu-west-1", true, "STANDARD_IA"),
            (url.Prefix, url.Region, url.ForcePathStyle, url.StorageClass));
        Assert.Equal(url, RemoteUrl.Parse(url.ToString(), Nothing));
        Assert.False(RemoteUrl.Parse("s3://bucket?endpoint=https://x.y&force-path-style=false", Nothing)
            .ForcePathStyle);
    }

    [Fact]
    public void Environment_completes_and_the_url_wins()
    {
        static string? Environment(string name) => name switch
        {
            "AWS_ENDPOINT_URL" => "http://localhost:1234",
            "AWS_REGION" => "us-west-2",
            _ => null,
        };
        var url = RemoteUrl.Parse("s3://bucket/p", Environment);
        Assert.Equal((1234, "us-west-2", true), (url.Endpoint!.Port, url.Region, url.ForcePathStyle));
        Assert.Equal("there", RemoteUrl.Parse("s3://bucket/p?endpoint=http://there&region=x", Environment)
            .Endpoint!.Host);
    }

    [Fact]
    public void Directory_url_is_a_path()
    {
        Assert.Equal("/mnt/my remote", RemoteUrl.Parse("file:///mnt/my%20remote/", Nothing).Directory!.TrimEnd('/'));
    }

    [Theory]
    [InlineData("bucket/prefix")]
    [InlineData("http://bucket")]
    [InlineData("s3:///prefix")]
    [InlineData("s3://key:secret@bucket/x")]
    [InlineData("s3://key:secret@bucket/x y")]
    [InlineData("s3://bucket/x?access-key=secret")]
    [InlineData("s3://bucket/x?endpoint=https://key:secret@host")]
    [InlineData("s3://bucket/x?endpoint=https://host/?key=secret")]
    [InlineData("s3://bucket/x?endpoint=secret")]
    [InlineData("s3://bucket/x?force-path-style=secret")]
    [InlineData("s3://bucket/x?unknown=1")]
    [InlineData("s3://bucket/x?endpoint=nonsense")]
    [InlineData("s3://bucket/a/%2e%2e/b%20c")]
    [InlineData("s3://bucket/x?force-path-style=perhaps")]
    [InlineData("file://host/dir")]
    [InlineData("file:///")]
    [InlineData("file:///dir?x=1")]
    public void Nonsense_is_refused_with_the_two_right_forms(string text)
    {
        var e = Assert.Throws<RecoveryException>(() => RemoteUrl.Parse(text, Nothing));
        Assert.Equal(RecoveryError.Invalid, e.Error);
        Assert.Contains("file:///", e.Message);
        Assert.DoesNotContain("secret", e.Message);
    }
}
