using RecoveryVfs.PageStore.Interop;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Log;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.PageStore.Rocks;

/// <summary>
/// Hears what RocksDB does to its files, and passes it on: to a store's log as records, or to a replica. RocksDB's
/// threads only enqueue; they never wait for the log. What happens before the log is open (RocksDB opens first, since
/// it says where the replay starts) is kept and told afterwards.
/// </summary>
internal sealed class FileRecorder(string directory) : IFileRecorder
{
    readonly Lock gate = new();
    readonly EarlyFileEvents early = new();
    IFileEvents? attached;

    /// <summary>
    /// Takes over the files that the replay found live, tells the log what happened since the page store was opened,
    /// and then whatever else the directory shows: what a crash kept from being told.
    /// </summary>
    public void Attach(LocalLog log, Func<ulong> newFnode, LiveFiles live)
    {
        var recorded = new RecordedEvents(directory, log, newFnode, live);
        Attach(recorded);
        log.AppendEvents();
        lock (gate) recorded.Reconcile(live);
        log.AppendEvents();
    }

    /// <summary>For a replica: what RocksDB changes is no longer what the followed log says of it.</summary>
    public void AttachReplica(LiveFiles live) => Attach(new ReplicaFileEvents(live));

    void Attach(IFileEvents events)
    {
        lock (gate)
        {
            early.TellTo(events);
            attached = events;
        }
    }

    void Tell(string name, Action<RecordedEvents> happened)
    {
        lock (gate) (attached ?? early).Tell(name, happened);
    }

    public void Created(string name) => Tell(name, to => to.OnCreated(name));

    public void Appended(string name, ReadOnlySpan<byte> bytes, long sizeBytes, uint crc32c)
    {
        if (bytes.IsEmpty) return;
        var copy = bytes.ToArray();
        Tell(name, to => to.OnAppended(name, copy, sizeBytes));
    }

    public void Sealed(string name, long sizeBytes, uint crc32c)
    {
        if (RecordedEvents.ClassOf(name) != FileClass.RocksSmall)
            Tell(name, to => to.OnSealed(name, sizeBytes, crc32c));
    }

    public void Truncated(string name, long sizeBytes) => Tell(name, to => to.OnTruncated(name, sizeBytes));

    public void Renamed(string name, string newName)
    {
        Tell(newName, static _ => { });
        Tell(name, to => to.OnRenamed(name, newName));
    }

    public void Linked(string name, string otherName) => Tell(name, to => to.OnLinked(name, otherName));

    public void Deleted(string name) => Tell(name, to => to.OnDeleted(name));
}
