using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.RecoveryLog.Remote.Files;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.Write;

namespace RecoveryVfs.RecoveryLog.Remote.Read;

/// <summary>
/// How a state is restored from a remote: which hints it starts from, what is fetched, and which part of the log is
/// replayed. Made by
/// <see cref="RestorePlanner"/>; nothing is fetched before it is asked to.
/// </summary>
internal sealed class RestorePlan
{
    RemoteContext context;

    internal RestorePlan(RemoteContext context, StoreObject store, RestoreTarget target, RemoteHints hints,
        RemoteLogEnd? end,
        IReadOnlyList<ObjectInfo> segments, IReadOnlyList<string> notes)
    {
        this.context = context;
        (Store, Target, Hints, End, Segments, Notes) = (store, target, hints, end, segments, notes);
        Extents = [.. hints.Extents.Values.OrderByDescending(e => e.SizeBytes)];
    }

    /// <summary>Where the remote is.</summary>
    public string Location => context.Store.Location;

    /// <summary>What the remote says of itself.</summary>
    public StoreObject Store { get; }

    /// <summary>The state that is wanted.</summary>
    public RestoreTarget Target { get; }

    /// <summary>Where the restore starts.</summary>
    public RemoteHints Hints { get; }

    /// <summary>Whether it starts from nothing, and replays the log from its first record on.</summary>
    public bool IsFromBeginning => Hints.IsBeginning;

    /// <summary>The end of the remote's log when the plan was made; null when its newest segment is damaged.</summary>
    public RemoteLogEnd? End { get; }

    /// <summary>The newest LSN that is known to be in the remote.</summary>
    public ulong LastLsn => End?.LastLsn ?? Hints.Header.Lsn;

    /// <summary>The epoch of the newest segment that is known.</summary>
    public ulong Epoch => End?.Epoch ?? Hints.Header.Epoch;

    /// <summary>Extents to fetch, largest first (so that the last ones to end are short).</summary>
    public IReadOnlyList<Extent> Extents { get; }

    /// <summary>Segments to replay, as listed; for an LSN or a time, some at the end may not be needed.</summary>
    public IReadOnlyList<ObjectInfo> Segments { get; }

    /// <summary>What people should know, such as hints that were passed over.</summary>
    public IReadOnlyList<string> Notes { get; }

    /// <summary>
    /// After a restore by time: what the writer's clock did about then, in words, when commits may bear another time
    /// than they were made at.
    /// </summary>
    public string? ClockNote { get; internal set; }

    /// <summary>
    /// Told what is wrong with the lists of blocks of the extents that are fetched as files; without it nobody looks.
    /// </summary>
    public Action<RecoveryException>? ListProblem { get; set; }

    /// <summary>
    /// From here on, what is too large for memory is kept on the disk of a directory: of that which is restored to.
    /// </summary>
    public void SpoolIn(string directory) => context = context with { OpenSpool = RemoteContext.SpoolsIn(directory) };

    /// <summary>Where extents are kept that other plans have, too; null where none are.</summary>
    public KeptExtents? Kept { get; set; }

    /// <summary>Bytes to fetch.</summary>
    public long FetchBytes => Extents.Sum(e => e.SizeBytes) + Segments.Sum(s => s.SizeBytes);

    /// <summary>
    /// Fetches every live file of the hints into a directory, by fnode (16 hex digits), verified and durable; returns
    /// their paths. An error names the object and what it holds, and the nearest state that verifies. Extents in
    /// <paramref name="without"/> are left out; then nothing is made durable. Those that are fetched are seen by
    /// <paramref name="witnesses"/>.
    /// </summary>
    public async Task<IReadOnlyDictionary<ulong, string>> FetchFilesAsync(
        string directory, int parallelism = 4, Action<long>? progressed = null,
            CancellationToken cancellation = default, IReadOnlySet<ulong>? without = null,
            Func<Extent, IExtentWitness?>? witnesses = null)
    {
        Directory.CreateDirectory(directory);
        var paths = Hints.Hints.Files.ToDictionary(f => f.Fnode, f => Path.Combine(directory, f.Fnode.ToString("x16")));
        foreach (var file in Hints.Hints.Files)
            if (!Hints.Extents.ContainsKey(file.Fnode))
                WriteInline(file, paths[file.Fnode], durably: without is null);
        var fetcher = new Files.Extents(context) { ListProblem = ListProblem, IsDurable = without is null };
        var wanted = without is null ? Extents : [.. Extents.Where(e => !without.Contains(e.Fnode))];
        await Files.Extents.ForEachAsync(wanted.Count, parallelism, async (i, token) =>
        {
            var (extent, path) = (wanted[i], paths[wanted[i].Fnode]);
            if (Kept?.TryTake(extent, path) == true) return;
            try
            {
                await fetcher.FetchAsync(extent, path, progressed, token, witnesses?.Invoke(extent));
                Kept?.Keep(extent, path);
            }
            catch (RecoveryException e) when (e.Error == RecoveryError.Corrupt)
            {
                throw await RestorePlanner.ExplainExtentAsync(context, Store, Hints, wanted[i], e, token);
            }
        }, cancellation);
        return paths;
    }

    /// <summary>The extents that the remote has now, whether hints name them or not.</summary>
    public ValueTask<LooseExtents> ListExtentsAsync(CancellationToken cancellation = default) =>
        LooseExtents.ListAsync(context, cancellation);

    /// <summary>
    /// Fetches a sealed file's bytes, which the hints or a record after them tell of, into a new file, verified and
    /// durable.
    /// </summary>
    public async ValueTask FetchAsync(LiveFile file, LooseExtents extents, string path, Action<long>? progressed = null,
        CancellationToken cancellation = default)
    {
        if (!Hints.Extents.TryGetValue(file.Fnode, out var extent))
        {
            await extents.FetchAsync(file, path, progressed, cancellation);
            return;
        }
        try { await new Files.Extents(context).FetchAsync(extent, path, progressed, cancellation); }
        catch (RecoveryException e) when (e.Error == RecoveryError.Corrupt)
        {
            throw await RestorePlanner.ExplainExtentAsync(context, Store, Hints, extent, e, cancellation);
        }
    }

    /// <summary>The same plan for another state, which the same hints reach.</summary>
    public RestorePlan To(RestoreTarget target) => new(context, Store, target, Hints, End, Segments, Notes);

    /// <summary>
    /// Reads an extent as it comes, for whoever needs no file of it; see <see cref="ExtentReads.ReadAsync"/>. An error
    /// names the object and what it holds, and the nearest state that verifies.
    /// </summary>
    public async Task ReadExtentAsync(Extent extent, Action begin, Action<ReadOnlyMemory<byte>> take,
        CancellationToken cancellation = default)
    {
        try { await ExtentReads.ReadAsync(context, extent, begin, take, cancellation); }
        catch (RecoveryException e) when (e.Error == RecoveryError.Corrupt)
        {
            throw await RestorePlanner.ExplainExtentAsync(context, Store, Hints, extent, e, cancellation);
        }
    }

    /// <summary>
    /// Gives the records from <see cref="RemoteHintsHeader.ReplayFrom"/> to the target, in order and only whole groups,
    /// to <paramref name="take"/>; returns the last LSN given (that of the hints when there is nothing after them) and
    /// its time. Of records up to the hints' LSN only page commits matter.
    /// </summary>
    public async Task<(ulong Lsn, long TimeMs)> ReplayAsync(
        RecordTaken take, Action<long>? progressed = null, CancellationToken cancellation = default)
    {
        var replay = new RestoreReplay(context, this, take, progressed);
        return await replay.RunAsync(cancellation);
    }

    static void WriteInline(LiveFile file, string path, bool durably)
    {
        using var stream = RegularFile.CreateNew(path);
        stream.Write(file.Bytes.Span);
        stream.Flush(flushToDisk: durably);
    }
}
