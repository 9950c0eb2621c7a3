using System.Security.Cryptography;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.RecoveryLog.Remote.Files;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.Pins;
using RecoveryVfs.RecoveryLog.Remote.Read;
using RecoveryVfs.RecoveryLog.Remote.Write;

namespace RecoveryVfs.RecoveryLog.Remote.Branches;

/// <summary>What a branch is made of.</summary>
/// <param name="Parent">The remote that it begins from.</param>
/// <param name="ParentUrl">The same.</param>
/// <param name="Store">Where it goes.</param>
/// <param name="Url">The same.</param>
/// <param name="Expires">Until when it is kept; null for good.</param>
internal sealed record BranchPlaces(RemoteContext Parent, RemoteUrl ParentUrl, IObjectStore Store, RemoteUrl Url,
    DateTimeOffset? Expires);

/// <summary>A branch that was made.</summary>
/// <param name="LogId">Its log.</param>
/// <param name="Lsn">The state that it begins with, as an LSN of the parent's and of its own.</param>
/// <param name="TimeMs">When that was written.</param>
/// <param name="Extents">How many extents it names.</param>
/// <param name="ExtentBytes">How many bytes those have.</param>
/// <param name="CopiedBytes">How many bytes were written.</param>
/// <param name="IsCopy">Whether the extents were copied.</param>
internal sealed record MadeBranch(Guid LogId, ulong Lsn, long TimeMs, int Extents, long ExtentBytes, long CopiedBytes,
    bool IsCopy);

/// <summary>
/// Makes a remote that begins with a state of another one. It has a log of its own: the parent's hints under its own
/// log id, the log from there to the state, and an epoch that begins there. Extents stay where they are: what is not
/// here is read from the parent (<see cref="BasedObjectStore"/>), where a pin keeps it. Only from one bucket to another
/// they are copied.
/// </summary>
/// <remarks>
/// The pin comes first, and <c>store.json</c> last: a branch that is not finished is nothing. At the end its plan is
/// made as any reader would: should collection in the parent have been at work before it saw the pin, that tells.
/// </remarks>
internal sealed class BranchMaking(BranchPlaces places, RestorePlan plan)
{
    /// <summary>What a pin of a branch is called.</summary>
    public const string PinPrefix = "branch-";

    /// <summary>A segment's usual size, before compression.</summary>
    const long SegmentBytes = 16 << 20;

    const int Parallelism = 8;

    readonly Guid logId = Guid.NewGuid();
    readonly ulong author = BitConverter.ToUInt64(RandomNumberGenerator.GetBytes(8));
    readonly RemoteContext branch = places.Parent with { Store = places.Store };
    readonly List<string> created = [];
    long copiedBytes;

    /// <summary>
    /// Runs what waits for a segment now and then, off the caller's thread; a simulation has only one.
    /// </summary>
    public Func<Func<Task<(ulong Lsn, long TimeMs)>>, Task<(ulong Lsn, long TimeMs)>> Start { get; init; } =
        static replay => Task.Run(replay);

    /// <summary>Makes it. When that fails, nothing is left.</summary>
    public async Task<MadeBranch> RunAsync(Action<long>? progressed, CancellationToken cancellation = default)
    {
        await CheckPlaceAsync(cancellation);
        var place = places.Url.NameOf(places.ParentUrl);
        var header = plan.Hints.Header;
        var pin = place is null ? null : PinPrefix + Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(8));
        if (pin is not null)
            await Pin.PutAsync(places.Parent, pin,
                Pin.At(plan.IsFromBeginning ? plan.LastLsn : header.Lsn, expires: places.Expires,
                    note: $"the branch {places.Url}") with
                { Owner = places.Url.ToString() }, cancellation);
        try
        {
            if (place is null) await CopyExtentsAsync(progressed, cancellation);
            else await CreateAsync(BaseObject.Name,
                new BaseObject { Place = place, Names = BasedObjectStore.Names }.ToBytes(), cancellation);
            var (lsn, timeMs) = await CopyLogAsync(pin, progressed, cancellation);
            await RestorePlanner.PlanAsync(branch, RestoreTarget.Newest, null, cancellation);
            return new MadeBranch(logId, lsn, timeMs, plan.Extents.Count, plan.Extents.Sum(e => e.SizeBytes),
                copiedBytes, place is null);
        }
        catch
        {
            await UndoAsync(pin);
            throw;
        }
    }

    async ValueTask CheckPlaceAsync(CancellationToken cancellation)
    {
        if (places.Url.ToString() == places.ParentUrl.ToString())
            throw new RecoveryException(RecoveryError.Invalid, $"{places.Url} cannot be a branch of itself.",
                "Give the branch a prefix of its own")
            { Path = places.Url.ToString() };
        foreach (var prefix in (string[])[RemoteNames.Store, BaseObject.Name, RemoteNames.Hints, RemoteNames.Segments,
            RemoteNames.Extents])
            if ((await branch.ListAsync(prefix, null, cancellation, most: 1)).Count > 0)
                throw new RecoveryException(RecoveryError.Invalid,
                    $"There is something at {places.Store.Location} already ({prefix}).",
                    "Choose another prefix; --reset makes a branch anew")
                { Path = places.Store.Location };
        // Tables between its hints are found in a listing, which shows a branch's own.
        if (plan.Store.Holds is not null)
            throw new RecoveryException(RecoveryError.Invalid,
                $"{plan.Location} holds the files of a RocksDB: branches are of SQLite databases.",
                "`recovery restore` it into another directory, and record that with a remote of its own.")
            { Path = plan.Location };
        if (plan.Store.Branch is { Expires: { } end } && !(places.Expires <= end))
            throw new RecoveryException(RecoveryError.Invalid,
                $"{places.ParentUrl} is itself a branch, which expires at {end:u}.",
                "Give this one --expires, no later than that")
            { Path = places.ParentUrl.ToString() };
    }

    /// <summary>
    /// Hints, the log from them on, the epoch that begins after it, and <c>store.json</c>.
    /// </summary>
    async Task<(ulong Lsn, long TimeMs)> CopyLogAsync(string? pin, Action<long>? progressed,
        CancellationToken cancellation)
    {
        var header = plan.Hints.Header;
        var first = header.ReplayFrom;
        var store = StoreObject.Make(logId, first, author, branch.Time.GetUtcNow());
        // Its epoch is one more than any in the parent, where records of that epoch will not be its.
        var end = new RemoteLogEnd(first, default, plan.Epoch, author, 0);
        using var builder = new SegmentBuilder(branch.OpenSpool);
        // The replay is given records one after the other, and waits for a segment now and then.
        // What has come to the parent since is not a part of it: it may be of an epoch that the plan does not know.
        var timeMs = 0L;
        var reached = await Start(() => plan.ReplayAsync((in Record record) =>
        {
            if (record.Lsn > plan.LastLsn) return;
            timeMs = Math.Max(timeMs, record.UnixTimeMs);
            builder.Add(record);
            if (builder.BodyBytes >= SegmentBytes && builder.IsComplete)
                end = AppendAsync(builder, end, cancellation).AsTask().GetAwaiter().GetResult();
        }, progressed, cancellation));
        if (reached.Lsn > plan.LastLsn) reached = (plan.LastLsn, timeMs);
        if (!builder.IsEmpty) end = await AppendAsync(builder, end, cancellation);
        created.Add(RemoteNames.Segment(end.NextLsn));
        if (await RemoteTenure.TakeOverAsync(branch, store, end, author, cancellation) is null)
            throw Raced(RemoteNames.Segment(end.NextLsn));
        if (!plan.IsFromBeginning)
        {
            var hints = plan.Hints.Hints with { LogId = logId };
            await CreateAsync(plan.Hints.Name, RemoteHintsFormat.Write(
                // Of the epoch that begins here: hints of one that has ended may lack extents without being damaged.
                header with
                {
                    LogId = logId,
                    Epoch = end.Epoch + 1,
                    Author = author,
                    Start = RemoteLogEnd.Start(store)
                },
                [.. plan.Hints.Extents.Values], hints), cancellation);
        }
        var origin = new BranchOrigin(places.ParentUrl.ToString(), plan.Store.LogId, reached.Lsn, pin, places.Expires);
        // Without anything in a base, whoever knows no branches can read it.
        await CreateAsync(RemoteNames.Store,
            (store with { Format = pin is null ? 1 : 2, Branch = origin }).ToBytes(), cancellation);
        return reached;
    }

    async ValueTask<RemoteLogEnd> AppendAsync(SegmentBuilder builder, RemoteLogEnd end, CancellationToken cancellation)
    {
        using var segment = builder.Finish(logId, plan.Epoch, author, end.Hash);
        await CreateAsync(segment.Name, segment.Content, cancellation);
        return RemoteLogEnd.After(segment.Header, segment.Hash);
    }

    /// <summary>By way of a file each, verified.</summary>
    async Task CopyExtentsAsync(Action<long>? progressed, CancellationToken cancellation)
    {
        var aside = Directory.CreateTempSubdirectory("recovery-branch-");
        try
        {
            var fetcher = new Extents(places.Parent);
            await Extents.ForEachAsync(plan.Extents.Count, Parallelism, async (i, token) =>
            {
                var extent = plan.Extents[i];
                var path = Path.Combine(aside.FullName, extent.Fnode.ToString("x16"));
                await fetcher.FetchAsync(extent, path, progressed, token);
                await CreateAsync(extent.Name, new ObjectContent(extent.SizeBytes, () => File.OpenRead(path)), token);
                File.Delete(path);
                if (extent.HasList)
                    await CreateAsync(extent.ListName,
                        (await BlockLists.FetchAsync(places.Parent, extent, token)).Bytes.ToArray(), token);
            }, cancellation);
        }
        finally
        {
            aside.Delete(recursive: true);
        }
    }

    async ValueTask CreateAsync(string name, ObjectContent content, CancellationToken cancellation)
    {
        lock (created) created.Add(name);
        var result = await branch.RetryAsync(token => places.Store.CreateAsync(name, content, token), cancellation);
        // A second try may find what the first one has made, whose answer was lost; anything else shows in the plan.
        if (result == CreateResult.AlreadyExists
            && (await branch.RetryAsync(token => places.Store.HeadAsync(name, token), cancellation))?.SizeBytes
                != content.LengthBytes)
            throw Raced(name);
        Interlocked.Add(ref copiedBytes, content.LengthBytes);
    }

    RecoveryException Raced(string name) => new(RecoveryError.Busy,
        $"Somebody else has created {name} in {places.Store.Location} meanwhile.",
        "Choose another prefix")
    { Path = places.Store.Location };

    async ValueTask UndoAsync(string? pin)
    {
        try
        {
            List<string> all;
            lock (created) all = [.. created];
            await branch.RetryAsync(async token =>
            {
                await places.Store.DeleteAsync(all, token);
                return true;
            }, default);
            if (pin is not null) await Pin.RemoveAsync(places.Parent, pin);
        }
        catch (RecoveryException)
        {
            // The first error is what is told; the pin names what is left.
        }
    }
}
