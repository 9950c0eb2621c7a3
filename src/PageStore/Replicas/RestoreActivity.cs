using RecoveryVfs.PageStore.Sealed;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Remote.Read;

namespace RecoveryVfs.PageStore.Replicas;

/// <summary>A restore as those who watch this process see it: counted, and traced.</summary>
internal static class RestoreActivity
{
    /// <summary>Runs a restore, and tells how it ended.</summary>
    public static async Task<RestoreResult> RunAsync(RestorePlan plan, string place, Func<Task<RestoreResult>> restore)
    {
        var remote = plan.Location;
        using var activity = Telemetry.Activities.StartActivity("recovery.restore");
        activity?.SetTag("recovery.remote", remote).SetTag("recovery.place", place);
        try
        {
            var result = await restore();
            activity?.SetTag("recovery.lsn", result.Lsn).SetTag("recovery.bytes", result.FetchedBytes);
            Telemetry.Restored(remote, Telemetry.ResultOf(null));
            return result;
        }
        catch (Exception e) when (e.GetBaseException() is UnfamiliarFileException)
        {
            // Not the end of it: what comes of a store that is restored first is told by itself.
            Telemetry.Restored(remote, "needs-a-store");
            throw;
        }
        catch (Exception e)
        {
            Telemetry.Fail(activity, e);
            Telemetry.Restored(remote, Telemetry.ResultOf(e));
            throw;
        }
    }
}
