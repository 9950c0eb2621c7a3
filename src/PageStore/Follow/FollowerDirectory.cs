using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.PageStore.Replicas;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.Read;
using RecoveryVfs.RecoveryLog.Remote.Write;

namespace RecoveryVfs.PageStore.Follow;

/// <summary>Makes a directory a replica of a remote, from its newest hints, and never leaves one that is half made to be taken for whole.</summary>
internal static class FollowerDirectory
{
    // Present while a directory is made or emptied.
    const string UnfinishedMark = "starting-over";

    // Its time is when the follower that runs last had everything. Nothing after a crash goes by it: what it was true of may be lost.
    const string CaughtUpMark = "caught-up";

    static readonly string[] Kept = ["LOCK", "author", "config", FollowerPin.FileName, UnfinishedMark, "following"];

    /// <summary>Whether a replica can be opened there as it is.</summary>
    public static bool IsReplica(string directory) =>
        Store.HasReplicaMark(directory) && !IsUnfinished(directory);

    /// <summary>Whether it is being made or emptied.</summary>
    public static bool IsUnfinished(string directory) => File.Exists(Path.Combine(directory, UnfinishedMark));

    /// <summary>Tells other processes that read the directory when it last lacked nothing.</summary>
    public static void NoteCaughtUp(string directory, DateTimeOffset at)
    {
        var mark = Path.Combine(directory, CaughtUpMark);
        try
        {
            if (!File.Exists(mark)) File.WriteAllText(mark, "Its time is when this follower last had everything that the remote has.\n");
            File.SetLastWriteTimeUtc(mark, at.UtcDateTime);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // On a full disk, or one that may no longer be written, they see an older time; the following itself goes on.
        }
    }

    /// <summary>A follower that has begun knows nothing yet.</summary>
    public static void ForgetCaughtUp(string directory) => File.Delete(Path.Combine(directory, CaughtUpMark));

    /// <summary>When the directory last lacked nothing, as far as that shows.</summary>
    public static DateTimeOffset CaughtUpAt(string directory, bool isFollowed)
    {
        var mark = new FileInfo(Path.Combine(directory, CaughtUpMark));
        return isFollowed && mark.Exists ? mark.LastWriteTimeUtc : Store.CompleteAt(directory);
    }

    /// <summary>Refuses a directory that holds something else.</summary>
    public static void CheckUsable(string directory)
    {
        if (!Directory.Exists(directory) || Store.HasReplicaMark(directory) || IsUnfinished(directory)) return;
        if (Directory.Exists(Path.Combine(directory, "log")))
            throw new RecoveryException(RecoveryError.Invalid,
                $"{directory} is a store with a log of its own, and was left as it is. Give the follower an empty directory; to make this one follow, move it away or delete it first.");
        if (Directory.EnumerateFileSystemEntries(directory).Any(e => !Kept.Contains(Path.GetFileName(e))))
            throw new RecoveryException(RecoveryError.Invalid, $"{directory} is not empty, and no follower's. Give the follower an empty directory.");
    }

    /// <summary>
    /// Empties the directory and brings the newest hints into it; returns where the log goes on. Null, with the directory empty, when the remote has no hints
    /// yet but its whole log.
    /// </summary>
    public static async Task<RemoteLogEnd?> BeginAsync(RemoteContext context, StoreObject store, FollowerOptions options, CancellationToken cancellation)
    {
        var directory = options.Store.Directory;
        Directory.CreateDirectory(directory);
        using var held = StoreLock.Take(directory);
        var mark = Path.Combine(directory, UnfinishedMark);
        File.WriteAllText(mark, "This directory is being filled from a remote. Delete it, or let the follower finish.\n");
        Empty(directory);
        var begun = await FillAsync(context, store, options, cancellation);
        File.Delete(mark);
        return begun;
    }

    static async Task<RemoteLogEnd?> FillAsync(RemoteContext context, StoreObject store, FollowerOptions options, CancellationToken cancellation)
    {
        while (true)
        {
            var plan = await RestorePlanner.PlanAsync(context, RestoreTarget.Newest, cancellation: cancellation);
            if (plan.IsFromBeginning) return null;
            try
            {
                await StoreRestore.PlaceFilesAsync(plan, options.Store, options.Parallelism, static _ => { }, cancellation);
            }
            catch (RecoveryException e) when (e.Error is RecoveryError.Corrupt or RecoveryError.NotFound)
            {
                // Hints that were replaced while we fetched may have been collected: the newer ones then have everything.
                if (await context.HintsUpToAsync(store, ulong.MaxValue, cancellation) is not { } newest || newest.Header.Lsn <= plan.Hints.Header.Lsn) throw;
                Empty(options.Store.Directory);
                continue;
            }
            Store.BeginReplica(options.Store, plan.Hints.Hints);
            Store.WriteReplicaMark(options.Store.Directory);
            Store.SetCompleteAt(options.Store.Directory, DateTimeOffset.FromUnixTimeMilliseconds(plan.Hints.Header.TimeMs));
            return plan.Hints.Header.Start;
        }
    }

    static void Empty(string directory)
    {
        foreach (var path in Directory.EnumerateFileSystemEntries(directory).ToArray())
        {
            if (Kept.Contains(Path.GetFileName(path))) continue;
            if (Directory.Exists(path)) Directory.Delete(path, recursive: true);
            else File.Delete(path);
        }
    }
}
