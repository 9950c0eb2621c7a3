using RecoveryVfs.Operations;

namespace RecoveryVfs;

// Remotes that begin as a state of another.
public static partial class Recovery
{
    /// <summary>
    /// Makes a remote of its own that begins with a state of another one. Nothing is copied but a little log: what it
    /// names stays in the parent, where a pin keeps it. To another bucket everything is copied. Or, of a store's
    /// directory, open or not, another directory: a store of its own, without a remote, that shares sealed files with
    /// it by hard links.
    /// </summary>
    /// <param name="remote">The parent's URL, or a store's directory.</param>
    /// <param name="branch">The branch's URL, or its directory; nothing may be there.</param>
    /// <param name="to">The state: a bookmark, an LSN, or a time; null for the newest.</param>
    /// <param name="expires">Until when it is kept; null for good.</param>
    /// <param name="progress">Told what is done, from several threads.</param>
    /// <param name="cancellation">Gives up; nothing is left.</param>
    public static async Task<Branch> BranchAsync(string remote, string branch, string? to = null,
        DateTimeOffset? expires = null, IProgress<RecoveryProgress>? progress = null,
        CancellationToken cancellation = default)
    {
        if (await BranchWork.LocalAsync(remote, branch, cancellation) is { } store)
            return to is null && expires is null
                ? await BranchWork.OfDirectoryAsync(store, branch, cancellation)
                : throw BranchWork.OnlyOfRemotes();
        await using var parent = await RemoteAccess.OpenForWritingAsync(remote, cancellation);
        return await BranchWork.MakeAsync(parent, branch, MomentSearch.Target(to), expires, anew: false,
            ReportedStep.To(progress), cancellation);
    }

    /// <summary>The branches of a remote, oldest state first.</summary>
    /// <param name="remote">The remote's URL, or the directory of a store that has one.</param>
    /// <param name="cancellation">Gives up.</param>
    public static async Task<IReadOnlyList<Branch>> BranchesAsync(string remote,
        CancellationToken cancellation = default)
    {
        await using var parent = RemoteAccess.Open(remote);
        return await BranchWork.ListAsync(parent, cancellation);
    }

    /// <summary>
    /// Deletes a branch. Throws Invalid for a remote that is none, and Busy while others are branched from it.
    /// </summary>
    /// <param name="branch">The branch's URL.</param>
    /// <param name="cancellation">Gives up; it can be done again.</param>
    public static Task DeleteBranchAsync(string branch, CancellationToken cancellation = default)
        => BranchWork.RemoveAsync(branch, cancellation);
}
