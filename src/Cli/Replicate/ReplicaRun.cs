using RecoveryVfs.RecoveryLog;
using RecoveryVfs.Replicate;

namespace RecoveryVfs.Cli.Replicate;

/// <summary>The replicators of one process, one a group, with the directories that they watch.</summary>
internal sealed class ReplicaRun : IAsyncDisposable
{
    static readonly TimeSpan LookAtDirectories = TimeSpan.FromSeconds(2);

    readonly List<(ReplicaGroup Group, SqliteReplicator Replicator)> running = [];
    readonly CancellationTokenSource stopping = new();
    // Directories that could not be looked at the last time.
    readonly HashSet<string> warned = new(StringComparer.Ordinal);
    readonly EventLines log;
    Task watching = Task.CompletedTask;

    ReplicaRun(EventLines log) => this.log = log;

    public IReadOnlyList<ReplicatorStatus> Status => [.. running.Select(r => r.Replicator.Status)];

    public static async Task<ReplicaRun> StartAsync(IReadOnlyList<ReplicaGroup> groups, EventLines log,
        bool waitForLook, CancellationToken cancellation)
    {
        var run = new ReplicaRun(log);
        try
        {
            foreach (var group in groups)
            {
                var found = group.Directories.SelectMany(DirectoryLook.Find)
                    .Where(d => DirectoryLook.IsDatabase(d.Path));
                var options = group.Options with { Events = log.Write, WaitForFirstLook = waitForLook };
                run.running.Add(
                    (group, await SqliteReplicator.StartAsync([.. group.Databases, .. found], group.Url, options,
                    cancellation)));
            }
            if (groups.Any(g => g.Directories.Any(d => d.Watch)))
                run.watching = Task.Run(run.WatchAsync, CancellationToken.None);
            return run;
        }
        catch
        {
            await run.DisposeAsync();
            throw;
        }
    }

    async Task WatchAsync()
    {
        try
        {
            while (true)
            {
                await Task.Delay(LookAtDirectories, stopping.Token);
                foreach (var (group, replicator) in running)
                    foreach (var directory in group.Directories.Where(d => d.Watch))
                        await LookAsync(replicator, directory);
            }
        }
        catch (OperationCanceledException)
        {
            // It ends.
        }
    }

    async Task LookAsync(SqliteReplicator replicator, DatabaseDirectory directory)
    {
        try
        {
            var known = replicator.Status.Databases;
            foreach (var gone in known.Where(k => k.Phase == ReplicationPhase.Missing && IsIn(directory, k.Path)
                && !File.Exists(k.Path)))
            {
                await replicator.RemoveDatabaseAsync(gone.Path);
                log.Write("info", "removed", gone.Path, "is gone; its mirror stays restorable");
            }
            var found = DirectoryLook.Find(directory).ToList();
            foreach (var each in found.Where(f => known.All(k => k.Path != f.Path) && DirectoryLook.IsDatabase(f.Path)))
            {
                replicator.AddDatabase(each);
                log.Write("info", "added", each.Path, "is replicated from now on");
            }
            warned.Remove(directory.Directory);
        }
        catch (Exception e) when (e is RecoveryException or IOException or UnauthorizedAccessException)
        {
            // Once, and not at each look: the directory may come back.
            if (warned.Add(directory.Directory)) log.Write("warning", "directory", directory.Directory, e.Message);
        }
    }

    static bool IsIn(DatabaseDirectory directory, string path)
        => path.StartsWith(Path.GetFullPath(directory.Directory).TrimEnd('/') + "/", StringComparison.Ordinal);

    /// <summary>Brings everything that was committed before into the remotes.</summary>
    public async Task FlushAsync(CancellationToken cancellation = default)
    {
        foreach (var (_, replicator) in running) await replicator.FlushAsync(cancellation);
    }

    public async ValueTask DisposeAsync()
    {
        await stopping.CancelAsync();
        await watching;
        foreach (var (_, replicator) in running) await replicator.DisposeAsync();
        stopping.Dispose();
    }
}
