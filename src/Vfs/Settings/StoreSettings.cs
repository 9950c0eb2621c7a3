using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;

namespace RecoveryVfs.Settings;

/// <summary>
/// What a store is opened with, and who may say it: the program and its environment, the store's config file, the URI.
/// Whoever can run ATTACH writes the URI, and need not be whom the database belongs to: a URI may give a store its
/// first remote, but not another one.
/// </summary>
internal static class StoreSettings
{
    /// <summary>What counts without a URI. A store that others may have put there is refused.</summary>
    public static RecoveryOptions Of(string directory)
    {
        Trust.Require(directory);
        Trust.Require(Options.ConfigOf(directory));
        return OfReader(directory);
    }

    /// <summary>What counts for whoever only reads: nothing of it leads anywhere.</summary>
    public static RecoveryOptions OfReader(string directory) => Options.Process.With(Options.FromConfig(directory));

    /// <summary>What counts for one opening.</summary>
    public static RecoveryOptions Of(string directory, OpenParameters parameters)
        => With(Of(directory), directory, parameters);

    /// <summary>What counts for one opening that only reads.</summary>
    public static RecoveryOptions OfReader(string directory, OpenParameters parameters)
        => With(OfReader(directory), directory, parameters);

    static RecoveryOptions With(RecoveryOptions own, string directory, OpenParameters parameters)
    {
        var asked = own.With(parameters.Values);
        if (asked.Remote == own.Remote && asked.Remote is not null) return asked;
        if (parameters.Value("remote") is not { } remote) return asked;
        if (own.Remote is { } configured && !IsSame(configured, remote))
            throw Other(directory, configured, "its config, or this program's own options, say so", remote);
        // Not even for once: "none" would have commits acknowledged that are nowhere else, whatever durability they
        // were promised, and log dropped that the remote lacks.
        if (new StoreHome(directory).RemoteUrl is { } known && !IsSame(known, remote))
            throw Other(directory, known, "it has shipped there before, or was set to", remote);
        return asked;
    }

    /// <summary>
    /// Refuses what a URI may not say in this process. Called before anything else is done with it.
    /// </summary>
    public static void RequireAllowed(IEnumerable<KeyValuePair<string, string>> parameters)
    {
        foreach (var (name, value) in parameters)
        {
            // Whoever may run ATTACH must not open a port.
            if (name == "metrics-listen")
                throw new RecoveryException(RecoveryError.Invalid,
                    "A URI does not say metrics-listen: set it in the store's config file, the environment "
                        + "(RECOVERY_METRICS_LISTEN) or the program.");
            if (Options.Names.Contains(name)) RequireSafe(name, value);
            else if (name is "endpoint" or "region" or "force-path-style" or "storage-class")
                throw new RecoveryException(RecoveryError.Invalid,
                    $"'{name}' belongs to the remote's URL, and came as an option of its own: escape the URL "
                        + $"(remote=s3%3A%2F%2Fbucket%2Fapp%3F{name}%3D..), or give it as RECOVERY_REMOTE.");
            else if (OptionNames.Misspelled(name) is { } meant)
                throw new RecoveryException(RecoveryError.Invalid,
                    $"There is no option '{name}'.",
                    $"Did you mean '{meant}'?");
        }
    }

    static void RequireSafe(string name, string value)
    {
        if (Options.Process.UriOptions != UriOptions.Safe || isOwnUri) return;
        var lowers = name == "durability" && Options.ParseDurability(value) < Options.Process.Durability;
        if (Options.OfConnection.Contains(name) && !lowers) return;
        throw new RecoveryException(RecoveryError.Invalid,
            $"This program does not take {name}= from a database's URI (uri-options is safe).",
            "Set it in the store's config file, the environment or the program.");
    }

    /// <summary>Refuses what the store, which is open, was not opened with.</summary>
    public static void RequireSame(string directory, RecoveryOptions open, OpenParameters parameters)
    {
        foreach (var (name, value) in parameters.Values)
        {
            if (Options.OfConnection.Contains(name)
                || name is "store" or "auto-restore" or "follow" or "follow-interval" or "fetch"
                or "fetch-cache" or "lsn" or "timestamp")
                continue;
            var asked = open.With(name, value);
            if (name == "remote" ? IsSame(open.Remote ?? new StoreHome(directory).RemoteUrl ?? "none", value) : asked
                == open)
                continue;
            throw new RecoveryException(RecoveryError.Invalid,
                $"The store {directory} is open in this process with another {name}, "
                + $"and {name}={value} cannot be had beside it.",
                "Leave it out here, or close all its connections first.")
            { Path = directory };
        }
    }

    [ThreadStatic] static bool isOwnUri;

    /// <summary>Until it is disposed of, this thread opens by URIs of our own making.</summary>
    public static IDisposable TakeOwnUris()
    {
        isOwnUri = true;
        return new OwnUris();
    }

    sealed class OwnUris : IDisposable
    {
        public void Dispose() => isOwnUri = false;
    }

    static bool IsSame(string one, string other) => one.TrimEnd('/') == other.TrimEnd('/');

    static RecoveryException Other(string directory, string actual, string why, string wanted)
        => new(RecoveryError.Invalid,
        $"The store {directory} ships to {actual} ({why}); the URI says {wanted}. A URI does not change a remote.",
        "Leave remote= out, or set it with "
        + $"`recovery remote set {Path.GetDirectoryName(directory)} {wanted}` while nobody has the store open.")
        { Path = directory };
}
