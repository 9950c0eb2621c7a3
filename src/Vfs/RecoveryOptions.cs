using System.Collections;
using System.Globalization;
using System.Text;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Remote.Collect;
using RecoveryVfs.Settings;

namespace RecoveryVfs;

/// <summary>How readers and writers of a database meet.</summary>
public enum Isolation
{
    /// <summary>Readers keep the version they started with; nobody blocks anybody but a second writer.</summary>
    Snapshot,
    /// <summary>As stock SQLite does in rollback modes: a reader holds a committing writer off, and the other way round.</summary>
    Locking,
}

/// <summary>Where rollback journals are kept.</summary>
public enum JournalPlace
{
    /// <summary>Privately in memory (large ones in an unlinked file): a commit is atomic without them.</summary>
    Auto,
    /// <summary>As plain files in the store, recorded in the log.</summary>
    Plain,
}

/// <summary>When a COMMIT returns.</summary>
public enum Durability
{
    /// <summary>When the commit is as durable on this machine as <c>PRAGMA synchronous</c> says; the remote follows within the sync interval.</summary>
    Async,
    /// <summary>When it can be restored from the remote.</summary>
    Remote,
}

/// <summary>What a database's URI may say.</summary>
public enum UriOptions
{
    /// <summary>Every option. Whoever may run ATTACH may then say where a store without a remote ships to, and which directory is opened as a store.</summary>
    All,
    /// <summary>Only what concerns its own connection (<c>isolation</c>, <c>journal</c>, a stronger <c>durability</c>): for programs that run SQL of others.</summary>
    Safe,
}

/// <summary>
/// What can be chosen, with the same names everywhere: as a URI parameter (<c>file:a.db?vfs=recovery&amp;isolation=locking</c>), in the
/// environment (<c>RECOVERY_ISOLATION</c>), in the store's <c>config</c> file (<c>isolation = locking</c>), or here. A URI goes before the
/// store's config, that before the environment, that before what is given to <see cref="Recovery.Register(RecoveryOptions?, bool)"/>.
/// What concerns a whole store counts when its first connection opens it. A remote that a store has, or that its config, the environment
/// or the program names, is not changed by a URI.
/// </summary>
public sealed record RecoveryOptions
{
    /// <summary>What URIs may say, for the whole process; also <c>RECOVERY_URI_OPTIONS=safe</c>. Neither a URI nor a store's config can change it.</summary>
    public UriOptions UriOptions { get; init; }

    /// <summary><c>store</c>: the store's directory; null for <c>.recovery</c> beside the database.</summary>
    public string? Store { get; init; }

    /// <summary><c>isolation</c>: <c>snapshot</c> or <c>locking</c>.</summary>
    public Isolation Isolation { get; init; }

    /// <summary><c>journal</c>: <c>auto</c> or <c>plain</c>.</summary>
    public JournalPlace Journal { get; init; }

    /// <summary><c>page-cache</c>: bytes of newest pages kept in memory, for a whole store (K, M and G are understood).</summary>
    public long PageCacheBytes { get; init; } = 64L << 20;

    /// <summary><c>overlay-budget</c>: bytes of uncommitted pages kept in memory before they spill to disk, for a whole store.</summary>
    public long OverlayBytes { get; init; } = UsualOverlayBytes;

    internal const long UsualOverlayBytes = 64L << 20;

    /// <summary><c>pending-budget</c>: bytes of committed pages that may wait to enter the page store.</summary>
    public long PendingBytes { get; init; } = 32L << 20;

    /// <summary><c>wal-buffer</c>: memory for the ends of all WALs: what is not committed yet, and what the log has and their files do not yet. One takes at most half.</summary>
    public long WalBufferBytes { get; init; } = 64L << 20;

    /// <summary><c>max-local-log</c>: the most bytes that the local log may grow to; commits fail beyond it.</summary>
    public long MaxLocalLogBytes { get; init; } = 4L << 30;

    /// <summary><c>remote</c>: <c>s3://bucket/prefix</c> or <c>file:///directory</c> to ship to. A store remembers it; <c>none</c> stops it.</summary>
    public string? Remote { get; init; }

    /// <summary><c>durability</c>: <c>async</c>, or <c>remote</c>: a COMMIT returns when the remote has it.</summary>
    public Durability Durability { get; init; }

    /// <summary><c>sync-interval</c>: how long commits are gathered before they are shipped, in milliseconds.</summary>
    public TimeSpan SyncInterval { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary><c>hints-bytes</c>: log shipped between hints, which is the most that a restore has to replay.</summary>
    public long HintsBytes { get; init; } = 256L << 20;

    /// <summary><c>retention</c>: how far back every commit stays restorable, in hours.</summary>
    public TimeSpan Retention { get; init; } = TimeSpan.FromDays(1);

    /// <summary>
    /// <c>verify-interval</c>: how often the remote is restored aside and compared with the live databases, in hours; 0 never. Off unless asked for: it
    /// downloads everything that lives, which may cost money, and needs as much disk for the while.
    /// </summary>
    public TimeSpan VerifyInterval { get; init; }

    /// <summary>
    /// <c>restart-remote</c>: <c>on</c> lets commits go on when the local log has reached its bound while the remote is away, by giving up the unshipped
    /// log and shipping fresh hints later; <c>off</c> fails them.
    /// </summary>
    public bool RestartRemote { get; init; }

    /// <summary><c>auto-restore</c>: <c>on</c> restores a store whose local directory is gone from its remote before it opens.</summary>
    public bool AutoRestore { get; init; }

    /// <summary><c>follow</c>: the remote that the store's directory follows; its databases are read only then, and move forward by themselves.</summary>
    public string? Follow { get; init; }

    /// <summary><c>follow-interval</c>: how often an idle follower looks for more, in milliseconds.</summary>
    public TimeSpan FollowInterval { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary>
    /// <c>sql-socket</c>: whether the process that has the store open runs the statements of its user's other processes (<c>recovery sql --write</c>).
    /// </summary>
    public bool SqlSocket { get; init; } = true;

    /// <summary><c>pages</c>: <c>rocksdb</c>, or <c>memory</c> for tests and small throw-away stores (the log is written all the same).</summary>
    public bool PagesInMemory { get; init; }

    /// <summary><c>linger</c>: how long a store stays open after its last connection, in milliseconds.</summary>
    public TimeSpan Linger { get; init; } = TimeSpan.FromSeconds(1);

    /// <summary><c>lock-timeout</c>: how long opening waits for another process that has the store, in milliseconds. Longer than <c>linger</c>.</summary>
    public TimeSpan LockTimeout { get; init; } = TimeSpan.FromSeconds(2.5);

    /// <summary>The source of time; not to be set by name.</summary>
    public TimeProvider Time { get; init; } = TimeProvider.System;

    internal StoreOptions ToStoreOptions(string directory) => new()
    {
        Directory = directory,
        PageCacheBytes = PageCacheBytes,
        OverlayBytes = OverlayBytes,
        PendingBytes = PendingBytes,
        WalBufferBytes = WalBufferBytes,
        MaxLocalLogBytes = MaxLocalLogBytes,
        PagesInMemory = PagesInMemory,
        Remote = RemoteOf(directory) is { } url
            ? new RemoteOptions
            {
                Url = url,
                SyncInterval = SyncInterval,
                HintsBytes = HintsBytes,
                Retention = new() { Keep = Retention },
                VerifyInterval = VerifyInterval,
                MayRestart = RestartRemote,
            }
            : null,
        Alarm = static e => Failures.Report(Sqlite.Warning, e.Message),
        Time = Time,
    };

    /// <summary>The remote given, or the one that the store has shipped to before: to stop shipping takes a word, not the lack of one.</summary>
    string? RemoteOf(string directory)
    {
        if (Remote == "none") return null;
        if (Remote is not null) return Remote;
        return new StoreHome(directory).RemoteUrl;
    }
}

/// <summary>What came with one open: URI parameters, ours and SQLite's.</summary>
internal sealed record OpenParameters
{
    public static readonly OpenParameters None = new();

    public IReadOnlyList<KeyValuePair<string, string>> Values { get; init; } = [];
    public bool PowersafeOverwrite { get; init; } = true;
    public bool NoLock { get; init; }
    public bool Immutable { get; init; }

    /// <summary>Whether the URI says <c>vfs=</c>.</summary>
    public bool NamesVfs { get; init; }

    /// <summary>The value of one of our parameters, or null.</summary>
    public string? Value(string name) => Values.LastOrDefault(v => v.Key == name).Value;

    /// <summary>Whether SQLite takes no locks: what it reads must not change while it is open.</summary>
    public bool IsLockFree => NoLock || Immutable;
}

/// <summary>The names of the options, and how their values are read.</summary>
internal static class Options
{
    /// <summary>What was given to <see cref="Recovery.Register(RecoveryOptions?, bool)"/>, with the environment over it.</summary>
    public static RecoveryOptions Process { get; set; } = new();

    /// <summary>Every name, as in a URI.</summary>
    public static readonly string[] Names =
        ["store", "isolation", "journal", "page-cache", "overlay-budget", "pending-budget", "wal-buffer", "max-local-log", "pages",
         "remote", "durability", "sync-interval", "hints-bytes", "retention", "verify-interval", "restart-remote", "auto-restore", "follow", "follow-interval", "sql-socket", "linger", "lock-timeout"];

    /// <summary>Those of a connection; all others are of the store, or say which it is.</summary>
    public static readonly string[] OfConnection = ["isolation", "journal", "durability"];

    /// <summary>The options with one of them set from text.</summary>
    public static RecoveryOptions With(this RecoveryOptions options, string name, string value) => name switch
    {
        "store" => options with { Store = value },
        "isolation" => options with { Isolation = ParseIsolation(value) },
        "journal" => options with { Journal = ParseJournal(value) },
        "page-cache" => options with { PageCacheBytes = ParseBytes(name, value) },
        "overlay-budget" => options with { OverlayBytes = ParseBytes(name, value) },
        "pending-budget" => options with { PendingBytes = ParseBytes(name, value) },
        "wal-buffer" => options with { WalBufferBytes = ParseBytes(name, value) },
        "max-local-log" => options with { MaxLocalLogBytes = ParseBytes(name, value) },
        "remote" => options with { Remote = value },
        "durability" => options with { Durability = ParseDurability(value) },
        "sync-interval" => options with { SyncInterval = ParseMilliseconds(name, value) },
        "hints-bytes" => options with { HintsBytes = ParseBytes(name, value) },
        "retention" => options with { Retention = ParseHours(name, value) },
        "verify-interval" => options with { VerifyInterval = ParseHours(name, value) },
        "restart-remote" => options with { RestartRemote = ParseSwitch(name, value) },
        "auto-restore" => options with { AutoRestore = ParseSwitch(name, value) },
        "follow" => options with { Follow = value },
        "follow-interval" => options with { FollowInterval = ParseMilliseconds(name, value) },
        "sql-socket" => options with { SqlSocket = ParseSwitch(name, value) },
        "pages" => options with { PagesInMemory = ParsePages(value) },
        "linger" => options with { Linger = ParseMilliseconds(name, value) },
        "lock-timeout" => options with { LockTimeout = ParseMilliseconds(name, value) },
        _ => options,
    };

    public static RecoveryOptions With(this RecoveryOptions options, IEnumerable<KeyValuePair<string, string>> values) =>
        values.Aggregate(options, (o, v) => o.With(v.Key, v.Value));

    public static Isolation ParseIsolation(string value) => value.ToLowerInvariant() switch
    {
        "snapshot" => Isolation.Snapshot,
        "locking" => Isolation.Locking,
        _ => throw Unknown("isolation", value, "snapshot or locking"),
    };

    public static JournalPlace ParseJournal(string value) => value.ToLowerInvariant() switch
    {
        "auto" => JournalPlace.Auto,
        "plain" => JournalPlace.Plain,
        _ => throw Unknown("journal", value, "auto or plain"),
    };

    public static Durability ParseDurability(string value) => value.ToLowerInvariant() switch
    {
        "async" => Durability.Async,
        "remote" => Durability.Remote,
        _ => throw Unknown("durability", value, "async or remote"),
    };

    static bool ParseSwitch(string name, string value) => value.ToLowerInvariant() switch
    {
        "on" or "1" or "true" => true,
        "off" or "0" or "false" => false,
        _ => throw Unknown(name, value, "on or off"),
    };

    static TimeSpan ParseHours(string name, string value) =>
        int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number <= 24 * 366 * 100
            ? TimeSpan.FromHours(number)
            : throw Unknown(name, value, "a number of hours");

    static bool ParsePages(string value) => value.ToLowerInvariant() switch
    {
        "rocksdb" => false,
        "memory" => true,
        _ => throw Unknown("pages", value, "rocksdb or memory"),
    };

    static long ParseBytes(string name, string value)
    {
        var unit = value.Length == 0 ? 0 : char.ToUpperInvariant(value[^1]) switch { 'K' => 10, 'M' => 20, 'G' => 30, _ => 0 };
        var digits = unit == 0 ? value : value[..^1];
        return long.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number <= long.MaxValue >> unit
            ? number << unit
            : throw Unknown(name, value, "a number of bytes, as 64M");
    }

    static TimeSpan ParseMilliseconds(string name, string value) =>
        int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            ? TimeSpan.FromMilliseconds(number)
            : throw Unknown(name, value, "a number of milliseconds");

    static RecoveryException Unknown(string name, string value, string wanted) =>
        new(RecoveryError.Invalid, $"The option {name} cannot be '{value}': give {wanted}.");

    /// <summary>The options with the environment's over them: RECOVERY_ISOLATION, RECOVERY_PAGE_CACHE, and so on.</summary>
    public static RecoveryOptions WithEnvironment(this RecoveryOptions options)
    {
        options = options.With(FromEnvironment());
        return Environment.GetEnvironmentVariable("RECOVERY_URI_OPTIONS")?.ToLowerInvariant() switch
        {
            null or "" or "all" => options,
            "safe" => options with { UriOptions = UriOptions.Safe },
            var other => throw Unknown("RECOVERY_URI_OPTIONS", other, "all or safe"),
        };
    }

    /// <summary>The options that the environment sets.</summary>
    public static IEnumerable<KeyValuePair<string, string>> FromEnvironment()
    {
        foreach (DictionaryEntry entry in Environment.GetEnvironmentVariables())
        {
            var variable = (string)entry.Key;
            var name = variable.ToLowerInvariant();
            if (!name.StartsWith("recovery_", StringComparison.Ordinal) || entry.Value is not string { Length: > 0 } value) continue;
            name = name["recovery_".Length..].Replace('_', '-');
            if (Names.Contains(name)) yield return KeyValuePair.Create(name, value);
            else if (OptionNames.Misspelled(name, OptionNames.OfEnvironmentOnly) is { } meant)
                throw new RecoveryException(RecoveryError.Invalid,
                    $"The environment has {variable}, which is no option.",
                    $"Did you mean {"RECOVERY_" + meant.ToUpperInvariant().Replace('-', '_')}?");
        }
    }

    /// <summary>Where a store's config file is.</summary>
    public static string ConfigOf(string directory) => Path.Combine(directory, "config");

    static string Read(string path)
    {
        const int most = 64 << 10;
        using var file = LocalDisk.Instance.Open(path, LogFileMode.Read);
        if (file.SizeBytes > most) throw new RecoveryException(RecoveryError.Invalid,
            $"{path} has {file.SizeBytes} bytes, and a store's config never has so many.",
            "See what it is.") { Path = path };
        var bytes = new byte[most];
        return Encoding.UTF8.GetString(bytes.AsSpan(0, file.Read(0, bytes)));
    }

    /// <summary>The options in a store's config file, one `name = value` a line; none when there is no such file.</summary>
    public static IEnumerable<KeyValuePair<string, string>> FromConfig(string directory)
    {
        var path = ConfigOf(directory);
        if (FileNode.At(path) is null) yield break;
        var number = 0;
        foreach (var line in Read(path).Split('\n'))
        {
            number++;
            var text = line.Split('#')[0].Trim();
            if (text.Length == 0) continue;
            var at = text.IndexOf('=');
            var name = at < 0 ? text : text[..at].Trim();
            // A misspelled `remote` would leave a store that nothing is shipped from.
            if (at < 0 || !Names.Contains(name))
                throw new RecoveryException(RecoveryError.Invalid, at < 0
                    ? $"Line {number} of {path} is not `name = value`: {text}"
                    : $"Line {number} of {path}: there is no option '{name}'. There are: {string.Join(", ", Names)}.");
            yield return KeyValuePair.Create(name, text[(at + 1)..].Trim());
        }
    }
}
