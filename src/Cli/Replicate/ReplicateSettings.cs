using RecoveryVfs.Replicate;

namespace RecoveryVfs.Cli.Replicate;

/// <summary>Databases of a directory that come and go.</summary>
/// <param name="Directory">Where they are.</param>
/// <param name="Pattern">What their names are like, as <c>*.db</c>.</param>
/// <param name="Recursive">Directories in it count, too.</param>
/// <param name="Watch">What comes later is replicated, too; and what goes, let go of.</param>
/// <param name="Prefix">What their names in the mirror begin with.</param>
internal sealed record DatabaseDirectory(string Directory, string Pattern, bool Recursive, bool Watch, string Prefix);

/// <summary>Databases that share one mirror and one remote.</summary>
internal sealed record ReplicaGroup
{
    public string? Url { get; init; }

    public IReadOnlyList<ReplicatedPath> Databases { get; init; } = [];

    public IReadOnlyList<DatabaseDirectory> Directories { get; init; } = [];

    public ReplicatorOptions Options { get; init; } = new();
}

/// <summary>All that <c>recovery replicate</c> is told, by its arguments or a config file.</summary>
internal sealed record ReplicateSettings
{
    public IReadOnlyList<ReplicaGroup> Groups { get; init; } = [];

    /// <summary>The program to run beside it.</summary>
    public string? Exec { get; init; }

    /// <summary>Where health and metrics are told.</summary>
    public string? Listen { get; init; }

    public bool JsonLogs { get; init; }

    /// <summary>What was said and has no meaning here.</summary>
    public IReadOnlyList<string> Warnings { get; init; } = [];
}
