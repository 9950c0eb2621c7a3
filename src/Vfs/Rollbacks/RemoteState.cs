using RecoveryVfs.Operations;
using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Remote.Pins;
using RecoveryVfs.RecoveryLog.Remote.Read;

namespace RecoveryVfs.Rollbacks;

/// <summary>A state that the store's remote has, kept from collection meanwhile.</summary>
internal sealed class RemoteState : EarlierState
{
    const int Parallelism = 8;

    readonly RemoteAccess remote;
    readonly RestorePlan plan;
    readonly RestorePin pin;
    readonly Action<string> note;

    RemoteState(RemoteAccess remote, RestorePlan plan, RestorePin pin, Action<string> note) =>
        (this.remote, this.plan, this.pin, this.note) = (remote, plan, pin, note);

    public static async Task<RemoteState> OpenAsync(StoreDirectory store, RestoreTarget to, StepBegun begin,
        Action<string> note, CancellationToken cancellation)
    {
        await StoreSync.RunAsync(store, new SyncOptions(), cancellation);
        var remote = RemoteAccess.Open(store.Path);
        RestorePin? pin = null;
        try
        {
            var plan = await RestorePlanner.PlanAsync(remote.Context, to, null, cancellation);
            pin = await remote.PinAsync(plan, note, cancellation);
            var then = new LogReading();
            then.Start(plan.Hints.Hints);
            ulong lsn;
            using (var progress = begin("reading the log", plan.Segments.Sum(s => s.SizeBytes)))
                (lsn, _) = await plan.ReplayAsync(then.Take, progress.Add, cancellation);
            var epoch = plan.Target.Bookmark?.Epoch
                ?? await BookmarkCheck.EpochOfAsync(remote.Context, lsn, cancellation) ?? plan.Epoch;
            return new RemoteState(remote, plan, pin, note)
            {
                Bookmark = Bookmark.Of(plan.Store.LogId, epoch, lsn),
                Databases = [.. then.Databases.Select(d => d.Name).Where(n => !DeletedName.Is(n))],
            };
        }
        catch
        {
            if (pin is not null) await pin.DisposeAsync();
            await remote.DisposeAsync();
            throw;
        }
    }

    public override Task WriteAsync(string database, string path, StepBegun begin, CancellationToken cancellation) =>
        new Restoring(plan, Parallelism, begin, note).ToFileAsync(path, database, force: false, check: null,
            cancellation);

    public override async ValueTask DisposeAsync()
    {
        await pin.DisposeAsync();
        await remote.DisposeAsync();
    }
}
