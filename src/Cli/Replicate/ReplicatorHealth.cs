using System.Globalization;
using System.Text;
using RecoveryVfs.RecoveryLog.Watch;
using RecoveryVfs.Replicate;

namespace RecoveryVfs.Cli.Replicate;

/// <summary>What --listen says of replicators.</summary>
internal static class ReplicatorHealth
{
    public static Health Of(IReadOnlyList<ReplicatorStatus> all)
    {
        var failed = all.Select(s => s.Failed).FirstOrDefault(f => f is not null);
        var why = all.Select(s => s.WhyNotReady).FirstOrDefault(w => w is not null);
        return new(failed is null, why is null, why is null ? "in step" : "behind: " + why.ReplaceLineEndings(" "),
            () => Metrics(all));
    }

    static string Metrics(IReadOnlyList<ReplicatorStatus> all)
    {
        var text = new StringBuilder();
        void Metric(string name, string kind, string help, IEnumerable<(string Label, double Value)> values)
        {
            text.Append(CultureInfo.InvariantCulture,
                $"# HELP recovery_replicator_{name} {help}\n# TYPE recovery_replicator_{name} {kind}\n");
            foreach (var (label, value) in values)
                text.Append(CultureInfo.InvariantCulture, $"recovery_replicator_{name}{{{label}}} {value}\n");
        }
        void OfStores(string name, string kind, string help, Func<ReplicatorStatus, double> value) =>
            Metric(name, kind, help, all.Select(s => ($"store=\"{Escaped(s.Store)}\"", value(s))));
        void OfDatabases(string name, string kind, string help, Func<DatabaseStatus, double> value) =>
            Metric(name, kind, help, all.SelectMany(s => s.Databases)
                .Select(d => ($"database=\"{Escaped(d.Path)}\"", value(d))));
        OfStores("ready", "gauge", "1 when every database is in step and shipped within the bound.",
            s => s.IsReady ? 1 : 0);
        OfStores("failed", "gauge", "1 when it will not go on by itself.", s => s.Failed is null ? 0 : 1);
        OfStores("lsn", "gauge", "The newest LSN of the mirror.", s => s.Lsn);
        OfStores("shipped_lsn", "gauge", "The newest LSN in the remote.", s => s.ShippedLsn);
        OfStores("lag_seconds", "gauge", "The age of the oldest commit that only this machine has.",
            s => s.Lag.TotalSeconds);
        OfDatabases("in_step", "gauge", "1 when the newest look found it in step.",
            d => d.Phase == ReplicationPhase.InStep ? 1 : 0);
        OfDatabases("database_bytes", "gauge", "Its size.", d => d.SizeBytes);
        OfDatabases("transactions_total", "counter", "Transactions taken one by one.", d => d.Transactions);
        OfDatabases("comparisons_total", "counter",
            "How often it was compared whole because something might have been missed.", d => d.Joins);
        OfDatabases("looked_timestamp_seconds", "gauge", "When it was last found in step.",
            d => d.LookedAt?.ToUnixTimeMilliseconds() / 1000.0 ?? 0);
        return text.ToString();
    }

    static string Escaped(string label)
        => label.Replace("\\", "\\\\", StringComparison.Ordinal).Replace("\"", "\\\"", StringComparison.Ordinal)
            .ReplaceLineEndings("\\n");
}
