using System.Net;
using System.Net.Sockets;

namespace RecoveryVfs.Bench;

/// <summary>
/// Stands before an S3 server and counts what clients send: bytes, and requests. The same for whoever the client is.
/// </summary>
internal sealed class CountingProxy : IDisposable
{
    static readonly byte[] RequestLineEnd = " HTTP/1.1\r\n"u8.ToArray();

    readonly TcpListener listener = new(IPAddress.Loopback, 0);
    readonly Uri server;
    long bytes, requests;

    public CountingProxy(Uri server)
    {
        this.server = server;
        listener.Start();
        _ = AcceptAsync();
    }

    public Uri Endpoint => new($"http://127.0.0.1:{((IPEndPoint)listener.LocalEndpoint).Port}");

    /// <summary>What was sent so far.</summary>
    public (long Bytes, long Requests) Sent => (Interlocked.Read(ref bytes), Interlocked.Read(ref requests));

    async Task AcceptAsync()
    {
        try
        {
            while (true) _ = ServeAsync(await listener.AcceptTcpClientAsync());
        }
        catch (Exception e) when (e is SocketException or ObjectDisposedException)
        {
            // It is over.
        }
    }

    async Task ServeAsync(TcpClient client)
    {
        using var from = client;
        using var to = new TcpClient { NoDelay = true };
        from.NoDelay = true;
        try
        {
            await to.ConnectAsync(server.Host, server.Port);
            await Task.WhenAny(CopyAsync(from.GetStream(), to.GetStream()),
                to.GetStream().CopyToAsync(from.GetStream()));
        }
        catch (Exception e) when (e is IOException or SocketException or ObjectDisposedException)
        {
            // One of them has gone away.
        }
    }

    async Task CopyAsync(NetworkStream from, NetworkStream to)
    {
        var buffer = new byte[64 << 10];
        // The end of a request line may come in two pieces.
        var kept = 0;
        while (await from.ReadAsync(buffer.AsMemory(kept)) is var count and > 0)
        {
            await to.WriteAsync(buffer.AsMemory(kept, count));
            Interlocked.Add(ref bytes, count);
            var all = buffer.AsMemory(0, kept + count);
            Interlocked.Add(ref requests, all.Span.Count(RequestLineEnd));
            kept = Math.Min(RequestLineEnd.Length - 1, all.Length);
            all[^kept..].CopyTo(buffer);
        }
    }

    public void Dispose() => listener.Dispose();
}
