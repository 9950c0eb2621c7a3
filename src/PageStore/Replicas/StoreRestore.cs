using RecoveryVfs.PageStore.Lazy;
using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.PageStore.Rocks;
using RecoveryVfs.PageStore.Sealed;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.Pins;
using RecoveryVfs.RecoveryLog.Remote.Read;
using RecoveryVfs.RecoveryLog.Remote.Write;

namespace RecoveryVfs.PageStore.Replicas;

/// <summary>What a restore brought back.</summary>
/// <param name="Lsn">The state: all records up to it.</param>
/// <param name="UnixTimeMs">The time of its newest record.</param>
/// <param name="Databases">The databases in it.</param>
/// <param name="FetchedBytes">Bytes fetched from the remote.</param>
internal sealed record RestoreResult(ulong Lsn, long UnixTimeMs, IReadOnlyList<string> Databases, long FetchedBytes);

/// <summary>
/// Restores a store's directory from a remote, to its newest state or an earlier one. Everything is verified on the
/// way.
/// </summary>
internal static class StoreRestore
{
    const int Private = 0x1C0; // 0700

    /// <summary>
    /// Carries out a plan into an empty or missing directory. What cannot be verified is not delivered: on an error the
    /// directory is removed again.
    /// </summary>
    /// <param name="plan">What to restore.</param>
    /// <param name="options">Where to, and how much memory to use.</param>
    /// <param name="parallelism">Extents fetched at a time.</param>
    /// <param name="progressed">Called with bytes fetched, from several threads.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <param name="lazy">Where large files come from when they are read; null fetches all first.</param>
    public static Task<RestoreResult> RestoreAsync(
        RestorePlan plan, StoreOptions options, int parallelism = 8, Action<long>? progressed = null,
        CancellationToken cancellation = default, LazyPlace? lazy = null) =>
        RestoreActivity.RunAsync(plan, options.Directory,
            () => CarryOutAsync(plan, options, parallelism, progressed, lazy, cancellation));

    static async Task<RestoreResult> CarryOutAsync(
        RestorePlan plan, StoreOptions options, int parallelism, Action<long>? progressed, LazyPlace? lazy,
            CancellationToken cancellation)
    {
        var home = options.Home;
        ThrowUnlessEmpty(home);
        var fetched = 0L;
        void Count(long bytes)
        {
            Interlocked.Add(ref fetched, bytes);
            progressed?.Invoke(bytes);
        }
        // Nobody knows here how private the databases were.
        LocalDisk.Instance.CreateDirectory(options.Directory, Private);
        home.Create();
        var taken = StoreLock.TakeFor(options);
        try
        {
            // Another one may have been faster.
            ThrowUnlessEmpty(home);
            var result = await RestoreOverAsync(plan, options, taken, parallelism, Count, lazy, cancellation);
            return result with { FetchedBytes = fetched };
        }
        finally
        {
            taken?.Dispose();
        }
    }

    /// <summary>What a restore that was killed has left is nothing.</summary>
    static void ThrowUnlessEmpty(StoreHome home)
    {
        if (home.IsStartingOver || !Directory.Exists(home.Path)) return;
        if (Directory.EnumerateFiles(home.Path, "*", SearchOption.AllDirectories).Any(f => f != home.Lock))
            throw new RecoveryException(RecoveryError.Invalid,
                $"{home.Path} is not empty.",
                "Restore into a new directory, or move that one away.")
            { Path = home.Path };
    }

    static async Task<RestoreResult> RestoreOverAsync(
        RestorePlan plan, StoreOptions options, IDisposable? taken, int parallelism, Action<long> progressed,
            LazyPlace? lazy, CancellationToken cancellation)
    {
        try
        {
            options.Home.BeginOver();
            options.Home.Empty();
            options.Home.Create();
            return await RestoreIntoAsync(plan, options, taken, parallelism, progressed, lazy, cancellation);
        }
        catch
        {
            if (Directory.Exists(options.Directory)) Directory.Delete(options.Directory, recursive: true);
            throw;
        }
    }

    /// <summary>
    /// Before a store is opened whose directory does not exist: restores the newest state of its remote, if there ever
    /// was one. A remote that cannot be read, or has something that does not verify, is an error: its absence is proved
    /// by its answer, never assumed.
    /// </summary>
    /// <param name="options">The store, with its remote.</param>
    /// <param name="lazily">Whether it may be opened before its pages are here (<see cref="LazyPlacing"/>).</param>
    /// <returns>What was restored; null when there was nothing to restore, or the directory was there.</returns>
    public static RestoreResult? RestoreIfGone(StoreOptions options, bool lazily = false)
    {
        if (options.Remote is not { } remote || (Directory.Exists(options.Directory) && !options.Home.IsStartingOver))
            return null;
        return Task.Run(async () =>
        {
            await using var objects = remote.OpenStore(options.Time, readOnly: true);
            var context = RemoteContext.Of(objects, options.Time, options.Directory);
            if (await context.RetryAsync(token => StoreObject.FetchAsync(objects, token), default) is null) return null;
            var plan = await RestorePlanner.PlanAsync(context, RestoreTarget.Newest);
            await using var pin = await RestorePin.TakeAsync(() => remote.OpenStore(options.Time), plan, context);
            // Pages in memory are all read at once.
            if (!lazily || options.PagesInMemory) return await RestoreAsync(plan, options with { Remote = null });
            var result = await RestoreAsync(plan, LazyFiles.OpenedByWriter(options) with { Remote = null },
                lazy: new LazyPlace(remote.Url, context));
            // In the place of the restore's pin, which goes now.
            if (options.Home.IsLazy && LazyFiles.PinOf(options, LazyList.Of(options.Home)) is { } needed)
                await needed.RenewAsync();
            return result;
        }).GetAwaiter().GetResult();
    }

    /// <summary>Whether a store's remote has a log already. A remote that cannot be read is an error.</summary>
    internal static bool HasLog(StoreOptions options) => Task.Run(async () =>
    {
        await using var objects = options.Remote!.OpenStore(options.Time, readOnly: true);
        var context = RemoteContext.Of(objects, options.Time, options.Directory);
        return await context.RetryAsync(token => StoreObject.FetchAsync(objects, token), default) is not null;
    }).GetAwaiter().GetResult();

    static async Task<RestoreResult> RestoreIntoAsync(
        RestorePlan plan, StoreOptions options, IDisposable? taken, int parallelism, Action<long> progressed,
            LazyPlace? lazy, CancellationToken cancellation)
    {
        using var store = await BeginAsync(plan, options, parallelism, progressed, cancellation, taken, lazy);
        var (lsn, timeMs) = await plan.ReplayAsync((in Record record) =>
        {
            if (record.Lsn >= store.NextLsn) store.Apply(record);
        }, progressed, cancellation);
        if (store.NextLsn != lsn + 1)
            throw new RecoveryException(RecoveryError.Corrupt,
                $"The replay ended at LSN {lsn}, but the store stands at {store.NextLsn - 1}.",
                "Keep the remote as it is and report this.")
            { Path = store.Directory, Lsn = lsn };
        var databases = store.Databases.Select(d => d.Name).Where(n => !DeletedName.Is(n)).ToList();
        store.CloseAsStore(mayBeLazy: lazy is not null);
        return new RestoreResult(lsn, timeMs, databases, 0);
    }

    /// <summary>Makes a replica that stands at a plan's hints, and needs the log after them.</summary>
    internal static async Task<Replica> BeginAsync(
        RestorePlan plan, StoreOptions options, int parallelism, Action<long> progressed,
            CancellationToken cancellation, IDisposable? taken = null, LazyPlace? lazy = null)
    {
        plan.Store.ThrowUnlessDatabases(plan.Location);
        var hints = plan.Hints.Hints;
        var room = new DiskReserve(options.Disk, options.Directory);
        room.CheckRoomFor(plan.FetchBytes);
        plan.SpoolIn(options.Directory);
        if (lazy is not null && new LazyPlacing(plan) is { Files.Count: > 0 } placing)
            await placing.PlaceAsync(options, parallelism, lazy, cancellation);
        else await PlaceFilesAsync(plan, options, parallelism, progressed, cancellation);
        if (!plan.IsFromBeginning) Replica.Begin(options, hints);
        var store = Replica.Open(options, taken);
        store.SetSource(hints.LogId, plan.Epoch);
        store.Replayed.Room = room;
        return store;
    }

    /// <summary>
    /// Fetches the files that a plan's hints list into the page store's directory, and tries them aside before anybody
    /// opens them here.
    /// </summary>
    internal static async Task PlaceFilesAsync(RestorePlan plan, StoreOptions options, int parallelism,
        Action<long> progressed, CancellationToken cancellation)
    {
        var (pages, fetching) = (options.Home.Pages, options.Home.Fetching);
        LocalDisk.Instance.CreateDirectory(pages);
        // A run that was killed may have left some of it.
        if (Directory.Exists(fetching)) Directory.Delete(fetching, recursive: true);
        var files = plan.Hints.Hints.Files;
        var names = files.ToDictionary(f => f.Fnode, f => f.Name);
        var proof = new BlobProof();
        var paths = await plan.FetchFilesAsync(fetching, parallelism, progressed, cancellation,
            witnesses: extent => proof.WitnessOf(names[extent.Fnode], extent.SizeBytes));
        foreach (var file in files.Where(f => f.Class != FileClass.Plain))
            Move(plan, file, paths[file.Fnode], pages);
        LocalDisk.Instance.SyncDirectory(pages);
        Directory.Delete(fetching, recursive: true);
        RocksTrial.Run(pages, Path.Combine(options.Directory, "trial"), cancellation,
            proof.Holds(pages) ? TrialDepth.Some : TrialDepth.All);
    }

    /// <summary>Gives a file that was fetched its names in the page store's directory.</summary>
    internal static void Move(RestorePlan plan, LiveFile file, string fetched, string pages)
    {
        // The parser has done so already. Here a name becomes a path: a remote whose names lead elsewhere must end
        // here whatever came before.
        foreach (var name in file.Names) TrackedName.Check(file.Class, name, plan.Hints.Name);
        foreach (var name in file.Names.Skip(1)) CopyDurably(fetched, Path.Combine(pages, name));
        File.Move(fetched, Path.Combine(pages, file.Name));
    }

    static void CopyDurably(string from, string to)
    {
        File.Copy(from, to);
        using var copy = LocalDisk.Instance.Open(to, LogFileMode.Write);
        copy.SyncData();
    }
}
