using RecoveryVfs.Operations;
using RecoveryVfs.PageStore.Past;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Views;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Remote.Pins;
using RecoveryVfs.RecoveryLog.Remote.Read;

namespace RecoveryVfs.Cli;

/// <summary>
/// Where a command reads the past of a database: in the store's own directory, when one is named and reaches back so
/// far; else in its remote, where what is read is kept by a pin meanwhile.
/// </summary>
internal sealed class PastPlace : IAsyncDisposable
{
    readonly RemoteAccess? remote;
    readonly RestorePin? pin;

    PastPlace(PastSource source, string database, RemoteAccess? remote, RestorePin? pin) =>
        (Source, Database, this.remote, this.pin) = (source, database, remote, pin);

    public PastSource Source { get; }

    /// <summary>The database that was named, or the only one there is.</summary>
    public string Database { get; }

    /// <param name="target">What the command was given.</param>
    /// <param name="database">The database that it was given.</param>
    /// <param name="first">The earliest moment that is asked for; null for as far back as there is anything.</param>
    /// <param name="to">Where notes go.</param>
    /// <param name="cancellation">Gives up.</param>
    public static async Task<PastPlace> OpenAsync(string? target, string? database, RestoreTarget? first, Output to,
        CancellationToken cancellation)
    {
        if (await TryLocalAsync(target, database, first, cancellation) is { } local) return local;
        var remote = RemoteAccess.Open(target);
        try
        {
            var name = await PastDatabase.NameAsync(remote, database, cancellation);
            var pin = first is { } moment ? await PastDatabase.PinAsync(remote, moment, to, cancellation) : null;
            return new PastPlace(new RemotePastSource(remote.Context), name, remote, pin);
        }
        catch
        {
            await remote.DisposeAsync();
            throw;
        }
    }

    /// <summary>
    /// The store's own directory; null when none is named, or when it does not reach back so far and there is a remote
    /// that may. Throws NotFound when there is none.
    /// </summary>
    public static async Task<PastPlace?> TryLocalAsync(string? target, string? database, RestoreTarget? first,
        CancellationToken cancellation)
    {
        if (target is null || RemoteAccess.IsUrl(target)) return null;
        var store = StoreDirectory.Find(target);
        if (new StoreHome(store.Path).IsReplica) return null;
        store.ThrowUnlessDatabases();
        var hasRemote = (store.RemoteUrl ?? RemoteAccess.Default) is not null;
        var source = new LocalPastSource(new StoreOptions { Directory = store.Path }, null);
        try
        {
            var from = first ?? await source.OldestAsync(cancellation);
            // What was before the oldest that is left here is in the remote.
            if (first is null && from.Lsn > 0 && hasRemote) return null;
            await source.RequireAsync(from, cancellation);
            return new PastPlace(source, NameIn(store, database), null, null);
        }
        catch (RecoveryException e) when (hasRemote && e.Error is not RecoveryError.Invalid)
        {
            return null;
        }
    }

    static string NameIn(StoreDirectory store, string? named)
    {
        if (named is not null) return named;
        using var view = StoreView.Open(new StoreOptions { Directory = store.Path });
        using var reader = view.Read();
        return PastDatabase.Only(reader.Databases, store.Path);
    }

    public async ValueTask DisposeAsync()
    {
        if (pin is not null) await pin.DisposeAsync();
        if (remote is not null) await remote.DisposeAsync();
    }
}
