using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.Branches;
using RecoveryVfs.RecoveryLog.Remote.Read;
using RecoveryVfs.Simulation;

namespace RecoveryVfs.RecoveryLog.Tests.Remote;

// Branches of the log: whatever its writers commit, collect and lose afterwards, each stays the state that it was made
// of. The parent's collection must see to that.
sealed partial class RemoteHistory
{
    static readonly RemoteUrl parentUrl = RemoteUrl.Parse("file:///simulated/parent");

    readonly List<(SimulatedBucket Bucket, ulong Lsn, DateTimeOffset At)> branches = [];

    public int Branches => branches.Count;
    public int BranchesCompared { get; private set; }

    /// <summary>Makes one of some state, in a prefix of its own.</summary>
    async Task BranchAsync()
    {
        if (isHasty) return;
        var url = RemoteUrl.Parse($"file:///simulated/branch{branches.Count}");
        var own = new SimulatedBucket(loop.Time);
        var end = shadow.Count == 0 ? 0 : LastLsn();
        var target = random.Next(2) == 0 ? RestoreTarget.Newest
            : RestoreTarget.At((ulong)random.NextInt64(1, (long)Math.Max(1, end) + 1));
        try
        {
            var parent = ContextOf(NewStore());
            var plan = await RestorePlanner.PlanAsync(parent, target);
            var made = await new BranchMaking(new BranchPlaces(parent, parentUrl, OpenBranch(own), url, null),
                plan)
            { Start = replay => replay() }.RunAsync(null);
            Assert.False(made.IsCopy);
            // Of nothing there is nothing to restore.
            if (made.Lsn > 0) branches.Add((own, made.Lsn, loop.Time.GetUtcNow()));
        }
        catch (RecoveryException e) when (IsFair(e)) { }
    }

    /// <summary>Restores one, and compares it with what the log says that the state was.</summary>
    async Task CheckBranchAsync(int index, bool isCalm = false)
    {
        var (own, lsn, at) = branches[index];
        // Before that, a listing may not show it.
        if (!isCalm && loop.Time.GetUtcNow() - at <= faults.StaleBy) return;
        ToyRestore restored;
        try
        {
            restored = await ToyRestore.RunAsync(
                await RestorePlanner.PlanAsync(ContextOf(OpenBranch(own, isCalm)), RestoreTarget.At(lsn)), Scratch);
        }
        // A storm; but never that something is not there.
        catch (RecoveryException e) when (!isCalm && e.InnerException is ObjectStoreException) { return; }
        var expected = new ToyState();
        Replay((in Record r) => expected.Apply(r), lsn);
        Assert.Equal(lsn, restored.Lsn);
        Assert.Equal(expected.Describe(), restored.State.Describe());
        BranchesCompared++;
    }

    StandingStore OpenBranch(SimulatedBucket own, bool isCalm = false)
    {
        var with = isCalm ? SimulatedFaults.None : faults;
        return new(new SimulatedObjectStore(own, random, with), new SimulatedObjectStore(bucket, random, with));
    }

    /// <summary>
    /// What <see cref="BasedObjectStore"/> is, whose waiting for each other is the system's and not the simulation's.
    /// </summary>
    sealed class StandingStore(IObjectStore own, IObjectStore below) : IObjectStore
    {
        public string Location => own.Location;

        public RequestCounters Counters => own.Counters;

        public ValueTask<CreateResult> CreateAsync(string name, ObjectContent content,
            CancellationToken cancellation = default) => own.CreateAsync(name, content, cancellation);

        public async ValueTask<ObjectDownload?> GetAsync(string name, long offsetBytes = 0, long? lengthBytes = null,
            CancellationToken cancellation = default) =>
            await own.GetAsync(name, offsetBytes, lengthBytes, cancellation)
                ?? (IsBelow(name) ? await below.GetAsync(name, offsetBytes, lengthBytes, cancellation) : null);

        public async ValueTask<ObjectInfo?> HeadAsync(string name, CancellationToken cancellation = default) =>
            await own.HeadAsync(name, cancellation)
                ?? (IsBelow(name) ? await below.HeadAsync(name, cancellation) : null);

        static bool IsBelow(string name) => name.StartsWith(BasedObjectStore.Names, StringComparison.Ordinal);

        public IAsyncEnumerable<ObjectInfo> ListAsync(string prefix, string? startAfter = null,
            CancellationToken cancellation = default) => own.ListAsync(prefix, startAfter, cancellation);

        public ValueTask DeleteAsync(IReadOnlyCollection<string> names, CancellationToken cancellation = default)
            => own.DeleteAsync(names, cancellation);

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }

    RemoteContext ContextOf(IObjectStore store) => new()
    {
        Store = store,
        Time = loop.Time,
        Random = random,
        OpenSpool = () => new MemoryStream(),
    };
}
