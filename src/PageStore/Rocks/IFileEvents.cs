using RecoveryVfs.RecoveryLog.Live;

namespace RecoveryVfs.PageStore.Rocks;

/// <summary>Who hears what RocksDB does to its files. Under the recorder's lock.</summary>
internal interface IFileEvents
{
    /// <summary>Something happened to a file; what, in the words of a log.</summary>
    void Tell(string name, Action<RecordedEvents> happened);
}

/// <summary>What happened before there was anybody to tell.</summary>
internal sealed class EarlyFileEvents : IFileEvents
{
    readonly List<(string Name, Action<RecordedEvents> Happened)> events = [];

    public void Tell(string name, Action<RecordedEvents> happened) => events.Add((name, happened));

    /// <summary>Tells it, in order, and forgets it.</summary>
    public void TellTo(IFileEvents other)
    {
        foreach (var (name, happened) in events) other.Tell(name, happened);
        events.Clear();
    }
}

/// <summary>A replica's files: one that RocksDB touches is not what the followed log says any more.</summary>
internal sealed class ReplicaFileEvents(LiveFiles live) : IFileEvents
{
    public void Tell(string name, Action<RecordedEvents> happened) => live.ForgetRocksFile(name);
}
