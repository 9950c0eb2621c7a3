using RecoveryVfs.Opening;
using RecoveryVfs.PageStore.Replicas;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.RecoveryLog.Remote.Read;

namespace RecoveryVfs.Operations;

/// <summary>
/// Carries out a restore's plan: to a store with the stubs of its databases beside it, or to one plain SQLite file.
/// </summary>
internal sealed class Restoring(RestorePlan plan, int parallelism, StepBegun begin, Action<string> note)
{
    /// <summary>Refuses a store's directory that has something in it.</summary>
    public static void CheckPlace(string store)
    {
        if (Path.GetDirectoryName(store) is { } directory && File.Exists(directory))
            throw new RecoveryException(RecoveryError.Invalid, $"{directory} is a file.",
                "Name the directory that the databases go to.")
            { Path = directory };
        if (Directory.Exists(store) && Directory.EnumerateFileSystemEntries(store).Any())
            throw new RecoveryException(RecoveryError.Invalid,
                $"{store} exists already.",
                "Restore into another directory, or move that one away.")
            { Path = store };
    }

    /// <summary>Refuses a directory where the stub of a database would replace somebody's file.</summary>
    public static void CheckStubs(string into, RestorePlan plan)
    {
        foreach (var database in plan.Hints.Hints.Databases.Where(d => DatabaseName.Problem(d.Name) is null))
            if (Path.Combine(Path.GetFullPath(into), database.Name) is var path
                && Stub.Read(path).Content is PathContent.PlainDatabase or PathContent.Foreign)
                throw new RecoveryException(RecoveryError.Invalid,
                    $"{path} is in the way of the database's stub.",
                    "Move it away, or restore into another directory.")
                { Path = path };
    }

    /// <summary>Restores a store into <c>INTO/.recovery</c>. It appears whole, or not at all.</summary>
    public async Task<RestoreResult> ToStoreAsync(string into, bool verify, CancellationToken cancellation)
    {
        into = Path.GetFullPath(into);
        using var staging = new Staging(into, "recovery");
        var store = StoreDirectory.Within(into);
        var result = await RestoredStore.RestoreAsync(plan, staging.Path("store"), parallelism, begin, cancellation);
        if (verify) RestoredStore.Verify(staging.Path("store"), begin, cancellation);
        if (Directory.Exists(store)) Directory.Delete(store); // Empty, or it would have been refused.
        staging.MoveOut("store", store);
        foreach (var name in result.Databases) PlaceStub(into, store, name);
        LocalDisk.Instance.SyncDirectory(into);
        return result;
    }

    void PlaceStub(string into, string store, string name)
    {
        if (DatabaseName.Problem(name) is { } problem)
        {
            note($"The database {DatabaseName.Shown(name)} is in the store, but gets no file beside it: its name "
                + $"{problem}.");
            return;
        }
        var path = Path.Combine(into, name);
        if (Stub.Read(path).Content is PathContent.PlainDatabase or PathContent.Foreign)
            note($"{path} was left as it is: the database {name} is in the store, but cannot be opened under that "
                + "name.");
        else Stub.Write(path, store, name);
    }

    /// <summary>
    /// Writes one database as a plain file, which <paramref name="check"/> may look at (its path and the database's
    /// name) before it gets its place. It is made of the remote; where that does not go, of a store that is restored
    /// aside.
    /// </summary>
    public async Task<(RestoreResult Result, string Database)> ToFileAsync(
        string file, string? database, bool force, Action<string, string>? check, CancellationToken cancellation)
    {
        using var staging = new Staging(Path.GetDirectoryName(file)!, Path.GetFileName(file));
        var (direct, why) = await RestoredFile.TryAsync(plan, staging, database, parallelism, begin, cancellation);
        if (direct is not null)
        {
            var only = Choose(database, direct.Databases, direct.Lsn);
            DeliveredFile.CheckPlace(file, force);
            DeliveredFile.Deliver(staging, file, made => check?.Invoke(made, only));
            return (direct, only);
        }
        note($"A store is restored first, and the file made of it: {why}.");
        var result = await RestoredStore.RestoreAsync(plan, staging.Path("store"), parallelism, begin, cancellation);
        var name = Choose(database, result.Databases, result.Lsn);
        RestoredStore.Verify(staging.Path("store"), begin, cancellation);
        DeliveredFile.CheckPlace(file, force);
        DeliveredFile.Export(staging, staging.Path("store"), name, file, begin, made => check?.Invoke(made, name));
        return (result, name);
    }

    /// <summary>The database that is wanted, or the only one there is.</summary>
    public static string Choose(string? wanted, IReadOnlyList<string> there, ulong lsn)
    {
        if (wanted is not null)
            return there.Contains(wanted) ? wanted
                : throw new RecoveryException(RecoveryError.NotFound,
                    $"There is no database {wanted} at LSN {lsn}; there are: {Words.Some(there)}.")
                { Lsn = lsn };
        return there.Count switch
        {
            1 => there[0],
            0 => throw new RecoveryException(RecoveryError.NotFound,
                $"There is no database at LSN {lsn}.")
            { Lsn = lsn },
            _ => throw new RecoveryException(RecoveryError.Invalid,
                "Which database?",
                $"Give --database with one of: {Words.Some(there)}."),
        };
    }
}

