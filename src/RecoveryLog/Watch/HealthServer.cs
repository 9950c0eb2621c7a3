using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;

namespace RecoveryVfs.RecoveryLog.Watch;

/// <summary>
/// <c>--listen</c> and <c>metrics-listen</c>: <c>/health</c> (200 unless it gave up), <c>/ready</c> (200 when nothing
/// is behind) and <c>/metrics</c>, for whoever orchestrates.
/// </summary>
/// <remarks>
/// By hand: one request a connection, of three fixed paths. (Kestrel would add megabytes to a program of its own, and
/// HttpListener has neither deadlines nor a bound.) Whoever connects and says nothing costs at most a place, which the
/// next one takes over.
/// </remarks>
internal sealed class HealthServer : IDisposable
{
    const int ConnectionsMax = 16, RequestBytesMax = 8 << 10;

    /// <summary>For the request and its answer: those who ask are machines, and near.</summary>
    static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    /// <summary>Before accepting is tried again, when the process has no file descriptor left.</summary>
    static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);

    readonly Socket listener;
    readonly Func<Health> health;
    readonly CancellationTokenSource closing = new();
    // Oldest first.
    readonly LinkedList<Socket> open = [];

    HealthServer(Socket listener, Func<Health> health) => (this.listener, this.health) = (listener, health);

    /// <summary>Listens from now on; <paramref name="option"/> is what said where.</summary>
    public static HealthServer Start(string address, Func<Health> health, string option = "--listen")
    {
        Socket? listener = null;
        try
        {
            var endpoint = Parse(address);
            listener = new Socket(endpoint.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
            listener.SetSocketOption(SocketOptionLevel.Socket, SocketOptionName.ReuseAddress, true);
            listener.Bind(endpoint);
            listener.Listen(ConnectionsMax);
        }
        catch (Exception e) when (e is SocketException or FormatException)
        {
            listener?.Dispose();
            throw new RecoveryException(RecoveryError.Invalid,
                $"{option} cannot be '{address}': {e.Message} Give an address and a free port, as 127.0.0.1:9090, "
                    + ":9090 (this machine only) or 0.0.0.0:9090 (all interfaces).", e);
        }
        var server = new HealthServer(listener, health);
        _ = server.AcceptAsync();
        return server;
    }

    /// <summary><c>:PORT</c> is this machine only: what is shown is nobody else's unless somebody says so.</summary>
    static IPEndPoint Parse(string address)
    {
        var colon = address.LastIndexOf(':');
        if (colon < 0
            || !ushort.TryParse(address.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture,
            out var port))
            throw new FormatException("It has no port.");
        var host = address[..colon].Trim('[', ']');
        return new IPEndPoint(host is "" or "localhost" ? IPAddress.Loopback
            : IPAddress.TryParse(host, out var ip) ? ip
            : Dns.GetHostAddresses(host)[0], port);
    }

    async Task AcceptAsync()
    {
        while (!closing.IsCancellationRequested)
        {
            try
            {
                _ = ServeAsync(await listener.AcceptAsync(closing.Token));
            }
            catch (SocketException)
            {
                // The client has gone again, or there is no descriptor for its connection: the oldest connection makes
                // room.
                DropOldest(0);
                await Task.Delay(Pause).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            }
            catch (Exception e) when (e is OperationCanceledException or ObjectDisposedException)
            {
                return;
            }
        }
    }

    async Task ServeAsync(Socket connection)
    {
        LinkedListNode<Socket> place;
        lock (open) place = open.AddLast(connection);
        DropOldest(ConnectionsMax);
        try
        {
            using var deadline = CancellationTokenSource.CreateLinkedTokenSource(closing.Token);
            deadline.CancelAfter(Patience);
            if (await RequestedAsync(connection, deadline.Token) is not { } path) return;
            for (ReadOnlyMemory<byte> rest = Answer(path); !rest.IsEmpty;)
                rest = rest[await connection.SendAsync(rest, deadline.Token)..];
            connection.Shutdown(SocketShutdown.Both);
        }
        catch (Exception e) when (e is SocketException or OperationCanceledException or ObjectDisposedException)
        {
            // Who asked has gone, was too slow, or made room.
        }
        finally
        {
            lock (open)
                if (place.List is not null) open.Remove(place);
            connection.Dispose();
        }
    }

    /// <summary>Closes the oldest connection when there are more than so many.</summary>
    void DropOldest(int connectionsMax)
    {
        Socket? oldest = null;
        lock (open)
            if (open.Count > connectionsMax)
            {
                oldest = open.First!.Value;
                open.RemoveFirst();
            }
        oldest?.Dispose();
    }

    /// <summary>The path of a request, once all of it is there; null when it is none, or too long.</summary>
    static async Task<string?> RequestedAsync(Socket connection, CancellationToken cancellation)
    {
        var bytes = new byte[RequestBytesMax];
        var length = 0;
        while (length < bytes.Length)
        {
            var got = await connection.ReceiveAsync(bytes.AsMemory(length), cancellation);
            if (got == 0) return null;
            length += got;
            if (bytes.AsSpan(0, length).IndexOf("\r\n\r\n"u8) < 0) continue;
            var line = Encoding.ASCII.GetString(bytes.AsSpan(0, bytes.AsSpan().IndexOf("\r\n"u8))).Split(' ');
            return line is ["GET", var path, _] ? path.Split('?')[0] : "";
        }
        return null;
    }

    byte[] Answer(string path)
    {
        var state = health();
        var (code, text) = path switch
        {
            "/health" => (state.IsAlive ? "200 OK" : "503 Service Unavailable", state.Word + "\n"),
            "/ready" => (state.IsReady ? "200 OK" : "503 Service Unavailable", state.Word + "\n"),
            "/metrics" => ("200 OK", state.Metrics()),
            _ => ("404 Not Found", "Ask for GET /health, /ready or /metrics.\n"),
        };
        return Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture,
            $"HTTP/1.1 {code}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: "
                + $"{Encoding.UTF8.GetByteCount(text)}\r\nConnection: close\r\n\r\n{text}"));
    }

    public void Dispose()
    {
        closing.Cancel();
        listener.Dispose();
    }
}

/// <summary>What a program says of itself when it is asked.</summary>
/// <param name="IsAlive">Whether it goes on.</param>
/// <param name="IsReady">Whether it lacks nothing.</param>
/// <param name="Word">Its state, in a line.</param>
/// <param name="Metrics">Its numbers, as Prometheus reads them.</param>
internal sealed record Health(bool IsAlive, bool IsReady, string Word, Func<string> Metrics);
