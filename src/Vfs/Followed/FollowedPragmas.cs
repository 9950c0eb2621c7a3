using System.Diagnostics;
using System.Globalization;
using RecoveryVfs.PageStore.Follow;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Views;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.Followed;

/// <summary>
/// The PRAGMAs of a database that somebody else writes: followed in this process, or read from the files of another.
/// </summary>
internal static class FollowedPragmas
{
    // As long as a statement may block on it: a busy timeout is not ours to see.
    static readonly TimeSpan WaitPatience = TimeSpan.FromSeconds(30);

    // Another process's log cannot be waited for, only looked at.
    static readonly TimeSpan LookInterval = TimeSpan.FromMilliseconds(5);

    /// <summary>The answer to a pragma; null when it is none of ours.</summary>
    public static string? Answer(FollowedFile file, string pragma, string? value)
    {
        var source = file.Source;
        switch (pragma)
        {
            case "recovery_lsn":
                using (var reader = source.Read()) return Text(reader.Lsn);
            case "recovery_wait_lsn":
                return Text(Wait(source, value));
            case "recovery_lag":
                // In milliseconds: how old what readers see may be. What was committed beside a reading process before
                // a transaction began is seen by it.
                return source is Follower { State.Lag: var lag }
                    ? Text((ulong)lag.TotalMilliseconds)
                    : Text((ulong)((StoreView)source).Lag.TotalMilliseconds);
            case "recovery_status":
                return string.Join('\n',
                    (source is Follower follower ? StatusOf(file, follower) : StatusOf(file, (StoreView)source))
                    .Select(v => $"{v.Name}: {v.Value}"));
            case "recovery_fetched":
                return FetchedFigures.Text((source as Follower)?.Fetched);
            case "recovery_verify":
                using (var reader = source.Read())
                {
                    var problems = reader.Verify(value is "all" or "store" ? null : file.Open.Name);
                    return problems.Count == 0 ? "ok" : string.Join('\n', problems);
                }
            case "recovery_databases":
                using (var reader = source.Read())
                    return string.Join('\n', source is Follower ? reader.Databases : reader.AllDatabases);
            case "recovery_store":
                return source.Directory;
            case "recovery_database":
                return file.Open.Name;
            case "recovery_last_error":
                return Failures.Latest;
            default:
                return null;
        }
    }

    static ulong Wait(IFollowedStore source, string? value)
    {
        if (!ulong.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var lsn))
            throw new RecoveryException(RecoveryError.Invalid,
                "recovery_wait_lsn wants an LSN: PRAGMA recovery_wait_lsn=N, with N from the writer's PRAGMA "
                    + "recovery_lsn.");
        return source is Follower follower ? Wait(follower, lsn) : Wait((StoreView)source, lsn);
    }

    static ulong Wait(Follower follower, ulong lsn)
    {
        try
        {
            using var patience = new CancellationTokenSource(WaitPatience);
            Task.Run(() => follower.WaitForAsync(lsn, patience.Token)).GetAwaiter().GetResult();
            return follower.State.Lsn;
        }
        catch (OperationCanceledException)
        {
            throw TooLate($"The follower {follower.Directory}", follower.State.Lsn, lsn, "See PRAGMA recovery_status.");
        }
    }

    static ulong Wait(StoreView view, ulong lsn)
    {
        var started = Stopwatch.GetTimestamp();
        while (true)
        {
            using (var reader = view.Read())
            {
                if (reader.Lsn >= lsn) return reader.Lsn;
                if (Stopwatch.GetElapsedTime(started) > WaitPatience)
                    throw TooLate($"The store {view.Directory}", reader.Lsn, lsn,
                        $"Its writer: {view.Holder ?? "none"}.");
            }
            // The writer knows nothing of its readers, so nobody would wake this one.
            Thread.Sleep(LookInterval);
        }
    }

    static RecoveryException TooLate(string who, ulong at, ulong lsn, string hint) =>
        new(RecoveryError.Busy,
            $"{who} stands at LSN {at} and did not reach {lsn} in {WaitPatience.TotalSeconds:0} s. {hint}")
        { Lsn = at };

    static IEnumerable<(string Name, object? Value)> StatusOf(FollowedFile file, Follower follower)
    {
        var state = follower.State;
        yield return ("store", follower.Directory);
        yield return ("database", file.Open.Name);
        yield return ("state", "follower");
        yield return ("follows", follower.Url);
        yield return ("follower_state", state.Phase.ToString().ToLowerInvariant());
        if (state.Phase == FollowerPhase.Still) yield return ("moment", follower.Moment);
        yield return ("lsn", state.Lsn);
        yield return ("lag_ms", (long)state.Lag.TotalMilliseconds);
        yield return ("lag_records", state.LagRecords);
        yield return ("lag_bytes", state.LagBytes);
        yield return ("started_over", state.StartedOver);
        if (follower.Fetched is { } fetched)
            foreach (var (name, value) in fetched.Rows()) yield return (name, value);
        if (state.LastError is { } error) yield return ("follower_error", error.Message);
        if (state.PinError is { } pin) yield return ("pin_error", pin);
    }

    static IEnumerable<(string Name, object? Value)> StatusOf(FollowedFile file, StoreView view)
    {
        using var reader = view.Read();
        yield return ("store", view.Directory);
        yield return ("database", file.Open.Name);
        yield return ("state", "read-only");
        yield return (view.IsReplica ? "follower" : "writer", view.Holder ?? "none");
        if (view.IsReplica) yield return ("lag_ms", (long)view.Lag.TotalMilliseconds);
        yield return ("openings", view.Openings);
        foreach (var (name, value) in reader.Status())
            if (name is "lsn" or "databases" or "log_id" || name.StartsWith("page_cache", StringComparison.Ordinal)
                || name.Contains("pending_bytes", StringComparison.Ordinal)
                || name.EndsWith("files", StringComparison.Ordinal) || name == "files_lsn") yield return (name, value);
    }

    static string Text(ulong number) => number.ToString(CultureInfo.InvariantCulture);
}
