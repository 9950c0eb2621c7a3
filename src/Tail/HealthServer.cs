using System.Globalization;
using System.Net;
using System.Text;
using RecoveryVfs.PageStore.Follow;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.Tail;

/// <summary>
/// <c>--listen</c>: <c>/health</c> (200 unless it gave up), <c>/ready</c> (200 when it has caught up) and <c>/metrics</c>, for whoever orchestrates.
/// </summary>
sealed class HealthServer : IDisposable
{
    readonly HttpListener listener = new();
    readonly Follower follower;

    HealthServer(Follower follower) => this.follower = follower;

    public static HealthServer Start(string address, Follower follower)
    {
        var server = new HealthServer(follower);
        try
        {
            server.listener.Prefixes.Add($"http://{(address.StartsWith(':') ? "*" + address : address)}/");
            server.listener.Start();
        }
        catch (Exception e) when (e is HttpListenerException or ArgumentException)
        {
            throw new RecoveryException(RecoveryError.Invalid, $"--listen cannot be '{address}': {e.Message} Give an address and a free port, as 127.0.0.1:9090.", e);
        }
        _ = server.ServeAsync();
        return server;
    }

    async Task ServeAsync()
    {
        while (listener.IsListening)
        {
            try
            {
                Answer(await listener.GetContextAsync());
            }
            catch (Exception e) when (e is HttpListenerException or ObjectDisposedException or IOException)
            {
                // Who asked has gone, or we close.
            }
        }
    }

    void Answer(HttpListenerContext context)
    {
        var state = follower.State;
        var (code, text) = context.Request.Url?.AbsolutePath switch
        {
            "/health" => (state.Phase == FollowerPhase.Failed ? 503 : 200, Word(state)),
            "/ready" => (state.Phase == FollowerPhase.Following ? 200 : 503, Word(state)),
            "/metrics" => (200, Metrics(state)),
            _ => (404, "Ask for /health, /ready or /metrics.\n"),
        };
        var bytes = Encoding.UTF8.GetBytes(text);
        context.Response.StatusCode = code;
        context.Response.ContentType = "text/plain; version=0.0.4; charset=utf-8";
        context.Response.ContentLength64 = bytes.Length;
        context.Response.OutputStream.Write(bytes);
        context.Response.Close();
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

    public void Dispose() => listener.Close();
}
