using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.Pins;
using RecoveryVfs.RecoveryLog.Remote.Read;
using RecoveryVfs.RecoveryLog.Remote.Write;

namespace RecoveryVfs.Operations;

/// <summary>A remote opened for one operation.</summary>
internal sealed class RemoteAccess : IAsyncDisposable
{
    RemoteAccess(string url, IObjectStore objects)
        => (Url, Context) = (url, new RemoteContext { Store = objects, Tries = Tries });

    /// <summary>People wait: an error after some seconds is better than patience.</summary>
    const int Tries = 5;

    public string Url { get; }

    public RemoteContext Context { get; private set; }

    /// <summary>
    /// What is too large for memory goes to the disk of a directory, which this command writes to anyway, and not to
    /// TMPDIR.
    /// </summary>
    public void SpoolIn(string directory) => Context = Context with { OpenSpool = RemoteContext.SpoolsIn(directory) };

    /// <summary>What RECOVERY_REMOTE says, for commands that leave the URL out.</summary>
    public static string? Default { get; private set; }

    /// <summary>
    /// Keeps RECOVERY_REMOTE for commands that ask for it, and from everything else: a temporary store that this
    /// program opens must never ship to somebody's remote.
    /// </summary>
    public static void TakeFromEnvironment()
    {
        Default = Environment.GetEnvironmentVariable("RECOVERY_REMOTE") is { Length: > 0 } url ? url : null;
        foreach (var name in (string[])["RECOVERY_REMOTE", "RECOVERY_AUTO_RESTORE", "RECOVERY_STORE",
            "RECOVERY_DURABILITY"])
            Environment.SetEnvironmentVariable(name, null);
    }

    public static bool IsUrl(string text) => text.Contains("://", StringComparison.Ordinal)
        || text.StartsWith("file:", StringComparison.Ordinal);

    /// <summary>
    /// Opens what a command names: a URL, or a directory whose store has a remote. Nothing means RECOVERY_REMOTE.
    /// </summary>
    public static RemoteAccess Open(string? target) => Open(target, readOnly: true);

    static RemoteAccess Open(string? target, bool readOnly)
    {
        var url = target is null
            ? Default ?? throw new RecoveryException(RecoveryError.Invalid,
                "Which remote?",
                "Give its URL (s3://bucket/prefix or file:///directory), or set RECOVERY_REMOTE.")
            : IsUrl(target) ? target
            : StoreDirectory.Find(target).RemoteUrl ?? Default
                ?? throw new RecoveryException(RecoveryError.NotFound,
                    $"The store in {target} has no remote.",
                    "Give the remote's URL instead, or set RECOVERY_REMOTE.")
                { Path = target };
        return new RemoteAccess(url, RemoteUrl.Parse(url).Open(readOnly));
    }

    /// <summary>
    /// Opens what a command writes to, a remote that somebody has made: where there is none, it makes no directory for
    /// one.
    /// </summary>
    public static async Task<RemoteAccess> OpenForWritingAsync(string? target, CancellationToken cancellation)
    {
        await using (var look = Open(target)) await look.StoreAsync(cancellation);
        return Open(target, readOnly: false);
    }

    /// <summary>What the remote says of itself; an error when there is none.</summary>
    public async Task<StoreObject> StoreAsync(CancellationToken cancellation) => await TryStoreAsync(cancellation)
        ?? throw new RecoveryException(RecoveryError.NotFound,
            $"There is no remote at {Context.Store.Location}: store.json is missing.",
            "Check the URL.")
        { Path = Context.Store.Location };

    /// <summary>What the remote says of itself; null when nobody has made one there.</summary>
    public async Task<StoreObject?> TryStoreAsync(CancellationToken cancellation) =>
        await Context.RetryAsync(token => StoreObject.FetchAsync(Context.Store, token), cancellation);

    /// <summary>The hints there are, newest first.</summary>
    public async Task<List<(ulong Lsn, ObjectInfo Object)>> ListHintsAsync(CancellationToken cancellation)
    {
        var found = new List<(ulong, ObjectInfo)>();
        foreach (var entry in await Context.ListAsync(RemoteNames.Hints, null, cancellation))
            if (RemoteNames.TryParseHints(entry.Name, out var lsn)) found.Add((lsn, entry));
        return found;
    }

    /// <summary>The segments there are, oldest first.</summary>
    public async Task<List<(ulong FirstLsn, ObjectInfo Object)>> ListSegmentsAsync(CancellationToken cancellation)
    {
        var found = new List<(ulong, ObjectInfo)>();
        foreach (var entry in await Context.ListAsync(RemoteNames.Segments, null, cancellation))
            if (RemoteNames.TryParseSegment(entry.Name, out var lsn)) found.Add((lsn, entry));
        return found;
    }

    /// <summary>Fetches hints, verified; null when they are gone.</summary>
    public async Task<RemoteHints?> FetchHintsAsync(string name, CancellationToken cancellation)
    {
        var bytes = await Context.RetryAsync(token
            => Context.Store.ReadWholeAsync(name, RemoteHintsFormat.MaxBytes, token), cancellation);
        return bytes is null ? null : RemoteHintsFormat.Read(bytes, name);
    }

    /// <summary>Fetches a segment, verified; null when it is gone.</summary>
    public ValueTask<RemoteSegment?> FetchSegmentAsync(string name, CancellationToken cancellation) =>
        Context.RetryAsync(token => RemoteSegment.FetchAsync(Context.Store, name, Context.OpenSpool, token),
            cancellation);

    /// <summary>Fetches a segment's header only; null when the segment is gone.</summary>
    public ValueTask<RemoteSegmentHeader?> FetchHeaderAsync(string name, CancellationToken cancellation) =>
        RemoteSegmentHeads.FetchAsync(Context, name, cancellation);

    /// <summary>
    /// Keeps what a restore reads from collection, for as long as it takes; says so when that cannot be.
    /// </summary>
    public async Task<RestorePin> PinAsync(RestorePlan plan, Action<string> note, CancellationToken cancellation)
    {
        var pin = await RestorePin.TakeAsync(() => RemoteUrl.Parse(Url).Open(), plan, Context, cancellation);
        if (pin.Problem is { } problem)
            note($"No pin could be put: {problem}. Should this take longer than the writer's grace for readers (1 h), "
                + "what it reads may be collected meanwhile.");
        return pin;
    }

    public ValueTask DisposeAsync() => Context.Store.DisposeAsync();
}
