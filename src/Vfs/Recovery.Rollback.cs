using RecoveryVfs.Operations;
using RecoveryVfs.Rollbacks;

namespace RecoveryVfs;

// Undoing what was committed, by commits.
public static partial class Recovery
{
    /// <summary>
    /// Takes the databases of a store back to an earlier state. Each gets a commit that makes it what it was then, so
    /// nothing is lost: rolling back to <see cref="RollbackResult.Undo"/> undoes it. Connections, in this process or in
    /// the one that has the store open, see a new version; followers follow. The state comes from the store itself,
    /// when it reaches back so far; else from its remote.
    /// </summary>
    /// <param name="directory">The store: its directory, or one of its databases.</param>
    /// <param name="to">A bookmark (<c>PRAGMA recovery_bookmark</c>), an LSN, or a time.</param>
    /// <param name="database">Only this one; null for every one that is there now and was there then.</param>
    /// <param name="progress">Told what is done, from several threads.</param>
    /// <param name="cancellation">Gives up; a database is taken back whole, or not at all.</param>
    public static Task<RollbackResult> RollbackAsync(
        string directory, string to, string? database = null, IProgress<RecoveryProgress>? progress = null,
        CancellationToken cancellation = default)
    {
        RegisterIfNeeded();
        return new Rollback(StoreDirectory.Find(directory), ReportedStep.To(progress), static _ => { })
            .RunAsync(to, database, cancellation);
    }

    /// <summary>What the databases of a store were taken back to, oldest first.</summary>
    /// <param name="directory">The store: its directory, or one of its databases.</param>
    public static IReadOnlyList<RollbackEntry> Rollbacks(string directory)
        => new RollbackList(StoreDirectory.Find(directory).Path).Read();
}
