using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using RecoveryVfs.PageStore.Follow;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.Tail;

/// <summary>
/// <c>--listen</c>: <c>/health</c> (200 unless it gave up), <c>/ready</c> (200 when it has caught up) and <c>/metrics</c>, for whoever orchestrates.
/// </summary>
/// <remarks>
/// By hand: one request a connection, of three fixed paths. (Kestrel would add megabytes to a program of its own, and HttpListener has neither deadlines nor a
/// bound.) Whoever connects and says nothing costs at most a place, which the next one takes over.
/// </remarks>
sealed class HealthServer : IDisposable
{
    const int ConnectionsMax = 16, RequestBytesMax = 8 << 10;

    /// <summary>For the request and its answer: those who ask are machines, and near.</summary>
    static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    /// <summary>Before accepting is tried again, when the process has no file descriptor left.</summary>
    static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(100);

    readonly Socket listener;
    readonly Follower follower;
    readonly CancellationTokenSource closing = new();
    // Oldest first.
    readonly LinkedList<Socket> open = [];

    HealthServer(Socket listener, Follower follower) => (this.listener, this.follower) = (listener, follower);

    public static HealthServer Start(string address, Follower follower)
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
                $"--listen cannot be '{address}': {e.Message} Give an address and a free port, as 127.0.0.1:9090, :9090 (this machine only) or 0.0.0.0:9090 (all interfaces).", e);
        }
        var server = new HealthServer(listener, follower);
        _ = server.AcceptAsync();
        return server;
    }

    /// <summary><c>:PORT</c> is this machine only: what is shown is nobody else's unless somebody says so.</summary>
    static IPEndPoint Parse(string address)
    {
        var colon = address.LastIndexOf(':');
        if (colon < 0 || !ushort.TryParse(address.AsSpan(colon + 1), NumberStyles.None, CultureInfo.InvariantCulture, out var port))
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
                // The client has gone again, or there is no descriptor for its connection: the oldest connection makes room.
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
            for (ReadOnlyMemory<byte> rest = Answer(path); !rest.IsEmpty;) rest = rest[await connection.SendAsync(rest, deadline.Token)..];
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
        var state = follower.State;
        var (code, text) = path switch
        {
            "/health" => (state.Phase == FollowerPhase.Failed ? "503 Service Unavailable" : "200 OK", Word(state)),
            "/ready" => (state.Phase == FollowerPhase.Following ? "200 OK" : "503 Service Unavailable", Word(state)),
            "/metrics" => ("200 OK", Metrics(state)),
            _ => ("404 Not Found", "Ask for GET /health, /ready or /metrics.\n"),
        };
        return Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture,
            $"HTTP/1.1 {code}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: {Encoding.UTF8.GetByteCount(text)}\r\nConnection: close\r\n\r\n{text}"));
    }

    static string Word(FollowerState state) => $"{state.Phase.ToString().ToLowerInvariant()}{(state.LastError is { } e ? ": " + e.Message : "")}\n";

    static string Metrics(FollowerState state)
    {
        var text = new StringBuilder();
        void Metric(string name, string kind, string help, double value) => text.Append(CultureInfo.InvariantCulture,
            $"# HELP recovery_follower_{name} {help}\n# TYPE recovery_follower_{name} {kind}\nrecovery_follower_{name} {value}\n");
        Metric("lsn", "gauge", "The last LSN applied.", state.Lsn);
        Metric("groups_total", "counter", "Record groups applied.", state.Groups);
        Metric("lag_seconds", "gauge", "How far what readers see lies behind.", state.Lag.TotalSeconds);
        Metric("lag_records", "gauge", "Records known to be in the remote and not applied.", state.LagRecords);
        Metric("lag_bytes", "gauge", "Bytes known to be in the remote and not applied.", state.LagBytes);
        Metric("caught_up", "gauge", "1 when it was at the end of the log when it last looked.", state.Phase == FollowerPhase.Following ? 1 : 0);
        Metric("started_over_total", "counter", "How often it started over from hints.", state.StartedOver);
        Metric("failed", "gauge", "1 when it gave up.", state.Phase == FollowerPhase.Failed ? 1 : 0);
        return text.ToString();
    }

    public void Dispose()
    {
        closing.Cancel();
        listener.Dispose();
    }
}
