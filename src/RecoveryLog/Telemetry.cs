using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace RecoveryVfs.RecoveryLog;

/// <summary>
/// What is counted and traced in this process, for whoever listens: OpenTelemetry, <c>dotnet-counters</c>. While nobody
/// does, each of these costs one read of a field.
/// </summary>
internal static class Telemetry
{
    /// <summary>The meter of stores and restores.</summary>
    public const string StoreMeter = "RecoveryVfs.Store";

    /// <summary>The source of activities: ship, restore, verify.</summary>
    public static readonly ActivitySource Activities = new("RecoveryVfs");

    static readonly Meter meter = new(StoreMeter);

    static readonly Counter<long> commits =
        meter.CreateCounter<long>("recovery.commits", "{commit}", "Commits, by store");

    static readonly Counter<long> flushes =
        meter.CreateCounter<long>("recovery.flushes", "{flush}",
            "Times that pages were brought into RocksDB's files, by store");

    static readonly Counter<long> compactions =
        meter.CreateCounter<long>("recovery.compactions", "{compaction}",
            "Times that RocksDB's garbage was collected, by store");

    static readonly Counter<long> restores =
        meter.CreateCounter<long>("recovery.restores", "{restore}", "Restores, by remote and result");

    /// <summary>A commit is durable, as far as it was asked for, and seen.</summary>
    public static void Committed(string store)
    {
        if (commits.Enabled) commits.Add(1, new KeyValuePair<string, object?>("store", store));
    }

    /// <summary>Pages were brought into files.</summary>
    public static void Flushed(string store)
    {
        if (flushes.Enabled) flushes.Add(1, new KeyValuePair<string, object?>("store", store));
    }

    /// <summary>Garbage was collected.</summary>
    public static void Compacted(string store)
    {
        if (compactions.Enabled) compactions.Add(1, new KeyValuePair<string, object?>("store", store));
    }

    /// <summary>A restore ended: <c>ok</c>, <c>cancelled</c>, or the name of its error.</summary>
    public static void Restored(string remote, string result)
    {
        if (restores.Enabled)
            restores.Add(1, new KeyValuePair<string, object?>("remote", remote), new KeyValuePair<string,
                object?>("result", result));
    }

    /// <summary>What an operation ended with, as a word.</summary>
    public static string ResultOf(Exception? e) => e switch
    {
        null => "ok",
        OperationCanceledException => "cancelled",
        RecoveryException known => known.Error.ToString(),
        _ => e.GetType().Name,
    };

    /// <summary>Marks an activity as failed, with the error's words.</summary>
    public static void Fail(Activity? activity, Exception e)
    {
        activity?.SetTag("error.type", ResultOf(e));
        activity?.SetStatus(ActivityStatusCode.Error, e.Message);
    }
}
