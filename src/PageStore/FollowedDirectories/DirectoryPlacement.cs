using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.PageStore.FollowedDirectories;

/// <summary>
/// Brings the files of a RocksDB's directory from one state of its log to a later one. At each moment in between,
/// somebody who opens the directory finds what a RocksDB that was killed may have left: tables come before the MANIFEST
/// that names them, CURRENT comes last, and nothing goes before the hints that do not have it are durable.
/// </summary>
/// <param name="disk">Where both are.</param>
/// <param name="directory">RocksDB's.</param>
/// <param name="work">A directory on the same disk, with the tables that were fetched.</param>
/// <param name="before">The state that the directory has.</param>
internal sealed class DirectoryPlacement(ILogDisk disk, string directory, string work, Hints before)
    : IDisposable
{
    const string Current = "CURRENT";

    readonly LiveFiles live = Loaded(before);
    readonly Dictionary<ulong, LiveFile> was = before.Files.ToDictionary(f => f.Fnode);
    readonly WrittenLogs logs = new(disk);

    /// <summary>Where a fetched table waits for its place.</summary>
    public static string FetchedIn(string work, LiveFile file) => Path.Combine(work, $"{file.Fnode:x16}.extent");

    /// <summary>Whether a file is one of the directory: a table that is still being written is not there.</summary>
    public static bool IsThere(LiveFile file) => file.Class switch
    {
        FileClass.RocksTable or FileClass.RocksBlob => file.IsSealed,
        FileClass.Plain => false,
        _ => true,
    };

    static LiveFiles Loaded(Hints hints)
    {
        var files = new LiveFiles();
        files.Load(hints);
        return files;
    }

    /// <summary>The time of the newest record.</summary>
    public long UnixTimeMs { get; private set; } = before.UnixTimeMs;

    /// <summary>Takes the next record; what it writes to write-ahead logs is written.</summary>
    public void Take(in Record record)
    {
        if (record.Lsn <= before.Lsn) return;
        UnixTimeMs = record.UnixTimeMs;
        live.Apply(record);
        switch (record.Kind)
        {
            case RecordKind.FileCreated:
                var (created, fileClass, _) = FileRecords.ReadCreated(record.Body);
                if (fileClass == FileClass.RocksLog) Begin(created);
                break;
            case RecordKind.FileWritten:
                var write = FileRecords.ReadWritten(record.Body);
                LogOf(write.Fnode)?.Write(write.Offset, write.Bytes);
                break;
            case RecordKind.FileTruncated:
                var (cut, size) = FileRecords.ReadTruncated(record.Body);
                if (LogOf(cut) is { } shorter && shorter.SizeBytes > size) shorter.Truncate(size);
                break;
        }
    }

    /// <summary>The file of a write-ahead log that lives; null when it is none.</summary>
    ILogFile? LogOf(ulong fnode)
    {
        if (live.ClassOf(fnode) != FileClass.RocksLog) return null;
        return logs.PathOf(fnode) is null ? logs.Add(fnode, At(was[fnode].Name), LogFileMode.Write) : logs.Open(fnode);
    }

    /// <summary>It gets its name when all of it is there: a file of that name may be another one still.</summary>
    void Begin(ulong fnode)
    {
        was.Remove(fnode);
        logs.Add(fnode, Path.Combine(work, $"{fnode:x16}.log"), LogFileMode.Create);
    }

    string At(string name) => Path.Combine(directory, name);

    /// <summary>The state after the last record taken.</summary>
    public Hints State(Guid logId, ulong epoch) =>
        live.Snapshot(logId, epoch, static lsn => lsn + 1) with { UnixTimeMs = UnixTimeMs };

    /// <summary>
    /// Whether a table takes the name of another one: then the directory is for a moment neither state.
    /// </summary>
    public bool ReplacesTables(Hints state)
    {
        var named = before.Files.Where(IsTable).SelectMany(f => f.Names, (f, name) => (name, f.Fnode))
            .ToDictionary(f => f.name, f => f.Fnode, StringComparer.Ordinal);
        return state.Files.Where(IsTable).Any(f => f.Names.Any(n => named.TryGetValue(n, out var other)
            && other != f.Fnode));
    }

    static bool IsTable(LiveFile file) => file.Class is FileClass.RocksTable or FileClass.RocksBlob;

    /// <summary>Puts every file of a state in its place, durably. What is not in it any more stays.</summary>
    public void Place(Hints state)
    {
        foreach (var file in state.Files.Where(IsThere).OrderBy(Turn))
        {
            foreach (var name in file.Names) TrackedName.Check(file.Class, name, "A followed log");
            switch (file.Class)
            {
                case FileClass.RocksSmall: PlaceSmall(file); break;
                case FileClass.RocksLog: PlaceLog(file); break;
                default: PlaceTable(file); break;
            }
        }
        disk.SyncDirectory(directory);
    }

    static int Turn(LiveFile file) => file.Class switch
    {
        FileClass.RocksTable or FileClass.RocksBlob => 0,
        FileClass.RocksLog => 1,
        _ => file.Names.Contains(Current) ? 4 : file.Name.StartsWith("MANIFEST", StringComparison.Ordinal) ? 3 : 2,
    };

    bool Has(LiveFile file) => was.TryGetValue(file.Fnode, out var known) && known.Names.SequenceEqual(file.Names)
        && IsThere(known);

    void PlaceTable(LiveFile file)
    {
        if (Has(file)) return;
        if (!was.TryGetValue(file.Fnode, out var known) || !IsThere(known)) MoveTo(FetchedIn(work, file), file.Names);
        else MoveTo(CopyOf(At(known.Name), file), file.Names);
    }

    void PlaceLog(LiveFile file)
    {
        if (logs.PathOf(file.Fnode) is not { } path)
        {
            if (!Has(file)) MoveTo(CopyOf(At(was[file.Fnode].Name), file), file.Names);
            return;
        }
        logs.Open(file.Fnode).SyncData();
        if (Has(file) && file.Names.Count == 1) return;
        var here = Path.GetDirectoryName(path) == directory;
        MoveTo(here ? CopyOf(path, file) : path, file.Names);
    }

    void PlaceSmall(LiveFile file)
    {
        var bytes = file.Bytes.Span;
        if (Has(file) && was[file.Fnode].Bytes.Span is var had && bytes.StartsWith(had))
        {
            if (bytes.Length == had.Length) return;
            // A MANIFEST grows: who reads it meanwhile finds its end, as beside the RocksDB that writes it.
            foreach (var name in file.Names)
            {
                using var grown = disk.Open(At(name), LogFileMode.Write);
                grown.Write(had.Length, bytes[had.Length..]);
                grown.SyncData();
            }
            return;
        }
        var aside = Aside(file);
        using (var made = disk.Open(aside, LogFileMode.Create))
        {
            made.Write(0, bytes);
            made.SyncData();
        }
        MoveTo(aside, file.Names);
    }

    string Aside(LiveFile file) => Path.Combine(work, $"{file.Fnode:x16}.aside");

    string CopyOf(string path, LiveFile file)
    {
        Copy(path, Aside(file));
        return Aside(file);
    }

    void Copy(string path, string to)
    {
        using var from = disk.Open(path, LogFileMode.Read);
        using var copy = disk.Open(to, LogFileMode.Create);
        var buffer = new byte[1 << 20];
        for (var at = 0L; from.Read(at, buffer) is var got and > 0; at += got) copy.Write(at, buffer.AsSpan(0, got));
        copy.SyncData();
    }

    void MoveTo(string made, IReadOnlyList<string> names)
    {
        foreach (var name in names.Skip(1))
        {
            Copy(made, made + ".copy");
            disk.Rename(made + ".copy", At(name));
        }
        disk.Rename(made, At(names[0]));
    }

    public void Dispose() => logs.Dispose();
}
