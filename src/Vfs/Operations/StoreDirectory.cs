using System.Globalization;
using RecoveryVfs.Opening;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Log;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.Operations;

/// <summary>
/// A store's directory, looked at without opening it: nothing here takes its lock or changes anything, so a store in
/// use by another process can be looked at, too.
/// </summary>
internal sealed class StoreDirectory
{
    const string Name = StoreHome.Name;
    // What is listed may be replaced by a writer while it is read.
    const int Tries = 5;

    StoreDirectory(string path) => Path = path;

    /// <summary>The store: <c>DIR/.recovery</c>.</summary>
    public string Path { get; }

    /// <summary>Where the databases' stubs are.</summary>
    public string Databases => System.IO.Path.GetDirectoryName(Path)!;

    public static string Within(string directory)
        => System.IO.Path.Combine(System.IO.Path.GetFullPath(directory), Name);

    /// <summary>The store that a user names by DIR, by DIR/.recovery, or by a database in it.</summary>
    public static StoreDirectory Find(string target)
    {
        if (RemoteAccess.IsUrl(target))
            throw new RecoveryException(RecoveryError.Invalid,
                $"{target} is the URL of a remote, and this is done to a store.",
                "Name the directory that holds the databases.")
            { Path = target };
        var path = System.IO.Path.TrimEndingDirectorySeparator(System.IO.Path.GetFullPath(target));
        if (Directory.Exists(Within(path))) return Readable(new(Within(path)));
        if (System.IO.Path.GetFileName(path) == Name && Directory.Exists(path)) return Readable(new(path));
        if (File.Exists(path) && Stub.Read(path) is { Content: PathContent.Stub } stub
            && DatabaseOpening.StoreOf(path, stub, Options.Process.WithEnvironment()) is var store
            && Directory.Exists(store)) return new(store);
        if (Directory.Exists(System.IO.Path.Combine(path, "pages"))) return new(path);
        var (what, hint) = WhyNone(path);
        throw new RecoveryException(RecoveryError.NotFound, what, hint) { Path = path };
    }

    /// <summary>What is there in the place of a store, and what somebody who named it may want.</summary>
    static (string What, string Hint) WhyNone(string path)
    {
        var beside = System.IO.Path.GetDirectoryName(path);
        var found = Stub.Read(path);
        if (found.Content == PathContent.Stub)
            return ($"{path} names a store that does not exist.", "Bring the store back, or restore it.");
        if (found.Content == PathContent.PlainDatabase)
            return ($"{path} is a plain SQLite database, and in no store.",
                "`recovery import` brings it into one; `recovery replicate` ships it as it is.");
        if (File.Exists(System.IO.Path.Combine(path, "store.json")))
            return ($"{path} is a remote, and no store.", $"Write it as a URL: {new Uri(path).AbsoluteUri}");
        return beside is not null && !Directory.Exists(path) && Directory.Exists(Within(beside))
            ? ($"There is no database {path} in the store beside it.", $"`recovery databases {beside}` lists them.")
            : ($"There is no store in {path} (no {Name} directory).", "Name the directory that holds the databases.");
    }

    /// <summary>
    /// A store that this user may look at; another one is refused by the right that is missing, not as one that is not
    /// there.
    /// </summary>
    static StoreDirectory Readable(StoreDirectory store)
    {
        string[] places =
            [store.Path, System.IO.Path.Combine(store.Path, "log"), System.IO.Path.Combine(store.Path, "pages"),
            System.IO.Path.Combine(store.Path, "files")];
        if (places.Select(UserRights.WhyNotReadIn).FirstOrDefault(why => why is not null) is { } why)
            throw new RecoveryException(RecoveryError.CannotOpen,
                $"The store {store.Path} cannot be read: {why}. Give this user the rights to read it and what is in "
                    + "it, or run as its owner.")
            { Path = store.Path };
        return store;
    }

    /// <summary>What its config says of the remote.</summary>
    public string? ConfiguredRemote => Options.FromConfig(Path).LastOrDefault(o => o.Key == "remote").Value
        is { Length: > 0 } configured ? configured : null;

    /// <summary>The remote that it ships to: what its config says, what was set, or what it shipped to last.</summary>
    public string? RemoteUrl => ConfiguredRemote is { } configured
        ? configured == "none" ? null : configured : OwnRemote;

    /// <summary>The remotes that it has shipped to, newest first.</summary>
    public IReadOnlyList<string> RemotesBefore => new StoreHome(Path).RemoteUrls;

    string? OwnRemote => new StoreHome(Path) is var home && IsReplica && home.Following is { } followed
        ? followed
        : home.RemoteUrl;

    /// <summary>How the store's own config and the environment would have it opened, with a remote.</summary>
    public StoreOptions OptionsWith(string remote) =>
        (Options.Process.With(Options.FromEnvironment()).With(Options.FromConfig(Path)) with { Remote = remote })
            .ToStoreOptions(Path);

    /// <summary>The remote to ship to: the one given, the one it has, or that of the environment.</summary>
    public string ChooseRemote(string? given) => given ?? RemoteUrl ?? RemoteAccess.Default
        ?? throw new RecoveryException(RecoveryError.NotFound,
            $"The store {Path} has no remote.",
            "Give --remote URL, or set RECOVERY_REMOTE.")
        { Path = Path };

    /// <summary>Its identity as a writer; null when it was never one.</summary>
    public ulong? Author => new StoreHome(Path).Author;

    /// <summary>Whether it is the log of the RocksDB in the directory above.</summary>
    public bool IsOfRocksDb => new StoreHome(Path).IsOfRocksDb;

    /// <summary>Throws when it is that: there are no databases.</summary>
    public void ThrowUnlessDatabases() => new StoreHome(Path).ThrowIfOfRocksDb();

    public bool IsReplica => new StoreHome(Path).IsReplica;

    /// <summary>Where the directory <c>log</c> is: a replica keeps what it has not settled apart.</summary>
    string LogHome => IsReplica ? System.IO.Path.Combine(Path, "relay") : Path;

    public string SalvageDirectory => System.IO.Path.Combine(Path, "salvage");

    /// <summary>Who has it open for writing, in words; null when nobody has.</summary>
    public string? Holder() => StoreLock.HolderOf(Path);

    /// <summary>
    /// Reads the local log: the databases' names as of the newest hints go to <paramref name="start"/>, and every
    /// record there is to
    /// <paramref name="take"/> (again from the start when a writer was in the way). Returns the hints, and the log's
    /// identity and end; null for a store that has no log yet.
    /// </summary>
    public (Hints? Hints, LocalLogEnd? End) ReadLog(Action<Hints?> start, RecordTaken take)
    {
        for (var tries = 1; ; tries++)
        {
            try
            {
                var hints = LocalHints.LoadNewest(LocalDisk.Instance, Path);
                start(hints);
                if (SegmentFiles().FirstOrDefault() is not { } oldest) return (hints, null);
                using var log =
                    LocalLog.Open(LocalDisk.Instance, LogHome, new LogOptions { ReadOnly = true }, oldest.FirstLsn,
                    take);
                return (hints, new LocalLogEnd(log.LogId, log.Epoch, oldest.FirstLsn, log.LastLsn, log.SizeBytes));
            }
            catch (Exception e) when (tries < Tries && e is RecoveryException or IOException && Holder() is not null)
            {
                // A writer replaced something meanwhile.
            }
        }
    }

    /// <summary>The files of the local log, oldest first.</summary>
    public IReadOnlyList<LocalSegmentFile> SegmentFiles()
    {
        var directory = new DirectoryInfo(System.IO.Path.Combine(LogHome, "log"));
        if (!directory.Exists) return [];
        return [.. directory.EnumerateFiles("*.log")
            .Where(f => f.Name.Length == 20
            && ulong.TryParse(f.Name.AsSpan(0, 16), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture,
            out _))
            .Select(f => new LocalSegmentFile(
            ulong.Parse(f.Name.AsSpan(0, 16), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture), f.Name,
            f.Length))
            .OrderBy(f => f.FirstLsn)];
    }
}

/// <summary>Where a local log stands.</summary>
internal sealed record LocalLogEnd(Guid LogId, ulong Epoch, ulong FirstLsn, ulong LastLsn, long SizeBytes);

/// <summary>A file of the local log.</summary>
internal sealed record LocalSegmentFile(ulong FirstLsn, string Name, long SizeBytes);
