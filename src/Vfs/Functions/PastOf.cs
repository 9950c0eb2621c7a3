using System.Text;
using RecoveryVfs.Opening;
using RecoveryVfs.PageStore.Past;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Remote;

namespace RecoveryVfs.Functions;

/// <summary>
/// Where the past of a connection's database is: its store's own directory as far back as that reaches, its remote
/// beyond; and its name there.
/// </summary>
internal sealed class PastOf : IDisposable
{
    IObjectStore? remote;

    PastOf(string directory, string name, Func<string>? url, IDisposable? held)
    {
        Name = name;
        this.held = held;
        Source = new LocalPastSource(new StoreOptions { Directory = directory },
            url is null ? null : () => new RemotePastSource(new RemoteContext { Store = Reach(url()) }));
    }

    PastOf(string url, string name) =>
        (Name, Source) = (name, new RemotePastSource(new RemoteContext { Store = Reach(url) }));

    readonly IDisposable? held;

    IObjectStore Reach(string url) => remote ??= RemoteUrl.Parse(url).Open(readOnly: true);

    /// <summary>The database's name in its store.</summary>
    public string Name { get; }

    public PastSource Source { get; }

    /// <summary>
    /// Finds it by the path that SQLite has. Nothing is shipped for it, unless what is asked for lies further back than
    /// the store itself reaches: then the remote gets what it lacks first.
    /// </summary>
    public static PastOf Open(string path)
    {
        // It takes disk and time, and shows what was deleted: not for the SQL of others.
        if (Options.Process.UriOptions == UriOptions.Safe)
            throw new RecoveryException(RecoveryError.Invalid,
                "This process runs the SQL of others (RECOVERY_URI_OPTIONS=safe): the past is not asked from SQL here.",
                "Use `recovery diff`, `history` or `at`.");
        if (path.Length > 0 && OpenDatabases.Find(Encoding.UTF8.GetBytes(path)) is { } open)
        {
            var store = open.Store.Store;
            // What the log has in memory is on its way to the reader, too; and files that it opens stay.
            store.WriteOut();
            return new PastOf(store.Directory, open.Database.Name, store.Remote is { } shipping
                ? () =>
                {
                    store.SyncRemote(null);
                    return shipping.Url;
                }
            : null, store.HoldFiles());
        }
        var stub = path.Length > 0 ? Stub.Read(path) : default;
        if (path.Length == 0 || stub.Content != PathContent.Stub)
            throw new RecoveryException(RecoveryError.Invalid,
                "The past is known of databases that were opened with vfs=recovery only. Name the schema of one as "
                    + "the last argument.");
        var home = new StoreHome(DatabaseOpening.StoreOf(path, stub, Options.Process));
        if (home is { IsReplica: true, Following: { } followed }) return new PastOf(followed, stub.Database!);
        return new PastOf(home.Path, stub.Database!, home.RemoteUrl is { } url ? () => url : null, null);
    }

    public void Dispose()
    {
        held?.Dispose();
        if (remote is null) return;
        var closing = remote.DisposeAsync();
        if (!closing.IsCompletedSuccessfully) Task.Run(async () => await closing).GetAwaiter().GetResult();
    }
}
