using System.Text;
using RecoveryVfs.Opening;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Remote;

namespace RecoveryVfs.Functions;

/// <summary>Where the past of a connection's database is: its remote, and its name there.</summary>
internal sealed class PastOf : IDisposable
{
    PastOf(string url, string name)
    {
        (Name, Context) = (name, new RemoteContext { Store = RemoteUrl.Parse(url).Open(readOnly: true) });
    }

    /// <summary>The database's name in its store.</summary>
    public string Name { get; }

    public RemoteContext Context { get; }

    /// <summary>
    /// Finds it by the path that SQLite has. Of a store that is open here, everything that was committed is shipped
    /// first.
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
            var remote = open.Store.Store.Remote ?? throw NoRemote(open.Store.Directory);
            open.Store.Store.SyncRemote(null);
            return new PastOf(remote.Url, open.Database.Name);
        }
        var stub = path.Length > 0 ? Stub.Read(path) : default;
        if (path.Length == 0 || stub.Content != PathContent.Stub)
            throw new RecoveryException(RecoveryError.Invalid,
                "The past is known of databases that were opened with vfs=recovery only. Name the schema of one as "
                    + "the last argument.");
        var store = DatabaseOpening.StoreOf(path, stub, Options.Process);
        return new PastOf(UrlOf(new StoreHome(store)) ?? throw NoRemote(store), stub.Database!);
    }

    static string? UrlOf(StoreHome home) => home is { IsReplica: true, Following: { } followed }
        ? followed
        : home.RemoteUrl;

    static RecoveryException NoRemote(string store) => new(RecoveryError.Invalid,
        $"The store {store} has no remote, and the past is in the remote.",
            "Set one: recovery remote set DIR URL.")
    { Path = store };

    public void Dispose()
    {
        var closing = Context.Store.DisposeAsync();
        if (!closing.IsCompletedSuccessfully) Task.Run(async () => await closing).GetAwaiter().GetResult();
    }
}
