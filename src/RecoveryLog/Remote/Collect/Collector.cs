using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.Write;

namespace RecoveryVfs.RecoveryLog.Remote.Collect;

/// <summary>
/// Deletes what nothing needs any more. Only the writer that owns the log collects, and it asks for that again before
/// each batch. One collection, or publication of hints, at a time.
/// </summary>
internal sealed class Collector(RemoteContext context, Shipper shipper, HintsPublisher publisher)
{
    const int BatchObjects = 500;

    /// <summary>A plan is used for half of the readers' grace, and for so long at least.</summary>
    static readonly TimeSpan PlanAge = TimeSpan.FromMinutes(1);

    readonly HintsCache cache = new();

    /// <summary>What a collection would do now, and why. Deletes nothing.</summary>
    public async Task<CollectionPlan> PlanAsync(Retention retention, CancellationToken cancellation = default)
    {
        using (await publisher.Gate.EnterAsync())
            return await MakePlanAsync(await shipper.ConnectedAsync(cancellation), retention, cancellation);
    }

    /// <summary>Collects; returns what was done and why.</summary>
    public async Task<CollectionPlan> CollectAsync(Retention retention, CancellationToken cancellation = default)
    {
        using (await publisher.Gate.EnterAsync())
        {
            var remote = await shipper.ConnectedAsync(cancellation);
            await remote.ConfirmTenureAsync(cancellation);
            long started = context.Time.GetTimestamp();
            var longest = retention.ReaderGrace / 2 > PlanAge ? retention.ReaderGrace / 2 : PlanAge;
            var plan = await MakePlanAsync(remote, retention, cancellation);
            // Hints first: from then on nobody starts from them. What they needed follows; killed in between, the next
            // collection sees it as needed by nothing. Segments go oldest first, so that what is left has no holes.
            foreach (string prefix in new[] { RemoteNames.Hints, RemoteNames.Extents, RemoteNames.Segments,
                RemoteNames.Pins })
                foreach (string[] batch in plan.Deletions.Select(d => d.Name)
                    .Where(n => n.StartsWith(prefix, StringComparison.Ordinal)).Chunk(BatchObjects))
                {
                    // A plan that is old (this process was paused) may have been overtaken by readers and pins.
                    if (context.Time.GetElapsedTime(started) > longest)
                        throw new RecoveryException(RecoveryError.Busy,
                            $"Collecting in {context.Store.Location} took too long and was given up half-way; "
                            + "the next one goes on")
                        { Path = context.Store.Location };
                    await remote.ConfirmTenureAsync(cancellation);
                    await context.RetryAsync(async token =>
                    {
                        await context.Store.DeleteAsync(batch, token);
                        return true;
                    }, cancellation);
                }
            cache.KeepOnly(plan.Items.Where(i => !i.Delete).Select(i => i.Name).ToHashSet());
            return plan;
        }
    }

    Task<CollectionPlan> MakePlanAsync(RemoteLog remote, Retention retention, CancellationToken cancellation) =>
        CollectionPlan.MakeAsync(context, remote.Store, retention, remote.Epoch, publisher.IsKnown,
            shipper.State.Hints?.Lsn, cache, cancellation);
}
