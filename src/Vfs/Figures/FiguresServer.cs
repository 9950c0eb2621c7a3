using RecoveryVfs.Opening;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Watch;

namespace RecoveryVfs.Figures;

/// <summary>
/// <c>metrics-listen</c>: what operators watch of a writer, over HTTP, without .NET in the application. Stores of a
/// process that name the same address share a server; it listens while one of them is open.
/// </summary>
internal sealed class FiguresServer
{
    static readonly Lock gate = new();
    static readonly Dictionary<string, FiguresServer> servers = new(StringComparer.Ordinal);

    readonly List<OpenStore> stores = [];
    readonly HealthServer server;

    FiguresServer(string address) => server = HealthServer.Start(address, Health, "metrics-listen");

    /// <summary>
    /// Shows a store that was just opened, if it is to be shown. An address that cannot be had is a warning: nothing
    /// else depends on it.
    /// </summary>
    public static IDisposable? Start(OpenStore store)
    {
        if (store.Options.MetricsListen is not { Length: > 0 } address) return null;
        lock (gate)
        {
            try
            {
                if (!servers.TryGetValue(address, out var shared))
                    servers.Add(address, shared = new FiguresServer(address));
                lock (shared.stores) shared.stores.Add(store);
                return new Shown(address, shared, store);
            }
            catch (RecoveryException e)
            {
                Failures.Report(Sqlite.Warning, $"The figures of {store.Directory} are not shown: {e.Message}");
                return null;
            }
        }
    }

    /// <summary>A store is closed only after it was taken out, under the same lock.</summary>
    Health Health()
    {
        lock (stores)
        {
            var states = stores.Select(s
                => (s.Directory, State: s.Store.Status().First(r => r.Key == "state").Value, s.Store.Remote)).ToList();
            var (alive, ready) =
                (states.All(s => s.State == "ok"), states.All(s => s.Remote is null or { State.IsHealthy: true }));
            var word = string.Join("; ",
                states.Select(s
                => $"{s.Directory}: "
                    + s.State
                    + (s.Remote is { State: var remote }
                        ? ", remote " + remote.Phase.ToString().ToLowerInvariant()
                        : "")));
            var figures = StoreFigures.Of(stores);
            return new Health(alive, alive && ready, word, () => figures);
        }
    }

    sealed class Shown(string address, FiguresServer shared, OpenStore store) : IDisposable
    {
        public void Dispose()
        {
            lock (gate)
            {
                lock (shared.stores)
                {
                    shared.stores.Remove(store);
                    if (shared.stores.Count > 0) return;
                }
                servers.Remove(address);
                shared.server.Dispose();
            }
        }
    }
}
