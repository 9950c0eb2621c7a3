using System.Buffers.Binary;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.RecoveryLog.Live;

/// <summary>
/// Which tracked files and databases live, and where the files' bytes are: kept by applying every record in order, so
/// that it is true at each LSN. Hints are a snapshot of it. Thread-safe.
/// </summary>
/// <remarks>
/// Records about files that are not (or no longer) tracked are passed over: a replay may start in the middle of a
/// file's life whose end comes later. A name given to another file leaves the one that had it; a file without a name is
/// gone. Plain files and RocksDB's files do not meet: a journal that is called like a RocksDB file takes nothing from
/// it.
/// </remarks>
internal sealed partial class LiveFiles
{
    /// <summary>The most that a small file may have: its bytes are in memory, and in every hints.</summary>
    public const int MaxSmallFileBytes = 64 << 20;

    /// <summary>The most that all of them may have: many times what RocksDB's need.</summary>
    public const long MaxSmallFilesBytes = 2L * MaxSmallFileBytes;

    /// <summary>
    /// The most that a write may leave out between a file's end and its own bytes, in somebody else's log. SQLite
    /// leaves out up to a sector, 64 KiB; RocksDB nothing. A few bytes of log could stand for a file without end.
    /// </summary>
    public const int MaxHoleBytes = 1 << 20;

    /// <summary>
    /// The most names of a file: nobody's have more than two. Where it is restored, each is a copy of it.
    /// </summary>
    public const int MaxNames = 4;

    readonly Lock gate = new();
    readonly SortedDictionary<ulong, LiveEntry> files = [];
    readonly Dictionary<(bool Plain, string Name), LiveEntry> byName = [];
    readonly LiveDatabases databases = new();
    ulong nextFnode = 1;
    ulong lsn;
    long smallBytes;

    /// <summary>Told of each file that lives no more, with the gate held.</summary>
    public Action<ulong>? Gone { get; init; }

    /// <summary>The newest record applied.</summary>
    public ulong Lsn { get { lock (gate) return lsn; } }

    /// <summary>An identity never used before.</summary>
    public ulong NewFnode()
    {
        lock (gate) return nextFnode++;
    }

    /// <summary>The first database id that was never used.</summary>
    public uint NextDatabaseId { get { lock (gate) return databases.NextId; } }

    /// <summary>The live files, by fnode.</summary>
    public IReadOnlyList<LiveFile> Files
    {
        get { lock (gate) return [.. files.Values.Select(entry => entry.View())]; }
    }

    /// <summary>The databases, by id.</summary>
    public IReadOnlyList<LiveDatabase> Databases
    {
        get { lock (gate) return databases.ToList(); }
    }

    /// <summary>A database's name; null when it does not live.</summary>
    public string? DatabaseNameOf(uint id)
    {
        lock (gate) return databases.NameOf(id);
    }

    /// <summary>The id of a live database of that name; 0 when there is none.</summary>
    public uint DatabaseIdOf(string name)
    {
        lock (gate) return databases.IdOf(name);
    }

    /// <summary>The bytes of the live plain file of that name; null when there is none.</summary>
    public long? PlainSizeOf(string name)
    {
        lock (gate) return byName.TryGetValue((true, name), out var entry) ? entry.Size : null;
    }

    /// <summary>The live file of that identity, or null.</summary>
    public LiveFile? Find(ulong fnode)
    {
        lock (gate) return files.TryGetValue(fnode, out var entry) ? entry.View() : null;
    }

    /// <summary>The first name of a live file, or null when it does not live.</summary>
    public string? NameOf(ulong fnode)
    {
        lock (gate) return files.TryGetValue(fnode, out var entry) ? entry.Names[0] : null;
    }

    /// <summary>The class of a live file, or null when it does not live.</summary>
    public FileClass? ClassOf(ulong fnode)
    {
        lock (gate) return files.TryGetValue(fnode, out var entry) ? entry.Class : null;
    }

    /// <summary>
    /// Applies the next record of another store's log: its RocksDB files are not ours, so of them only the identities
    /// are noted as used.
    /// </summary>
    public void ApplyOfOther(in Record record)
    {
        var isFile = record.Kind is >= RecordKind.FileCreated and <= RecordKind.FileSealed;
        if (isFile && record.Body.Length >= 8)
        {
            var fnode = BinaryPrimitives.ReadUInt64LittleEndian(record.Body);
            var isPlain = record.Kind == RecordKind.FileCreated
                ? FileRecords.ReadCreated(record.Body).Class == FileClass.Plain
                : ClassOf(fnode) == FileClass.Plain;
            if (!isPlain)
            {
                lock (gate)
                {
                    nextFnode = After(fnode);
                    lsn = record.Lsn;
                }
                return;
            }
            if (record.Kind == RecordKind.FileWritten) ThrowIfHole(record);
        }
        Apply(record);
    }

    /// <summary>
    /// Refuses the next record of another's log when it writes so far behind the end of a file that a few bytes would
    /// stand for very many. RocksDB only appends to its write-ahead logs.
    /// </summary>
    public void ThrowIfHole(in Record record)
    {
        var write = FileRecords.ReadWritten(record.Body);
        lock (gate)
        {
            if (record.Lsn <= lsn || !files.TryGetValue(write.Fnode, out var entry)
                || write.Offset - entry.Size <= (entry.Class == FileClass.RocksLog ? 0 : MaxHoleBytes))
                return;
            throw FileRecords.Hole(record.Lsn, write.Offset, entry.Names[0], entry.Size);
        }
    }

    /// <summary>
    /// Forgets a RocksDB file that a replica has changed or deleted: it no longer is what the other store's log says.
    /// </summary>
    public void ForgetRocksFile(string name)
    {
        lock (gate)
            if (byName.TryGetValue((false, name), out var entry)) OnDeleted(entry.Fnode);
    }

    /// <summary>
    /// Applies the next record; those up to <see cref="Lsn"/> are passed over, since they are in the state already.
    /// </summary>
    public void Apply(in Record record)
    {
        lock (gate)
        {
            if (record.Lsn <= lsn) return;
            switch (record.Kind)
            {
                case RecordKind.FileCreated: OnCreated(record.Body, record.Lsn); break;
                case RecordKind.FileWritten: OnWritten(record.Body); break;
                case RecordKind.FileTruncated: OnTruncated(record.Body); break;
                case RecordKind.FileDeleted: OnDeleted(FileRecords.ReadDeleted(record.Body)); break;
                case RecordKind.FileRenamed: OnNamed(record.Body, keep: false); break;
                case RecordKind.FileLinked: OnNamed(record.Body, keep: true); break;
                case RecordKind.FileSealed: OnSealed(record.Body); break;
                case RecordKind.DatabaseCreated or RecordKind.DatabaseRenamed:
                    var (id, name) = DatabaseRecords.ReadNamed(record.Body);
                    databases.Name(id, name);
                    break;
                case RecordKind.DatabaseDeleted:
                    databases.Forget(DatabaseRecords.ReadId(record.Body));
                    break;
            }
            lsn = record.Lsn;
        }
    }

    /// <summary>Files are numbered as they come: a number that leaves none after it is somebody else's.</summary>
    ulong After(ulong fnode) => fnode < HintsFormat.MaxFnode ? Math.Max(nextFnode, fnode + 1)
        : throw FileRecords.Damaged("file", $"names the file {fnode}");

    void OnCreated(ReadOnlySpan<byte> body, ulong at)
    {
        var (fnode, fileClass, name) = FileRecords.ReadCreated(body);
        nextFnode = After(fnode);
        OnDeleted(fnode);
        if (files.Count >= HintsFormat.MaxFiles)
            throw FileRecords.Damaged("FileCreated", $"makes more than {HintsFormat.MaxFiles} files live");
        var entry = new LiveEntry(fnode, fileClass, name) { BornLsn = fileClass == FileClass.RocksLog ? at : 0 };
        TakeName(entry.Key(name));
        files.Add(fnode, entry);
        byName[entry.Key(name)] = entry;
    }

    void OnWritten(ReadOnlySpan<byte> body)
    {
        var write = FileRecords.ReadWritten(body);
        if (write.Bytes.IsEmpty || !files.TryGetValue(write.Fnode, out var entry) || entry.Sealed) return;
        smallBytes -= entry.Bytes.Length;
        try
        {
            entry.Write(write.Offset, write.Bytes, smallBytes);
        }
        finally
        {
            smallBytes += entry.Bytes.Length;
        }
    }

    void OnTruncated(ReadOnlySpan<byte> body)
    {
        var (fnode, size) = FileRecords.ReadTruncated(body);
        if (files.TryGetValue(fnode, out var entry) && size < entry.Size) entry.Truncate(size);
    }

    void OnDeleted(ulong fnode)
    {
        if (!files.TryGetValue(fnode, out var entry)) return;
        foreach (var name in entry.Names) byName.Remove(entry.Key(name));
        Remove(entry);
    }

    void Remove(LiveEntry entry)
    {
        files.Remove(entry.Fnode);
        smallBytes -= entry.Bytes.Length;
        Gone?.Invoke(entry.Fnode);
    }

    void OnNamed(ReadOnlySpan<byte> body, bool keep)
    {
        var (fnode, name) = FileRecords.ReadNamed(body);
        if (!files.TryGetValue(fnode, out var entry) || entry.Names.Contains(name)) return;
        TrackedName.Check(entry.Class, name, "A FileRenamed or FileLinked record");
        if (keep && entry.Names.Count >= MaxNames)
            throw FileRecords.Damaged("FileLinked", $"gives {entry.Names[0]} more than {MaxNames} names");
        TakeName(entry.Key(name));
        if (!keep)
        {
            foreach (var old in entry.Names) byName.Remove(entry.Key(old));
            entry.Names.Clear();
        }
        entry.Names.Add(name);
        byName[entry.Key(name)] = entry;
    }

    /// <summary>Takes a name from the file that has it; a file with no name left is gone.</summary>
    void TakeName((bool Plain, string Name) key)
    {
        if (!byName.Remove(key, out var entry)) return;
        entry.Names.Remove(key.Name);
        if (entry.Names.Count == 0) Remove(entry);
    }

    void OnSealed(ReadOnlySpan<byte> body)
    {
        var (fnode, size, crc) = FileRecords.ReadSealed(body);
        if (!files.TryGetValue(fnode, out var entry)) return;
        entry.Size = size;
        entry.Crc = crc;
        entry.Sealed = true;
    }
}
