using System.Net;
using System.Text;
using RecoveryVfs.TestServers;

namespace RecoveryVfs.Dist.Tests;

/// <summary>
/// examples/metrics, sending what operators watch to a collector, as OpenTelemetry's own exporter does.
/// </summary>
public sealed class MetricsTests
{
    [Fact]
    public async Task An_OpenTelemetry_collector_gets_what_operators_watch()
    {
        using var project = new ExampleProject("metrics");
        using var store = new StoreDirectory();
        using var remote = new StoreDirectory();
        using var collector = new HttpListener();
        var address = $"http://127.0.0.1:{S3Server.FreePort()}/";
        collector.Prefixes.Add(address);
        collector.Start();
        var collecting = CollectAsync(collector);
        var outcome =
            project.Run(new() { ["OTEL_EXPORTER_OTLP_ENDPOINT"] = address }, store.Path, $"file://{remote.Path}/r");
        Assert.Equal("sent", outcome.Lines[^1]);
        collector.Stop();
        // Protocol buffers keep names as they are.
        var received = await collecting;
        foreach (var name in (string[])["RecoveryVfs.Remote", "recovery.remote.healthy", "recovery.remote.lag",
            "recovery.remote.shipped.lsn", "recovery.remote.requests", store.Path])
            Assert.Contains(name, received);
    }

    static async Task<string> CollectAsync(HttpListener collector)
    {
        var received = new StringBuilder();
        try
        {
            while (true)
            {
                var request = await collector.GetContextAsync();
                using var body = new MemoryStream();
                await request.Request.InputStream.CopyToAsync(body);
                received.Append(Encoding.Latin1.GetString(body.ToArray()));
                request.Response.StatusCode = request.Request.Url!.AbsolutePath == "/v1/metrics" ? 200 : 404;
                request.Response.ContentType = "application/x-protobuf";
                request.Response.Close();
            }
        }
        catch (Exception e) when (e is HttpListenerException or ObjectDisposedException)
        {
            // Stopped.
        }
        return received.ToString();
    }
}
