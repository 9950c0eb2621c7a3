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
    /// <param name="context">The branch.</param>
    /// <param name="url">The same.</param>
    /// <param name="open">Opens its parent.</param>
    /// <param name="cancellation">Gives up.</param>
    public static async Task RunAsync(RemoteContext context, RemoteUrl url, Func<RemoteUrl, IObjectStore> open,
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
        await using var parent = origin.Pin is null ? null : open(ParentOf(origin, url));
        var kept = parent is null ? null : context with { Store = parent };
        if (kept is not null) await RequireOwnPinAsync(kept, origin.Pin!, url, cancellation);
        // Hints first: from then on nobody starts from them. What says that it is a branch goes last.
        foreach (var prefix in (string[])[RemoteNames.Hints, RemoteNames.Extents, RemoteNames.Segments,
            RemoteNames.Pins])
            await DeleteAsync(context,
                (await context.ListAsync(prefix, null, cancellation)).Select(o => o.Name), cancellation);
        if (kept is not null) await Pin.RemoveAsync(kept, origin.Pin!, cancellation);
        await DeleteAsync(context, [BaseObject.Name], cancellation);
        await DeleteAsync(context, [RemoteNames.Store], cancellation);
    }

    /// <summary>
    /// What store.json calls the parent. Whoever writes to a branch writes that, too: no other server and no other
    /// bucket is asked with the keys of whoever deletes it.
    /// </summary>
    static RemoteUrl ParentOf(BranchOrigin origin, RemoteUrl url)
    {
        var parent = RemoteUrl.Parse(origin.Parent);
        return url.IsBeside(parent) ? parent
            : throw new RecoveryException(RecoveryError.Invalid,
                $"{url} calls {parent} its parent, which is another place altogether: no branch that needs its parent "
                    + "is made like that, and nothing was deleted.",
                "Find out who wrote its store.json; delete it with the tools of the object store")
            { Path = url.ToString() };
    }

    /// <summary>Nor is anybody else's pin removed: it would no longer keep what it is there to keep.</summary>
    static async Task RequireOwnPinAsync(RemoteContext parent, string name, RemoteUrl url,
        CancellationToken cancellation)
    {
        if (!name.StartsWith(BranchMaking.PinPrefix, StringComparison.Ordinal)) throw NotOwn(parent, name, url, null);
        if (await Pin.TryFetchAsync(parent, name, cancellation) is { } pin
            && (pin.Owner is null || !url.IsSamePlace(RemoteUrl.Parse(pin.Owner))))
            throw NotOwn(parent, name, url, pin.Owner);
    }

    static RecoveryException NotOwn(RemoteContext parent, string name, RemoteUrl url, string? owner)
        => new(RecoveryError.Invalid,
            $"{url} says that the pin {name} in {parent.Store.Location} is its own, and that is kept for "
                + $"{owner ?? "something else"}: nothing was deleted.",
            owner is null ? "Find out who wrote its store.json; delete it with the tools of the object store"
                : $"If that is the same place, call it so: recovery branch --delete {owner}")
        { Path = url.ToString() };

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
