using RecoveryVfs.Cli.Commands;
using RecoveryVfs.Operations;
using RecoveryVfs.PageStore.Directories;
using RecoveryVfs.RecoveryLog.Remote.Read;

namespace RecoveryVfs.Cli;

/// <summary>The remote of a recorded RocksDB, restored to a directory that any RocksDB opens.</summary>
internal static class RestoredRocksDb
{
    public static async Task<int> RunAsync(Output to, RemoteAccess remote, RestorePlan plan, string into,
        int parallelism, CancellationToken cancellation)
    {
        into = Path.GetFullPath(into);
        DirectoryRestored result;
        using (var progress = new Progress("restoring", plan.FetchBytes))
            result = await DirectoryRestore.RestoreAsync(plan, into, parallelism, progress.Add, cancellation);
        if (result.Note is { } note) to.Note(note);
        if (plan.ClockNote is { } clock) to.Note(clock);
        to.Result(new RestoreCommand.Report(remote.Url, into, null, result.Lsn, Text.FromMs(result.UnixTimeMs),
            plan.Hints.Header.Lsn, [], result.FetchedBytes, plan.Extents.Count, plan.Segments.Count, false),
            Results.Json.Restore, r =>
        {
            to.Line($"Restored LSN {r.Lsn} ({Text.Time(r.Time!.Value)}) to {r.Store}");
            to.Line($"A RocksDB of {Text.Count(result.Files, "file")}; fetched {Text.Bytes(r.FetchedBytes)}");
        });
        return ExitCode.Ok;
    }
}
