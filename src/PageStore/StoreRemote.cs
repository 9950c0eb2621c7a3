using System.Buffers.Binary;
using System.Security.Cryptography;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Remote;

namespace RecoveryVfs.PageStore;

/// <summary>How a store ships to its remote.</summary>
public sealed record RemoteOptions
{
    /// <summary>Where to: <c>s3://bucket/prefix</c> or <c>file:///directory</c>.</summary>
    public required string Url { get; init; }

    /// <summary>How long commits are gathered before they are shipped.</summary>
    public TimeSpan SyncInterval { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>
    /// Log shipped since the last hints before new ones are published. A restore replays this much at most; what is born and dies in between is never
    /// shipped, so rare hints are cheap hints.
    /// </summary>
    public long HintsBytes { get; init; } = 256L << 20;

    /// <summary>What must stay restorable.</summary>
    public Retention Retention { get; init; } = new();

    /// <summary>Opens the object store; by default what the URL says.</summary>
    public Func<RemoteOptions, IObjectStore>? Open { get; init; }
}

/// <summary>
/// A store's tie to its remote: ships the log, publishes hints when enough log has gathered since the last, and collects what nothing needs
/// any more.
/// </summary>
public sealed class StoreRemote : IAsyncDisposable
{
    static readonly TimeSpan LookInterval = TimeSpan.FromSeconds(1);
    static readonly TimeSpan RetryInterval = TimeSpan.FromSeconds(10);

    // The file in a store's directory that says which remote it has shipped to.
    internal const string MarkName = "remote";

    readonly Store store;
    readonly RemoteOptions options;
    readonly RemoteContext context;
    readonly Shipper shipper;
    readonly HintsPublisher publisher;
    readonly CancellationTokenSource stopping = new();
    readonly SemaphoreSlim oneAtATime = new(1);
    readonly string markPath;
    readonly bool shippedBefore;
    Task? loop;

    internal StoreRemote(Store store, RemoteOptions options, TimeProvider time)
    {
        this.store = store;
        this.options = options;
        context = new RemoteContext { Store = options.Open?.Invoke(options) ?? RemoteUrl.Parse(options.Url).Open(time: time), Time = time };
        markPath = Path.Combine(store.Directory, MarkName);
        shippedBefore = File.Exists(markPath) && File.ReadAllText(markPath).Trim() == options.Url;
        shipper = new Shipper(context, store.Log, new ShipperOptions
        {
            Author = AuthorOf(store.Directory),
            SyncInterval = options.SyncInterval,
            MayCreate = !shippedBefore,
            SalvageDirectory = Path.Combine(store.Directory, "salvage"),
            Disk = LocalDisk.Instance,
        });
        publisher = new HintsPublisher(context, shipper);
    }

    /// <summary>Where the log goes.</summary>
    public string Url => options.Url;

    /// <summary>What operators watch.</summary>
    public RemoteState State => shipper.State;

    /// <summary>Why the newest publication of hints failed; null when it did not.</summary>
    public string? HintsError { get; private set; }

    /// <summary>The random identity of a store's directory as a writer, made once.</summary>
    internal static ulong AuthorOf(string directory)
    {
        var path = Path.Combine(directory, "author");
        if (File.Exists(path) && ulong.TryParse(File.ReadAllText(path).Trim(), System.Globalization.NumberStyles.HexNumber, null, out var known)) return known;
        var author = Math.Max(1, BinaryPrimitives.ReadUInt64LittleEndian(RandomNumberGenerator.GetBytes(8)));
        WriteDurably(path, author.ToString("x16") + "\n");
        return author;
    }

    /// <summary>These small files must outlive a loss of power: another author would be another writer, and fenced.</summary>
    static void WriteDurably(string path, string text)
    {
        var disk = LocalDisk.Instance;
        using (var file = disk.Open(path + ".new", LogFileMode.Create))
        {
            file.Write(0, System.Text.Encoding.UTF8.GetBytes(text));
            file.SyncData();
        }
        disk.Rename(path + ".new", path);
        disk.SyncDirectory(Path.GetDirectoryName(path)!);
    }

    internal void Start()
    {
        shipper.Start();
        loop = Task.Run(RunAsync);
    }

    /// <summary>Blocks until the remote has everything up to an LSN; asks for a request at once.</summary>
    public void WaitShipped(ulong lsn) => shipper.WaitShipped(lsn);

    /// <summary>Completes when the remote has everything up to an LSN; lets the interval's own request bring it.</summary>
    public Task WhenShippedAsync(ulong lsn, CancellationToken cancellation = default) => shipper.WhenShippedAsync(lsn, cancellation);

    /// <summary>Throws when this writer has lost the log for good.</summary>
    internal void ThrowIfLost() => shipper.ThrowIfLost();

    async Task RunAsync()
    {
        var stop = stopping.Token;
        try
        {
            await shipper.ConnectedAsync(stop);
            if (!shippedBefore) WriteDurably(markPath, options.Url + "\n");
            while (true)
            {
                if (await PublishWhenDueAsync(stop)) await shipper.WhenShippedAsync(State.ShippedLsn + 1, stop);
                else await Task.Delay(RetryInterval, context.Time, stop);
                await Task.Delay(LookInterval, context.Time, stop);
            }
        }
        catch (OperationCanceledException)
        {
            // The store closes.
        }
        catch (RecoveryException e)
        {
            // Final: the shipper's state says why, to whoever asks and to every writer.
            HintsError = e.Message;
        }
    }

    /// <summary>Publishes hints if it is time, and collects; false when that failed and should be tried again.</summary>
    async Task<bool> PublishWhenDueAsync(CancellationToken stop)
    {
        // Without hints nothing can be restored; a remote with nothing in it needs none.
        var first = State.NeedsHints && State.ShippedLsn > 0;
        if (!first && State.BytesSinceHints <= options.HintsBytes) return true;
        try
        {
            await PublishHintsAsync(stop);
            await CollectAsync(stop);
            HintsError = null;
            return true;
        }
        catch (RecoveryException e)
        {
            HintsError = e.Message;
            return false;
        }
    }

    /// <summary>Brings all pages into files, ships those that the remote lacks, and publishes hints: a restore then starts from now.</summary>
    public async Task PublishHintsAsync(CancellationToken cancellation = default)
    {
        await oneAtATime.WaitAsync(cancellation);
        try
        {
            using var held = store.HoldFiles();
            var (hints, timeMs) = store.SnapshotForRemote();
            await publisher.PublishAsync(hints, timeMs, file => OpenPagesFile(file.Name), cancellation);
        }
        finally
        {
            oneAtATime.Release();
        }
    }

    FileStream OpenPagesFile(string name) =>
        new(Path.Combine(store.Directory, "pages", name), FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, 0);

    /// <summary>Deletes from the remote what nothing needs; says what and why. With <paramref name="dryRun"/> deletes nothing.</summary>
    public async Task<CollectionPlan> CollectAsync(CancellationToken cancellation = default, bool dryRun = false)
    {
        var collector = new Collector(context, shipper, publisher);
        return dryRun ? await collector.PlanAsync(options.Retention, cancellation) : await collector.CollectAsync(options.Retention, cancellation);
    }

    /// <summary>Names and values for status reports.</summary>
    internal IEnumerable<(string Name, object Value)> Status()
    {
        var state = State;
        yield return ("remote", Url);
        yield return ("remote_state", state.Phase.ToString().ToLowerInvariant());
        if (state.LastError is { } error) yield return ("remote_error", error.Message);
        if (HintsError is { } hintsError) yield return ("remote_hints_error", hintsError);
        if (state.OutageSince is { } since) yield return ("remote_outage_seconds", (long)(context.Time.GetUtcNow() - since).TotalSeconds);
        yield return ("remote_lsn", state.ShippedLsn);
        yield return ("remote_lag_records", state.LagRecords);
        yield return ("remote_lag_bytes", state.LagBytes);
        yield return ("remote_lag_ms", (long)state.Lag.TotalMilliseconds);
        yield return ("remote_hints_lsn", state.Hints?.Lsn ?? 0);
        yield return ("remote_bytes_since_hints", state.BytesSinceHints);
        if (state.SalvageNote is { } salvage) yield return ("remote_salvage", salvage);
    }

    /// <summary>Ships what is left, for a while, and stops.</summary>
    public async ValueTask DisposeAsync()
    {
        stopping.Cancel();
        if (loop is not null) await loop;
        await shipper.DisposeAsync();
        await context.Store.DisposeAsync();
        stopping.Dispose();
        oneAtATime.Dispose();
    }

    /// <summary>Before the store closes: waits until the remote has everything, but not for a remote that cannot be reached.</summary>
    internal void ShipRest(ulong lsn, TimeSpan patience)
    {
        try
        {
            if (State.Phase is ShipperPhase.Fenced or ShipperPhase.Failed or ShipperPhase.Outage) return;
            using var limit = new CancellationTokenSource(patience, context.Time);
            if (State.ShippedLsn < lsn) shipper.WaitShipped(lsn, limit.Token);
            // A store that lived too briefly for its first hints: without any, nothing could be restored.
            if (State.NeedsHints && State.ShippedLsn > 0) PublishHintsAsync(limit.Token).GetAwaiter().GetResult();
        }
        catch (Exception e) when (e is RecoveryException or OperationCanceledException)
        {
            // It stays in the local log; the next opening ships it.
        }
    }
}
