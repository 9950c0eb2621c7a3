using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.Pins;

namespace RecoveryVfs.RecoveryLog.Remote.Branches;

/// <summary>A branch, as its parent's pin names it.</summary>
/// <param name="Pin">The pin.</param>
/// <param name="Url">The branch.</param>
/// <param name="Lsn">The hints that it began from, or the state.</param>
/// <param name="Expires">Until when it is kept; null for good.</param>
internal sealed record KnownBranch(string Pin, string Url, ulong Lsn, DateTimeOffset? Expires);

/// <summary>The branches of a remote, and the end of one.</summary>
internal static class BranchRemoval
{
    /// <summary>The branches of a remote, oldest state first.</summary>
    public static async Task<IReadOnlyList<KnownBranch>> ListAsync(RemoteContext context,
        CancellationToken cancellation = default) =>
        [.. (await Pin.ListAsync(context, cancellation)).Where(p => p.Value.Owner is not null)
            .Select(p => new KnownBranch(p.Key, p.Value.Owner!, p.Value.Lsn, p.Value.Expires)).OrderBy(b => b.Lsn)];

    /// <summary>
    /// Deletes a branch with all that is its own, and then the pin in its parent. Throws Invalid for a remote that is
    /// no branch, and Busy while others are branched from it, naming them. One that was killed is done again.
    /// </summary>
    public static async Task RunAsync(RemoteContext context, Func<string, IObjectStore> open,
        CancellationToken cancellation = default)
    {
        var store = await context.RetryAsync(token => StoreObject.FetchAsync(context.Store, token), cancellation)
            ?? throw new RecoveryException(RecoveryError.NotFound,
                $"There is no remote at {context.Store.Location}: store.json is missing.", "Check the URL")
            { Path = context.Store.Location };
        if (store.Branch is not { } origin)
            throw new RecoveryException(RecoveryError.Invalid,
                $"{context.Store.Location} is no branch, and nothing was deleted.",
                "Only branches are deleted by this; delete another remote with the tools of the object store")
            { Path = context.Store.Location };
        var now = context.Time.GetUtcNow();
        var children = (await ListAsync(context, cancellation)).Where(b => !(b.Expires < now)).ToList();
        if (children.Count > 0)
            throw new RecoveryException(RecoveryError.Busy,
                $"{context.Store.Location} has branches of its own, which need what is in it: "
                    + $"{string.Join(", ", children.Select(c => c.Url))}.",
                "Delete those first (recovery branch --delete); where one was never finished, remove its pin: "
                    + $"recovery snapshot --remove {children[0].Pin} URL")
            { Path = context.Store.Location };
        // Hints first: from then on nobody starts from them. What says that it is a branch goes last.
        foreach (var prefix in (string[])[RemoteNames.Hints, RemoteNames.Extents, RemoteNames.Segments,
            RemoteNames.Pins])
            await DeleteAsync(context,
                (await context.ListAsync(prefix, null, cancellation)).Select(o => o.Name), cancellation);
        if (origin.Pin is { } pin)
        {
            await using var parent = open(origin.Parent);
            await Pin.RemoveAsync(context with { Store = parent }, pin, cancellation);
        }
        await DeleteAsync(context, [BaseObject.Name], cancellation);
        await DeleteAsync(context, [RemoteNames.Store], cancellation);
    }

    const int BatchObjects = 500;

    static async Task DeleteAsync(RemoteContext context, IEnumerable<string> names, CancellationToken cancellation)
    {
        foreach (var batch in names.Chunk(BatchObjects))
            await context.RetryAsync(async token =>
            {
                await context.Store.DeleteAsync(batch, token);
                return true;
            }, cancellation);
    }
}
