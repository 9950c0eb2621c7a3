using RecoveryVfs.Operations;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Remote.Pins;
using RecoveryVfs.RecoveryLog.Remote.Read;

namespace RecoveryVfs.Cli;

/// <summary>What the commands that look at the past of a database share.</summary>
internal static class PastDatabase
{
    /// <summary>The database that is named, or the only one there is.</summary>
    public static async Task<string> NameAsync(RemoteAccess remote, string? named, CancellationToken cancellation)
    {
        if (named is not null) return named;
        return Only(await NamesAsync(remote, cancellation), remote.Context.Store.Location);
    }

    /// <summary>The only database there is.</summary>
    public static string Only(IReadOnlyList<string> names, string where) => names.Count switch
    {
        1 => names[0],
        0 => throw new RecoveryException(RecoveryError.NotFound, $"There is no database in {where}."),
        _ => throw new RecoveryException(RecoveryError.Invalid,
            $"Which database? Give --database with one of: {Text.Some(names)}."),
    };

    /// <summary>No table has the name, or matches the pattern, that was given.</summary>
    public static RecoveryException NoTable(string glob, string database, IReadOnlyList<string> there) =>
        new(RecoveryError.NotFound, $"No table of {database} is called '{glob}'.",
            there.Count == 0 ? "It has none." : $"There are: {Text.Some(there)}.");

    /// <summary>The databases that there are now.</summary>
    public static async Task<List<string>> NamesAsync(RemoteAccess remote, CancellationToken cancellation)
    {
        var reading = new LogReading();
        var plan = await RestorePlanner.PlanAsync(remote.Context, RestoreTarget.Newest, null, cancellation);
        plan.Store.ThrowUnlessDatabases(plan.Location);
        reading.Start(plan.Hints.Hints);
        await plan.ReplayAsync(reading.Take, null, cancellation);
        return [.. reading.Databases.Select(d => d.Name).Where(n => !PageStore.Reading.DeletedName.Is(n))];
    }

    /// <summary>Keeps what is read from collection meanwhile, if the credentials allow to put a pin.</summary>
    public static async Task<RestorePin> PinAsync(RemoteAccess remote, RestoreTarget moment, Output to,
        CancellationToken cancellation) =>
        await remote.PinAsync(await RestorePlanner.PlanAsync(remote.Context, moment, null, cancellation), to.Note,
            cancellation);
}
