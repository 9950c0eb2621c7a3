using System.Globalization;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.Replicate;

namespace RecoveryVfs.Cli.Replicate;

/// <summary>
/// Reads litestream's config file (0.3 and 0.5) as it is. What has no meaning here is named in a warning. What matters
/// and cannot be honoured (another kind of remote, encryption, two replicas) is an error: nobody must believe in
/// something that is not done.
/// </summary>
internal static class LitestreamConfig
{
    /// <summary>How it does its own work, which is done otherwise here.</summary>
    static readonly string[] WithoutMeaning =
    [
        "mcp-addr", "socket", "levels", "l0-retention", "l0-retention-check-interval", "verify-compaction",
            "heartbeat-url", "heartbeat-interval", "shutdown-sync-timeout",
        "shutdown-sync-interval", "meta-path", "meta-dir", "checkpoint-interval", "busy-timeout",
            "min-checkpoint-page-count", "max-checkpoint-page-count",
        "truncate-page-n", "max-sync-wal-bytes", "auto-recover", "max-sync-ltx-files", "part-size", "concurrency",
            "sign-payload", "require-content-md5",
        "retention-check-interval", "snapshot-interval", "validation-interval", "validation", "name", "persist-wal",
    ];

    public static ReplicateSettings Read(string path, YamlTree root)
    {
        var (warnings, groups) = (new List<string>(), new Dictionary<string, ReplicaGroup>(StringComparer.Ordinal));
        var keep = root.Map("snapshot")?.Duration("retention");
        RequireRetention(root);
        foreach (var each in root.Maps("dbs")) Add(groups, root, each, keep, warnings);
        if (groups.Count == 0) throw new RecoveryException(RecoveryError.Invalid, $"{path} names no database.");
        var logging = root.Map("logging");
        var settings = new ReplicateSettings
        {
            Exec = root.Text("exec"),
            Listen = root.Text("addr"),
            JsonLogs = logging is not null && ConfigFile.IsJson(logging, "type"),
            Groups = [.. groups.Values],
        };
        Finish(root, warnings);
        return settings with { Warnings = [.. warnings.Distinct()] };
    }

    static void RequireRetention(YamlTree root)
    {
        if (root.Map("retention")?.Flag("enabled", true) == false)
            throw root.Wrong("retention",
                "a bucket that keeps everything by rules of its own is not kept here: give the time instead "
                    + "(snapshot: retention:)");
    }

    static void Add(Dictionary<string, ReplicaGroup> groups, YamlTree root, YamlTree database, TimeSpan? keep,
        List<string> warnings)
    {
        var replica = Replica(database);
        keep = database.Map("snapshot")?.Duration("retention") ?? replica.Duration("retention") ?? keep
            ?? root.Duration("snapshot-retention");
        var url = Url(replica, root);
        var (path, directory) = (database.Text("path"), database.Text("dir"));
        if (path is null && directory is null) throw database.Wrong("path", "each database has a path or a dir");
        var group = new ReplicaGroup
        {
            Url = url,
            Options = OptionsOf(database) with
            {
                Store = path is null ? Path.Combine(Path.GetFullPath(directory!), ".recovery-mirror") : null,
                Recovery = ConfigFile.FromEnvironment with
                {
                    SyncInterval = replica.Duration("sync-interval") ?? root.Duration("sync-interval")
                        ?? ConfigFile.FromEnvironment.SyncInterval,
                    Retention = keep ?? ConfigFile.FromEnvironment.Retention,
                },
            },
            Databases = path is null ? [] : [new(WithoutScheme(path))],
            Directories = path is not null ? [] : [new(directory!, database.Text("pattern") ?? "*.db",
                database.Flag("recursive"), database.Flag("watch"), "")],
        };
        if (!groups.TryAdd(url, group))
            throw database.Wrong("replica",
                $"{url} is another database's already, and two logs must not share a place");
        Finish(replica, warnings);
        Finish(database, warnings);
    }

    static ReplicatorOptions OptionsOf(YamlTree database)
    {
        var usual = new ReplicatorOptions();
        return usual with
        {
            RestoreIfMissing = database.Flag("restore-if-db-not-exists"),
            LookInterval = database.Duration("monitor-interval") is { } monitor && monitor < TimeSpan.FromSeconds(1)
                ? monitor
                : usual.LookInterval,
        };
    }

    static string WithoutScheme(string path) =>
        path.StartsWith("sqlite3://", StringComparison.Ordinal) ? path["sqlite3://".Length..] : path;

    static YamlTree Replica(YamlTree database)
    {
        var several = database.Maps("replicas");
        if (several.Count > 1)
            throw database.Wrong("replicas",
                "one database ships to one place here. Give each further one to the bucket's own replication");
        return database.Map("replica") ?? several.FirstOrDefault()
            ?? throw database.Wrong("replica", "it has none, so nothing would be kept elsewhere");
    }

    static string Url(YamlTree replica, YamlTree root)
    {
        string? Of(string key) => replica.Text(key) ?? root.Text(key);
        foreach (var key in (string[])["age", "sse-customer-algorithm", "sse-customer-key", "sse-customer-key-path",
            "sse-kms-key-id"])
            if (replica.Has(key))
                throw replica.Wrong(key,
                    "objects are not encrypted here by a key of one's own. Let the bucket do it (default encryption)");
        if (replica.Flag("skip-verify"))
            throw replica.Wrong("skip-verify",
                "a server that cannot prove who it is is not trusted here. Give it a certificate that this machine "
                    + "trusts");
        TakeCredentials(replica, root);
        if (replica.Text("url") is { } url)
        {
            if (url.StartsWith("s3://", StringComparison.Ordinal)
                || url.StartsWith("file://", StringComparison.Ordinal))
                return WithOptions(url, Of);
            throw replica.Wrong("url",
                $"{url.Split(':')[0]} is a kind of remote that there is not here. There are s3:// (and what speaks "
                    + "S3) and file://");
        }
        var path = replica.Text("path");
        return (replica.Text("type") ?? (replica.Has("bucket") ? "s3" : "file")) switch
        {
            "s3" => WithOptions(
                $"s3://{replica.Text("bucket") ?? throw replica.Wrong("bucket", "s3 needs one")}"
                    + $"/{path?.TrimStart('/')}", Of),
            "file" => $"file://{Path.GetFullPath(path ?? throw replica.Wrong("path", "file needs one"))}",
            var other => throw replica.Wrong("type",
                $"{other} is a kind of remote that there is not here. There are s3 (and what speaks S3) and file"),
        };
    }

    static string WithOptions(string url, Func<string, string?> of)
    {
        foreach (var key in (string[])["endpoint", "region", "force-path-style", "storage-class"])
            if (of(key) is { } value && url.StartsWith("s3:", StringComparison.Ordinal)
                && !url.Contains(key + "=", StringComparison.Ordinal))
            {
                var isBare = key == "endpoint" && !value.Contains("://", StringComparison.Ordinal);
                var sign = url.Contains('?', StringComparison.Ordinal) ? '&' : '?';
                url += $"{sign}{key}={Uri.EscapeDataString(isBare ? "https://" + value : value)}";
            }
        return url;
    }

    /// <summary>
    /// Keys in the file, or in litestream's variables, go where the SDK looks for them; those of the environment win.
    /// </summary>
    static void TakeCredentials(YamlTree replica, YamlTree root)
    {
        foreach (var (key, variable) in ((string, string)[])[("access-key-id", "ACCESS_KEY_ID"),
            ("secret-access-key", "SECRET_ACCESS_KEY")])
        {
            var given = replica.Text(key) ?? root.Text(key)
                ?? Environment.GetEnvironmentVariable("LITESTREAM_" + variable);
            var known = Environment.GetEnvironmentVariable("AWS_" + variable);
            if (given is null) continue;
            if (string.IsNullOrEmpty(known)) Environment.SetEnvironmentVariable("AWS_" + variable, given);
            else if (replica.Has(key) && known != given && fromFile.Contains(variable))
                throw replica.Wrong(key, "replicas with different keys cannot be had in one process. Run one for each");
            if (string.IsNullOrEmpty(known)) fromFile.Add(variable);
        }
    }

    static readonly HashSet<string> fromFile = new(StringComparer.Ordinal);

    /// <summary>Each key that is left must be one that is known to mean nothing here.</summary>
    static void Finish(YamlTree tree, List<string> warnings)
    {
        foreach (var key in tree.Untaken)
        {
            // Defaults of replicas may stand at the top, whoever takes them.
            if (!WithoutMeaning.Contains(key) && key
                is not ("sync-interval" or "access-key-id" or "secret-access-key" or "endpoint" or "region"
                or "force-path-style" or "storage-class"))
                throw tree.Wrong(key, "what this is to mean is not known here. Take it out");
            if (WithoutMeaning.Contains(key))
                warnings.Add(
                    string.Create(CultureInfo.InvariantCulture,
                    $"{key} has no meaning here, and is left out of account."));
        }
    }
}
