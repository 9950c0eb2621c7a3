using System.Globalization;
using System.Text;
using RecoveryVfs.Opening;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Remote.State;

namespace RecoveryVfs.Figures;

/// <summary>
/// The figures of open stores, as Prometheus reads them. Those of a remote have the names that OpenTelemetry's
/// exporters make of the meter
/// <c>RecoveryVfs.Remote</c>, so that a dashboard takes both.
/// </summary>
internal sealed class StoreFigures(IReadOnlyList<OpenStore> stores)
{
    readonly StringBuilder text = new();

    public static string Of(IReadOnlyList<OpenStore> stores) => new StoreFigures(stores).Write();

    string Write()
    {
        var known = stores.Select(s
            => (Store: s.Directory, Rows: s.Store.Status().DistinctBy(r => r.Key)
                .ToDictionary(r => r.Key, r => r.Value))).ToList();
        void OfStore(string row, string kind, string help, string name = "")
        {
            Begin(name = "recovery_store_" + (name.Length > 0 ? name : row), kind, help);
            foreach (var (store, rows) in known)
                if (rows.TryGetValue(row, out var value)
                    && long.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var number))
                    Sample(name, number, store);
        }
        Begin("recovery_store_ok", "gauge", "1 while the store takes writes.");
        foreach (var (store, rows) in known) Sample("recovery_store_ok", rows["state"] == "ok" ? 1 : 0, store);
        OfStore("databases", "gauge", "Databases in the store.");
        OfStore("lsn", "gauge", "The newest LSN.");
        OfStore("durable_lsn", "gauge", "The newest LSN that is durable on this machine.");
        OfStore("commits", "counter", "Commits since the store was opened.", "commits_total");
        OfStore("commit_pages", "counter", "Pages committed since the store was opened.", "commit_pages_total");
        OfStore("cache_misses", "counter", "Reads that the page cache did not answer.", "cache_misses_total");
        foreach (var (row, what) in ((string, string)[])[("log", "The local log"), ("page_cache", "The page cache"),
            ("overlay", "Uncommitted pages in memory"),
            ("pending", "Committed pages that wait to enter the page store"),
                ("wal_buffer", "The ends of WALs in memory")])
        {
            OfStore($"{row}_bytes", "gauge", what + ".");
            OfStore($"{row}_bytes_max", "gauge", what + ": its bound.");
        }
        Remotes([.. stores.Where(s => s.Store.Remote is not null)
            .Select(s => (s.Directory, s.Store.Remote!.State, s.Options.Time))]);
        return text.ToString();
    }

    void Remotes(IReadOnlyList<(string Store, RemoteState State, TimeProvider Time)> remotes)
    {
        void Gauge(string name, string help, Func<RemoteState, double?> value)
            => All("recovery_remote_" + name, "gauge", help, value);
        void All(string name, string kind, string help, Func<RemoteState, double?> value)
        {
            Begin(name, kind, help);
            foreach (var (store, state, _) in remotes)
                if (value(state) is { } number) Sample(name, number, store);
        }
        Gauge("healthy", "1 while commits are shipped and can be restored.", s => s.IsHealthy ? 1 : 0);
        Gauge("lag_seconds", "Age of the oldest record that only this machine has.", s => s.Lag.TotalSeconds);
        Gauge("lag_records", "Records that only this machine has.", s => s.LagRecords);
        Gauge("lag_bytes", "Bytes of log that only this machine has.", s => s.LagBytes);
        Gauge("shipped_lsn", "Newest LSN in the remote.", s => s.ShippedLsn);
        Gauge("outage", "1 while the remote cannot be reached.", s => s.Phase == ShipperPhase.Outage ? 1 : 0);
        Gauge("fenced", "1 when another writer owns the log.", s => s.Phase == ShipperPhase.Fenced ? 1 : 0);
        Gauge("damaged", "1 when the newest verification found the remote damaged.",
            s => s.Verification?.IsDamage is true ? 1 : 0);
        Begin("recovery_remote_verification_age_seconds", "gauge",
            "How long ago the remote was last proved restorable.");
        foreach (var (store, state, time) in remotes)
            if (state.Verification?.ProvedAt is { } at)
                Sample("recovery_remote_verification_age_seconds", (time.GetUtcNow() - at).TotalSeconds, store);
        All("recovery_remote_failures_total", "counter", "Requests that failed.", s => s.Counters.Failures);
        Begin("recovery_remote_requests_total", "counter", "Requests, by kind and class of objects.");
        foreach (var (store, state, _) in remotes)
            foreach (var kind in Enum.GetValues<RequestKind>())
                foreach (var objects in Enum.GetValues<ObjectClass>())
                    if (state.Counters.Requests(kind, objects) is var count and > 0)
                        Sample("recovery_remote_requests_total", count, store,
                            $",kind=\"{Lower(kind)}\",objects=\"{Lower(objects)}\"");
        Bytes("recovery_remote_sent_bytes_total", "Bytes sent, by class of objects.", (c, o) => c.BytesSent(o));
        Bytes("recovery_remote_received_bytes_total", "Bytes received, by class of objects.",
            (c, o) => c.BytesReceived(o));

        void Bytes(string name, string help, Func<RequestCounters, ObjectClass, long> of)
        {
            Begin(name, "counter", help);
            foreach (var (store, state, _) in remotes)
                foreach (var objects in Enum.GetValues<ObjectClass>())
                    Sample(name, of(state.Counters, objects), store, $",objects=\"{Lower(objects)}\"");
        }
    }

    static string Lower<T>(T value) where T : struct, Enum => value.ToString().ToLowerInvariant();

    void Begin(string name, string kind, string help)
        => text.Append(CultureInfo.InvariantCulture, $"# HELP {name} {help}\n# TYPE {name} {kind}\n");

    void Sample(string name, double value, string store, string labels = "") =>
        text.Append(CultureInfo.InvariantCulture,
            $"{name}{{store=\"{store.Replace("\\", "\\\\").Replace("\"", "\\\"").Replace("\n", "\\n")}\"{labels}}} "
                + $"{value}\n");
}
