using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Remote.Branches;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.Read;

namespace RecoveryVfs.Operations;

/// <summary>Branches, as programs and .NET ask for them: made, listed, made anew, deleted.</summary>
internal static class BranchWork
{
    /// <summary>
    /// What a branch of a store's directory as it is now is made of, if it is of none of its remote's states: the
    /// directory itself, for a branch in another directory, or when it ships nowhere. Null for a remote, which has
    /// everything then.
    /// </summary>
    public static async Task<StoreDirectory?> LocalAsync(string of, string branch, CancellationToken cancellation)
    {
        if (RemoteAccess.IsUrl(of)) return null;
        var store = StoreDirectory.Find(of);
        if (!RemoteAccess.IsUrl(branch) || (store.RemoteUrl ?? RemoteAccess.Default) is null) return store;
        await StoreSync.RunAsync(store, new SyncOptions(), cancellation);
        return null;
    }

    /// <summary>Why a store's directory is not branched at a moment, and so on.</summary>
    public static RecoveryException OnlyOfRemotes() => new(RecoveryError.Invalid,
        "A directory is branched as it is now: --lsn and the like, --expires and --reset go with remotes.");

    /// <summary>Makes a branch of a store's directory as it is now, another directory or a remote.</summary>
    public static Task<Branch> OfDirectoryAsync(StoreDirectory store, string branch, CancellationToken cancellation) =>
        RemoteAccess.IsUrl(branch)
            ? LocalBranch.ShipAsync(store, branch, cancellation)
            : Task.Run(() => LocalBranch.Make(store, branch, cancellation), cancellation);

    /// <summary>
    /// Makes a branch of a remote at a state; with <paramref name="anew"/>, of one that is a branch of it.
    /// </summary>
    public static async Task<Branch> MakeAsync(RemoteAccess parent, string url, RestoreTarget target,
        DateTimeOffset? expires, bool anew, StepBegun begin, CancellationToken cancellation)
    {
        var place = RemoteUrl.Parse(url);
        if (RemoteUrl.Parse(parent.Url).NameWithin(place) is { } within && RemoteNames.IsOwn(within))
            throw new RecoveryException(RecoveryError.Invalid,
                $"{place} is where {parent.Url} keeps its own objects, and no place for a branch.",
                "Name a place beside it.")
            { Path = place.ToString() };
        var plan = await RestorePlanner.PlanAsync(parent.Context, target, null, cancellation);
        if (anew) await RemoveOwnAsync(plan.Store, place, cancellation);
        // A directory that does not exist is made; this one was asked for.
        await using var objects = place.Open();
        var places = new BranchPlaces(parent.Context, RemoteUrl.Parse(parent.Url), objects, place, expires);
        using var progress = begin("branching", plan.Segments.Sum(s => s.SizeBytes));
        var made = await new BranchMaking(places, plan).RunAsync(progress.Add, cancellation);
        return new Branch(place.ToString(), parent.Url, made.Lsn, TimeText.FromMs(made.TimeMs), expires)
        {
            Extents = made.Extents,
            ExtentBytes = made.ExtentBytes,
            WrittenBytes = made.CopiedBytes,
            IsCopy = made.IsCopy,
        };
    }

    /// <summary>The branches of a remote.</summary>
    public static async Task<List<Branch>> ListAsync(RemoteAccess parent, CancellationToken cancellation)
    {
        var found = new List<Branch>();
        foreach (var known in await BranchRemoval.ListAsync(parent.Context, cancellation))
        {
            var (origin, problem) = await LookAsync(RemoteUrl.Parse(parent.Url), known.Url, cancellation);
            found.Add(new Branch(known.Url, parent.Url, origin?.Lsn ?? known.Lsn, null, known.Expires)
            {
                Pin = known.Pin,
                Problem = problem,
            });
        }
        return found;
    }

    /// <summary>
    /// Whoever may put a pin names the branch. Only beside the parent is it looked at: no other server is asked with
    /// the keys of whoever lists branches.
    /// </summary>
    static async Task<(BranchOrigin?, string?)> LookAsync(RemoteUrl parent, string url,
        CancellationToken cancellation)
    {
        try
        {
            if (!parent.IsBeside(RemoteUrl.Parse(url)))
                return (null, "in another place altogether, where no branch of this is: it was not looked at");
            await using var branch = RemoteAccess.Open(url);
            var store = await branch.TryStoreAsync(cancellation);
            return (store?.Branch,
                store is null ? "not there: being made, or its making or deletion was killed" : null);
        }
        catch (RecoveryException e)
        {
            return (null, e.Message);
        }
    }

    /// <summary>Deletes a branch.</summary>
    public static async Task RemoveAsync(string url, CancellationToken cancellation)
    {
        await using var branch = await RemoteAccess.OpenForWritingAsync(url, cancellation);
        await BranchRemoval.RunAsync(branch.Context, RemoteUrl.Parse(branch.Url), static parent => parent.Open(),
            cancellation);
    }

    static async Task RemoveOwnAsync(StoreObject parent, RemoteUrl place, CancellationToken cancellation)
    {
        await using (var there = RemoteAccess.Open(place.ToString()))
        {
            if (await there.TryStoreAsync(cancellation) is not { } store) return;
            if (store.Branch?.LogId != parent.LogId)
                throw new RecoveryException(RecoveryError.Invalid,
                    $"{place} is no branch of that remote, and was left as it is.",
                    "Only a branch of it can be made anew.")
                { Path = place.ToString() };
        }
        await RemoveAsync(place.ToString(), cancellation);
    }
}
