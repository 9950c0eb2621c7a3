using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.Read;

namespace RecoveryVfs.PageStore.Past;

/// <summary>Where the past of a store is read.</summary>
internal abstract class PastSource
{
    /// <summary>Where it is, for messages.</summary>
    public abstract string Location { get; }

    /// <summary>
    /// The store as it was at a moment; LSN 0 is before the first record, when there was nothing. Throws NotFound when
    /// the source does not reach back so far, or not so far forward.
    /// </summary>
    public abstract Task<PastStore> OpenAsync(RestoreTarget at, PastOptions? options = null,
        CancellationToken cancellation = default);

    /// <summary>The oldest moment that can be shown. Throws NotFound when there is none.</summary>
    public abstract Task<RestoreTarget> OldestAsync(CancellationToken cancellation = default);

    /// <summary>Whether a moment can be shown; throws NotFound when it cannot.</summary>
    public abstract Task RequireAsync(RestoreTarget at, CancellationToken cancellation = default);
}

/// <summary>The past as a remote has it.</summary>
internal sealed class RemotePastSource(RemoteContext context) : PastSource
{
    /// <inheritdoc/>
    public override string Location => context.Store.Location;

    /// <inheritdoc/>
    public override async Task<PastStore> OpenAsync(RestoreTarget at, PastOptions? options = null,
        CancellationToken cancellation = default) => await RemotePast.OpenAsync(context, at, options, cancellation);

    /// <inheritdoc/>
    public override Task<RestoreTarget> OldestAsync(CancellationToken cancellation = default) =>
        RemotePast.OldestAsync(context, cancellation);

    /// <inheritdoc/>
    public override Task RequireAsync(RestoreTarget at, CancellationToken cancellation = default) =>
        RestorePlanner.PlanAsync(context, at, null, cancellation);
}
