using RecoveryVfs.PageStore.Directories;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Remote.Pins;
using RecoveryVfs.RecoveryLog.Remote.Read;

namespace RecoveryVfs.Operations;

/// <summary>Names states of a remote that collection must keep: pins.</summary>
internal static class Snapshots
{
    const int NameLengthMax = 200;

    /// <summary>Throws Invalid when no snapshot can be called so.</summary>
    public static void CheckName(string name)
    {
        if (name.Length is > 0 and <= NameLengthMax && name.Trim('.').Length > 0
            && name.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '_' or '~' or '-')) return;
        throw new RecoveryException(RecoveryError.Invalid,
            $"'{name}' cannot be a snapshot's name: use letters, digits, '.', '_', '~' and '-'.");
    }

    /// <summary>All that is pinned, oldest state first.</summary>
    public static async Task<List<Snapshot>> ListAsync(RemoteAccess remote, CancellationToken cancellation) =>
        [.. (await Pin.ListAsync(remote.Context, cancellation)).OrderBy(p => p.Value.Lsn)
            .Select(p => Of(p.Key, p.Value))];

    /// <summary>The one of that name. Throws NotFound.</summary>
    public static async Task<Snapshot> FindAsync(RemoteAccess remote, string name, CancellationToken cancellation)
    {
        CheckName(name);
        return (await Pin.ListAsync(remote.Context, cancellation)).TryGetValue(name, out var pin) ? Of(name, pin)
            : throw new RecoveryException(RecoveryError.NotFound, $"There is no snapshot {name} in {remote.Url}.",
                "Those that are there: `recovery snapshot --list`.")
            { Path = remote.Url };
    }

    /// <summary>Keeps a state. Only what can be restored now can be kept so.</summary>
    public static async Task<Snapshot> PutAsync(
        RemoteAccess remote, string name, SnapshotOptions options, CancellationToken cancellation)
    {
        CheckName(name);
        var target = options.Lsn is { } wanted ? RestoreTarget.At(wanted) : RestoreTarget.Newest;
        var plan = await RestorePlanner.PlanAsync(remote.Context, target, null, cancellation);
        var lsn = plan.Store.Holds is null
            ? target.Lsn ?? plan.End?.LastLsn ?? throw Damaged(remote)
            : await DirectoryRestore.FindLsnAsync(plan, cancellation);
        var pin = Pin.At(lsn, expires: options.Expires, note: options.Note);
        await Pin.PutAsync(remote.Context, name, pin, cancellation);
        return Of(name, pin);
    }

    /// <summary>Lets a state go.</summary>
    public static async Task<Snapshot> RemoveAsync(RemoteAccess remote, string name, CancellationToken cancellation)
    {
        var found = await FindAsync(remote, name, cancellation);
        await Pin.RemoveAsync(remote.Context, name, cancellation);
        return found;
    }

    static Snapshot Of(string name, Pin pin) => new(name, pin.Lsn, pin.Onward, pin.Expires, pin.Note);

    static RecoveryException Damaged(RemoteAccess remote) =>
        new(RecoveryError.Corrupt,
            $"The newest segment of {remote.Url} is damaged, so its newest state cannot be kept.",
            "Give --lsn; `recovery verify` says what is damaged.")
        { Path = remote.Url };
}
