using System.Diagnostics;
using System.Globalization;
using RecoveryVfs.PageStore;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs;

/// <summary>The PRAGMAs of a database whose store another process writes.</summary>
internal static class ViewPragmas
{
    // As long as a statement may block on it: a busy timeout is not ours to see.
    static readonly TimeSpan WaitPatience = TimeSpan.FromSeconds(30);
    static readonly TimeSpan WaitInterval = TimeSpan.FromMilliseconds(5);

    /// <summary>The answer to a pragma; null when it is none of ours.</summary>
    public static string? Answer(FollowedFile file, StoreView view, string pragma, string? value)
    {
        switch (pragma)
        {
            case "recovery_lsn":
                using (var reader = view.Read()) return Text(reader.Lsn);
            case "recovery_wait_lsn":
                return Wait(view, value);
            case "recovery_lag":
                // What was committed before a transaction began is seen by it. How far a follower is behind its remote, only that knows.
                return view.IsReplica ? null : "0";
            case "recovery_status":
                using (var reader = view.Read()) return string.Join('\n', Status(file, view, reader).Select(v => $"{v.Key}: {v.Value}"));
            case "recovery_verify":
                using (var reader = view.Read())
                {
                    var problems = reader.Verify(value is "all" or "store" ? null : file.Open.Name);
                    return problems.Count == 0 ? "ok" : string.Join('\n', problems);
                }
            case "recovery_databases":
                using (var reader = view.Read()) return string.Join('\n', reader.AllDatabases);
            case "recovery_store":
                return view.Directory;
            case "recovery_database":
                return file.Open.Name;
            case "recovery_last_error":
                return Failures.Last;
            default:
                return null;
        }
    }

    static string Wait(StoreView view, string? value)
    {
        if (!ulong.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var lsn))
            throw new RecoveryException(RecoveryError.Invalid, "recovery_wait_lsn wants an LSN: PRAGMA recovery_wait_lsn=N, with N from the writer's PRAGMA recovery_lsn.");
        var started = Stopwatch.GetTimestamp();
        while (true)
        {
            using (var reader = view.Read())
            {
                if (reader.Lsn >= lsn) return Text(reader.Lsn);
                if (Stopwatch.GetElapsedTime(started) > WaitPatience)
                    throw new RecoveryException(RecoveryError.Busy, $"The store {view.Directory} stands at LSN {reader.Lsn} and did not reach {lsn} in {WaitPatience.TotalSeconds:0} s. "
                        + $"Its writer: {view.Holder ?? "none"}.");
            }
            Thread.Sleep(WaitInterval);
        }
    }

    static IEnumerable<KeyValuePair<string, object?>> Status(FollowedFile file, StoreView view, FollowerReader reader)
    {
        yield return new("store", view.Directory);
        yield return new("database", file.Open.Name);
        yield return new("state", "read-only");
        yield return new(view.IsReplica ? "follower" : "writer", view.Holder ?? "none");
        yield return new("openings", view.Openings);
        foreach (var (name, value) in reader.Status())
            if (name is "lsn" or "databases" or "log_id" || name.StartsWith("page_cache", StringComparison.Ordinal) || name.Contains("pending_bytes", StringComparison.Ordinal)
                || name.EndsWith("files", StringComparison.Ordinal) || name == "files_lsn") yield return new(name, value);
    }

    static string Text(ulong lsn) => lsn.ToString(CultureInfo.InvariantCulture);
}
