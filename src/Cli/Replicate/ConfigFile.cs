using System.Text.RegularExpressions;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.Replicate;
using RecoveryVfs.Settings;

namespace RecoveryVfs.Cli.Replicate;

/// <summary>Reads <c>recovery.yml</c>, and litestream's own file as it is; see docs/OPERATIONS.md.</summary>
internal static partial class ConfigFile
{
    const int MostCharacters = 4 << 20;

    /// <summary>What the environment says; a file goes before it.</summary>
    public static RecoveryOptions FromEnvironment => new RecoveryOptions().With(Options.FromEnvironment());

    public static ReplicateSettings Read(string path, bool expand)
    {
        path = Path.GetFullPath(path);
        var text = ReadText(path);
        var root = YamlTree.Parse(path, expand ? Expand(path, text) : text);
        var isLitestreams = !root.Has("remote") && root.Maps("dbs").Any(db => db.Has("replica") || db.Has("replicas"));
        return isLitestreams ? LitestreamConfig.Read(path, root) : ReadOwn(path, root);
    }

    /// <summary>Of a pipe or a device nothing says beforehand how much there is.</summary>
    static string ReadText(string path)
    {
        using var reader = new StreamReader(path);
        var (text, got) = (new char[MostCharacters + 1], 0);
        while (got < text.Length && reader.Read(text.AsSpan(got)) is var more and > 0) got += more;
        return got <= MostCharacters ? new string(text, 0, got)
            : throw new RecoveryException(RecoveryError.Invalid,
                $"{path} has more than {MostCharacters} characters, and no config file has so many. See what it is.")
            { Path = path };
    }

    /// <summary><c>${NAME}</c> is what the environment says; what it does not say is an error.</summary>
    static string Expand(string path, string text) => Variable().Replace(text, match =>
        Environment.GetEnvironmentVariable(match.Groups[1].Value)
        ?? throw new RecoveryException(RecoveryError.Invalid,
            $"{path} has {match.Value}, and the environment has no {match.Groups[1].Value}. Set it, or give "
                + "--no-expand-env."));

    [GeneratedRegex(@"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")]
    private static partial Regex Variable();

    static ReplicateSettings ReadOwn(string path, YamlTree root)
    {
        var options = OptionsOf(root);
        var (databases, directories) = Databases(root);
        if (databases.Count + directories.Count == 0)
            throw new RecoveryException(RecoveryError.Invalid,
                $"{path} names no database. Give dbs: with a path or a dir in each.");
        if (options.Store is null && (databases.Count > 1 || directories.Count > 0))
            throw new RecoveryException(RecoveryError.Invalid,
                $"{path} names several databases, which share one mirror: say where it is (store: "
                    + "/var/lib/recovery/mirror).");
        var settings = new ReplicateSettings
        {
            Groups = [new() { Url = root.Text("remote"), Databases = databases, Directories = directories,
                Options = options }],
            Exec = root.Text("exec"),
            Listen = root.Text("listen"),
            JsonLogs = IsJson(root, "log-format"),
        };
        RequireAllTaken(root);
        return settings;
    }

    static ReplicatorOptions OptionsOf(YamlTree root)
    {
        var recovery = FromEnvironment;
        foreach (var name in Options.Names.Where(n => n is not ("remote" or "store")))
            if (root.Text(name) is { } value) recovery = recovery.With(name, value);
        var usual = new ReplicatorOptions();
        return usual with
        {
            Recovery = recovery,
            RestoreIfMissing = root.Flag("restore-if-db-not-exists"),
            TakeOver = root.Flag("take-over"),
            Store = root.Text("store"),
            LookInterval = root.Duration("look-interval") ?? usual.LookInterval,
            IdleInterval = root.Duration("idle-interval") ?? usual.IdleInterval,
            CompareInterval = root.Duration("compare-interval") ?? usual.CompareInterval,
            ReadyBound = root.Duration("ready-bound") ?? usual.ReadyBound,
            CheckpointFrames =
                (int)Math.Clamp(root.Number("checkpoint-frames") ?? usual.CheckpointFrames, 1, int.MaxValue / 4),
        };
    }

    internal static bool IsJson(YamlTree tree, string key) => tree.Text(key) switch
    {
        null or "text" => false,
        "json" => true,
        var other => throw tree.Wrong(key, $"'{other}' is neither text nor json"),
    };

    static (List<ReplicatedPath>, List<DatabaseDirectory>) Databases(YamlTree root)
    {
        var (databases, directories) = (new List<ReplicatedPath>(), new List<DatabaseDirectory>());
        foreach (var each in root.Maps("dbs"))
        {
            if (each.Text("path") is { } path) databases.Add(new(path, each.Text("name")));
            else if (each.Text("dir") is { } directory)
                directories.Add(
                    new(directory, each.Text("pattern")
                    ?? "*.db", each.Flag("recursive"), each.Flag("watch"), each.Text("prefix") ?? ""));
            else throw root.Wrong("dbs", "each entry has a path or a dir");
            RequireAllTaken(each);
        }
        return (databases, directories);
    }

    static void RequireAllTaken(YamlTree tree)
    {
        if (tree.Untaken.FirstOrDefault() is { } unknown)
            throw tree.Wrong(unknown,
                "there is no such key "
                    + $"here.{(OptionNames.Misspelled(unknown) is { } meant ? $" Did you mean '{meant}'?" : "")}");
    }
}
