using System.Text;
using RecoveryVfs.PageStore.Lazy;
using RecoveryVfs.PageStore.Rocks;
using RecoveryVfs.PageStore.Sealed;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.Read;

namespace RecoveryVfs.PageStore.Replicas;

/// <summary>A remote that files come from when they are read.</summary>
internal sealed record LazyPlace(string Url, RemoteContext Remote);

/// <summary>
/// Makes a page store's directory out of hints before its pages are here: files of the right length, whose blocks come
/// from the remote when they are read. Nothing of it is made durable.
/// </summary>
/// <remarks>
/// Files that are all here are tried in a process of their own first (<see cref="RocksTrial"/>). Those that come block
/// by block cannot be: whoever may write to the remote can end a process that opens it so. What is here from the
/// beginning, the MANIFEST, is read by code of our own first, which asserts nothing; one that it does not understand is
/// tried as before, with all tables. So is all, where <see cref="RocksTrial.IsForAll"/> says so.
/// </remarks>
internal sealed class LazyPlacing
{
    /// <summary>The databases whose first pages are asked for ahead.</summary>
    const int DatabasesFirst = 8;

    readonly RestorePlan plan;
    readonly IReadOnlyCollection<LiveTable>? tables; // Null when they are to be tried.

    /// <param name="plan">What is to be opened.</param>
    public LazyPlacing(RestorePlan plan)
    {
        this.plan = plan;
        tables = RocksTrial.IsForAll ? null : TablesOf(plan.Hints.Hints);
        Files = FilesOf();
    }

    /// <summary>The files that need not be here to begin with.</summary>
    public IReadOnlyList<LazyEntry> Files { get; }

    /// <summary>Bytes that are fetched before it is opened.</summary>
    public long FetchBytes => plan.FetchBytes - Files.Sum(f => f.Extent.SizeBytes);

    List<LazyEntry> FilesOf()
    {
        var lazy = new List<LazyEntry>();
        foreach (var file in plan.Hints.Hints.Files)
        {
            if (file.Names.Count != 1 || !plan.Hints.Extents.TryGetValue(file.Fnode, out var extent)
                || !IsLazy(file.Class, extent))
                continue;
            TrackedName.Check(file.Class, file.Name, plan.Hints.Name);
            lazy.Add(new LazyEntry(file.Name, extent));
        }
        return lazy;
    }

    /// <summary>Tables are a hundredth of the blobs. A small one has no list: it takes one request anyway.</summary>
    bool IsLazy(FileClass file, in Extent extent) => file switch
    {
        FileClass.RocksBlob => true,
        FileClass.RocksTable => tables is not null && extent.HasList,
        _ => false,
    };

    /// <summary>The tables that count, as the MANIFEST says; null when it is not understood here.</summary>
    static IReadOnlyCollection<LiveTable>? TablesOf(Hints hints)
    {
        var small = hints.Files.Where(f => f.Class == FileClass.RocksSmall).ToList();
        if (small.Find(f => f.Names.Contains("CURRENT")) is not { } current) return null;
        var name = Encoding.UTF8.GetString(current.Bytes.Span).TrimEnd('\n');
        if (small.Find(f => f.Names.Contains(name)) is not { } manifest) return null;
        try
        {
            var names = hints.Files.SelectMany(f => f.Names).ToHashSet(StringComparer.Ordinal);
            var found = Manifest.LiveTables(manifest.Bytes.Span, name);
            return found.All(t => names.Contains(t.FileName) && t.Smallest.AsSpan().SequenceCompareTo(t.Largest) <= 0)
                ? found
                : null;
        }
        catch (UnfamiliarFileException)
        {
            return null;
        }
    }

    /// <summary>
    /// Those in which an opening looks: for the store's own entry, and for the databases' first pages.
    /// </summary>
    HashSet<string> ReadFirst() => (tables ?? []).Where(t => t.MayHave(0, 0)
        || plan.Hints.Hints.Databases.Take(DatabasesFirst).Any(d => t.MayHave(d.Id, 0) || t.MayHave(d.Id, 1)))
        .Select(t => t.FileName).ToHashSet(StringComparer.Ordinal);

    /// <summary>
    /// Makes the directory. There must be files that are not here; else it is filled as any
    /// (<see cref="StoreRestore.PlaceFilesAsync"/>).
    /// </summary>
    public async Task PlaceAsync(StoreOptions options, int parallelism, LazyPlace from, CancellationToken cancellation)
    {
        var home = new StoreHome(UnsyncedDisk.Instance, options.Directory);
        var absent = Files.Select(e => e.Extent.Fnode).ToHashSet();
        LocalDisk.Instance.CreateDirectoryUnsynced(home.Pages);
        if (Directory.Exists(home.Fetching)) Directory.Delete(home.Fetching, recursive: true);
        var fetching = plan.FetchFilesAsync(home.Fetching, parallelism, static _ => { }, cancellation, absent);
        try
        {
            var list = new LazyList(plan.Hints.Header.Lsn, from.Url, Files);
            await LazyFiles.CreateAsync(home, list, from.Remote, ReadFirst());
        }
        finally
        {
            await ((Task)fetching).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
        var paths = await fetching;
        foreach (var file in plan.Hints.Hints.Files)
            if (file.Class != FileClass.Plain && !absent.Contains(file.Fnode))
                StoreRestore.Move(plan, file, paths[file.Fnode], home.Pages);
        Directory.Delete(home.Fetching, recursive: true);
        if (tables is null)
            RocksTrial.Run(home.Pages, Path.Combine(home.Path, "trial"), cancellation, TrialDepth.Keys);
    }
}
