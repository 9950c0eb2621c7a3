using RecoveryVfs.PageStore.Shipping;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Remote.Collect;

namespace RecoveryVfs.PageStore.Directories;

/// <summary>How a RocksDB's directory is recorded, and where to, as its user says it in whatever language.</summary>
internal sealed record RecordedSettings
{
    /// <summary>Where the log goes; null: where it went the last time, if anywhere; <c>none</c>: nowhere.</summary>
    public string? Remote { get; init; }

    /// <summary>A synced write returns when the remote has it.</summary>
    public bool WaitsForRemote { get; init; }

    public required TimeSpan SyncInterval { get; init; }

    public required TimeSpan Retention { get; init; }

    public required long HintsBytes { get; init; }

    public required TimeSpan HintsInterval { get; init; }

    public required long MaxLocalLogBytes { get; init; }

    public Action<RecoveryException>? Alarm { get; init; }

    /// <summary>Opens a directory so; see <see cref="RecordedDirectory.Open"/>.</summary>
    public RecordedDirectory Open(string path, string? name = null) =>
        RecordedDirectory.Open(path, StoreOf(path), WaitsForRemote, name);

    StoreOptions StoreOf(string path)
    {
        var home = new StoreHome(StoreHome.Within(path));
        var url = Remote switch { null => home.RemoteUrl, "none" => null, var given => given };
        if (WaitsForRemote && url is null)
            throw new RecoveryException(RecoveryError.Invalid,
                $"{path} has no remote, and a synced write is to return when the remote has it.",
                "Set Remote, or Durability to Local.")
            { Path = path };
        return new StoreOptions
        {
            Directory = home.Path,
            MaxLocalLogBytes = MaxLocalLogBytes,
            Alarm = Alarm,
            Remote = url is null ? null : new RemoteOptions
            {
                Url = url,
                SyncInterval = SyncInterval,
                HintsBytes = HintsBytes,
                HintsInterval = HintsInterval,
                Retention = new Retention { Keep = Retention },
            },
        };
    }
}
