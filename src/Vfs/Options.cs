using System.Collections;
using System.Globalization;
using System.Text;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;

namespace RecoveryVfs;

/// <summary>The names of the options, and how their values are read.</summary>
internal static class Options
{
    /// <summary>
    /// What was given to <see cref="Recovery.Register(RecoveryOptions?, bool)"/>, with the environment over it.
    /// </summary>
    public static RecoveryOptions Process { get; set; } = new();

    /// <summary>Every name, as in a URI.</summary>
    public static readonly string[] Names =
        ["store", "isolation", "journal", "page-cache", "overlay-budget", "pending-budget", "wal-buffer",
            "max-local-log", "pages",
         "remote", "durability", "sync-interval", "hints-bytes", "snapshot-interval", "retention",
             "verify-interval", "restart-remote",
             "auto-restore", "follow", "follow-interval", "lsn", "timestamp", "fetch", "fetch-cache", "sql-socket",
             "metrics-listen", "linger", "lock-timeout"];

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
        "snapshot-interval" => options with { SnapshotInterval = ParseHours(name, value) },
        "retention" => options with { Retention = ParseHours(name, value) },
        "verify-interval" => options with { VerifyInterval = ParseHours(name, value) },
        "restart-remote" => options with { RestartRemote = ParseSwitch(name, value) },
        "auto-restore" => options.WithAutoRestore(value),
        "follow" => options with { Follow = value },
        "follow-interval" => options with { FollowInterval = ParseMilliseconds(name, value) },
        "lsn" => options with { Lsn = ParseLsn(value) },
        "timestamp" => options with { Timestamp = TimeText.Parse(value, options.Time) },
        "fetch" => options with { Fetch = ParseFetch(value) },
        "fetch-cache" => options with { FetchCacheBytes = ParseBytes(name, value) },
        "sql-socket" => options with { SqlSocket = ParseSwitch(name, value) },
        "metrics-listen" => options with { MetricsListen = value },
        "pages" => options with { PagesInMemory = ParsePages(value) },
        "linger" => options with { Linger = ParseMilliseconds(name, value) },
        "lock-timeout" => options with { LockTimeout = ParseMilliseconds(name, value) },
        _ => options,
    };

    public static RecoveryOptions With(this RecoveryOptions options, IEnumerable<KeyValuePair<string,
        string>> values) =>
        values.Aggregate(options, (o, v) => o.With(v.Key, v.Value));

    static RecoveryOptions WithAutoRestore(this RecoveryOptions options, string value)
    {
        var isLazy = string.Equals(value, "lazy", StringComparison.OrdinalIgnoreCase);
        return options with
        {
            AutoRestore = isLazy || ParseSwitch("auto-restore", value, "on, lazy or off"),
            AutoRestoreLazily = isLazy,
        };
    }

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

    /// <summary>The names of <see cref="FetchMode"/>, in small letters.</summary>
    public static FetchMode ParseFetch(string value) => value.ToLowerInvariant() switch
    {
        "all" => FetchMode.All,
        "background" => FetchMode.Background,
        "lazy" => FetchMode.Lazy,
        _ => throw Unknown("fetch", value, "all, background or lazy"),
    };

    static ulong ParseLsn(string value) =>
        ulong.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var lsn) && lsn > 0
            ? lsn
            : throw Unknown("lsn", value, "the LSN of a commit");

    static bool ParseSwitch(string name, string value, string wanted = "on or off") => value.ToLowerInvariant() switch
    {
        "on" or "1" or "true" => true,
        "off" or "0" or "false" => false,
        _ => throw Unknown(name, value, wanted),
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
        var unit = value.Length == 0
            ? 0
            : char.ToUpperInvariant(value[^1]) switch { 'K' => 10, 'M' => 20, 'G' => 30, _ => 0 };
        var digits = unit == 0 ? value : value[..^1];
        return long.TryParse(digits, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            && number <= long.MaxValue >> unit
            ? number << unit
            : throw Unknown(name, value, "a number of bytes, as 64M");
    }

    static TimeSpan ParseMilliseconds(string name, string value) =>
        int.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            ? TimeSpan.FromMilliseconds(number)
            : throw Unknown(name, value, "a number of milliseconds");

    static RecoveryException Unknown(string name, string value, string wanted) =>
        new(RecoveryError.Invalid, $"The option {name} cannot be '{value}': give {wanted}.");

    /// <summary>
    /// The options with the environment's over them: RECOVERY_ISOLATION, RECOVERY_PAGE_CACHE, and so on.
    /// </summary>
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
            if (!name.StartsWith("recovery_", StringComparison.Ordinal)
                || entry.Value is not string { Length: > 0 } value)
                continue;
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
            "See what it is.")
        { Path = path };
        var bytes = new byte[most];
        return Encoding.UTF8.GetString(bytes.AsSpan(0, file.Read(0, bytes)));
    }

    /// <summary>
    /// The options in a store's config file, one `name = value` a line; none when there is no such file.
    /// </summary>
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
