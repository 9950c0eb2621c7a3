using RecoveryVfs.PageStore.Interop;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Log;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.PageStore.Rocks;

/// <summary>
/// Turns what RocksDB does to its files into records of the log. RocksDB's threads only enqueue; they never wait for
/// the log. What happens before the log is open (RocksDB opens first, since it says where the replay starts) is kept
/// and told afterwards.
/// </summary>
internal sealed class FileRecorder(string directory) : IFileRecorder
{
    readonly Lock gate = new();
    readonly Dictionary<string, ulong> fnodes = new(StringComparer.Ordinal);
    List<Action>? early = [];
    LocalLog log = null!;
    Func<ulong> newFnode = null!;

    /// <summary>
    /// Takes over the files that the replay found live, tells the log what happened since the page store was opened,
    /// and then whatever else the directory shows: what a crash kept from being told.
    /// </summary>
    public void Attach(LocalLog openLog, Func<ulong> fnodeSource, LiveFiles live)
    {
        lock (gate)
        {
            log = openLog;
            newFnode = fnodeSource;
            foreach (var file in live.Files)
                if (file.Class != FileClass.Plain) fnodes[file.Name] = file.Fnode;
            var events = early!;
            early = null;
            foreach (var happened in events) happened();
        }
        log.AppendEvents();
        lock (gate) Reconcile(live);
        log.AppendEvents();
    }

    /// <summary>For a replica: what RocksDB changes is no longer what the followed log says of it.</summary>
    public void AttachReplica(LiveFiles live)
    {
        lock (gate)
        {
            replicaOf = live;
            foreach (var name in touchedEarly) live.ForgetRocksFile(name);
            touchedEarly.Clear();
            early = null;
        }
    }

    LiveFiles? replicaOf;
    readonly List<string> touchedEarly = [];

    void Reconcile(LiveFiles live)
    {
        var present = Directory.EnumerateFiles(directory).Select(p => Path.GetFileName(p)).Where(IsRecorded)
            .ToHashSet(StringComparer.Ordinal);
        foreach (var name in fnodes.Keys.Where(n => !present.Contains(n)).ToArray()) OnDeleted(name);
        foreach (var name in present)
        {
            var path = Path.Combine(directory, name);
            var known = fnodes.TryGetValue(name, out var fnode) ? live.Find(fnode) : null;
            if (ClassOf(name) == FileClass.RocksSmall)
            {
                var bytes = File.ReadAllBytes(path);
                if (known is not null && known.Bytes.Span.SequenceEqual(bytes)) continue;
                OnCreated(name);
                OnAppended(name, bytes, bytes.Length);
                continue;
            }
            var size = new FileInfo(path).Length;
            if (known is { IsSealed: true } && known.SizeBytes == size) continue;
            OnCreated(name);
            OnSealed(name, size, ChecksumOf(path));
        }
    }

    static uint ChecksumOf(string path)
    {
        using var handle = File.OpenHandle(path);
        var buffer = new byte[1 << 20];
        var crc = 0u;
        for (long at = 0; ;)
        {
            var got = RandomAccess.Read(handle, buffer, at);
            if (got == 0) return crc;
            crc = Crc32C.Compute(buffer.AsSpan(0, got), crc);
            at += got;
        }
    }

    static bool IsRecorded(string name) => TrackedName.RocksClassOf(name) is not null;

    static FileClass ClassOf(string name) => TrackedName.RocksClassOf(name)
        ?? throw new RecoveryException(RecoveryError.Invalid,
            $"RocksDB calls a file {name}: this version does not know what that is.",
            "Report this.");

    void Tell(string name, Action action)
    {
        lock (gate)
        {
            if (replicaOf is not null)
            {
                replicaOf.ForgetRocksFile(name);
                return;
            }
            if (early is not null) touchedEarly.Add(name);
            if (early is null) action();
            else early.Add(action);
        }
    }

    public void Created(string name) => Tell(name, () => OnCreated(name));

    public void Appended(string name, ReadOnlySpan<byte> bytes, long sizeBytes, uint crc32c)
    {
        if (bytes.IsEmpty) return;
        var copy = bytes.ToArray();
        Tell(name, () => OnAppended(name, copy, sizeBytes));
    }

    public void Sealed(string name, long sizeBytes, uint crc32c)
    {
        if (ClassOf(name) != FileClass.RocksSmall) Tell(name, () => OnSealed(name, sizeBytes, crc32c));
    }

    public void Truncated(string name, long sizeBytes) => Tell(name, () =>
    {
        if (fnodes.TryGetValue(name, out var fnode))
            log.EnqueueEvent(RecordKind.FileTruncated, FileRecords.Truncated(fnode, sizeBytes));
    });

    public void Renamed(string name, string newName)
    {
        Tell(newName, static () => { });
        Tell(name, () => OnRenamed(name, newName));
    }

    void OnRenamed(string name, string newName)
    {
        if (!fnodes.Remove(name, out var fnode)) return;
        OnDeleted(newName);
        fnodes[newName] = fnode;
        log.EnqueueEvent(RecordKind.FileRenamed, FileRecords.Renamed(fnode, newName));
    }

    public void Linked(string name, string otherName) => Tell(name, () =>
    {
        if (!fnodes.TryGetValue(name, out var fnode)) return;
        fnodes[otherName] = fnode;
        log.EnqueueEvent(RecordKind.FileLinked, FileRecords.Linked(fnode, otherName));
    });

    public void Deleted(string name) => Tell(name, () => OnDeleted(name));

    void OnCreated(string name)
    {
        OnDeleted(name);
        var fnode = newFnode();
        fnodes[name] = fnode;
        log.EnqueueEvent(RecordKind.FileCreated, FileRecords.Created(fnode, ClassOf(name), name));
    }

    void OnAppended(string name, byte[] bytes, long sizeBytes)
    {
        if (fnodes.TryGetValue(name, out var fnode))
            log.EnqueueEvent(RecordKind.FileWritten, FileRecords.Written(fnode, sizeBytes - bytes.Length), bytes);
    }

    void OnSealed(string name, long sizeBytes, uint crc32c)
    {
        if (fnodes.TryGetValue(name, out var fnode))
            log.EnqueueEvent(RecordKind.FileSealed, FileRecords.Sealed(fnode, sizeBytes, crc32c));
    }

    void OnDeleted(string name)
    {
        if (fnodes.Remove(name, out var fnode)) log.EnqueueEvent(RecordKind.FileDeleted, FileRecords.Deleted(fnode));
    }
}
