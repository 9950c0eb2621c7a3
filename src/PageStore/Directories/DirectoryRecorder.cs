using RecoveryVfs.PageStore.Interop;
using RecoveryVfs.PageStore.Rocks;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Log;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.PageStore.Directories;

/// <summary>
/// Turns what a RocksDB does to the files of its directory into records of the log. RocksDB's threads only put them in
/// line; who asked for a sync waits until they are in the log, and for what <paramref name="synced"/> waits for.
/// </summary>
/// <param name="directory">RocksDB's.</param>
/// <param name="log">The log.</param>
/// <param name="live">Which files live at its end.</param>
/// <param name="mayWrite">Asked before more is written to a write-ahead log; throws when nothing may.</param>
/// <param name="synced">A write-ahead log was synced.</param>
/// <param name="sealedOne">A table or blob file was sealed.</param>
internal sealed class DirectoryRecorder(
    string directory, LocalLog log, LiveFiles live, Action mayWrite, Action synced, Action sealedOne)
    : IDirectoryRecorder
{
    readonly Lock gate = new();
    readonly FileEvents told = new(log, live.NewFnode);
    int inLine;

    /// <summary>The files that the log knows at its end.</summary>
    public void Begin()
    {
        foreach (var file in live.Files)
            foreach (var name in file.Names) told.Know(name, file.Fnode);
    }

    /// <summary>Puts what is in line into the log, and says whether there was something.</summary>
    public bool AppendEvents()
    {
        if (Interlocked.Exchange(ref inLine, 0) == 0) return false;
        log.AppendEvents();
        return true;
    }

    static bool IsLarge(FileClass fileClass) => fileClass is FileClass.RocksTable or FileClass.RocksBlob;

    static FileClass? ClassOf(string name) => TrackedName.RocksClassOf(name);

    public void Created(string name)
    {
        if (ClassOf(name) is not { } fileClass) return;
        lock (gate)
        {
            // A table is told when it is sealed, both at once: hints that came in between would not name it, and a
            // restore from them would not know of what file the log says later that it is sealed.
            if (IsLarge(fileClass)) told.Deleted(name);
            else told.Created(name, fileClass);
        }
        InLine();
    }

    public void Appended(string name, ReadOnlySpan<byte> bytes, long sizeBytes, uint crc32c)
    {
        if (bytes.IsEmpty) return;
        lock (gate) told.Written(name, sizeBytes - bytes.Length, bytes);
        InLine();
        // After it: what is in the file is in the log, also when RocksDB is told no.
        if (ClassOf(name) == FileClass.RocksLog) mayWrite();
    }

    public void Sealed(string name, long sizeBytes, uint crc32c)
    {
        if (ClassOf(name) is not { } fileClass || !IsLarge(fileClass)) return;
        lock (gate)
        {
            told.Created(name, fileClass);
            told.Sealed(name, sizeBytes, crc32c);
        }
        InLine();
        sealedOne();
    }

    public void Synced(string name)
    {
        AppendEvents();
        if (ClassOf(name) == FileClass.RocksLog) synced();
    }

    public void Adopted(string name)
    {
        var path = Path.Combine(directory, name);
        Created(name);
        if (ClassOf(name) is FileClass.RocksTable or FileClass.RocksBlob)
            Sealed(name, new FileInfo(path).Length, FileEvents.ChecksumOf(path));
        else if (ClassOf(name) is not null && SmallFiles.Read(path) is { Length: > 0 } bytes)
            Appended(name, bytes, bytes.Length, 0);
    }

    public void Truncated(string name, long sizeBytes)
    {
        lock (gate) told.Truncated(name, sizeBytes);
        InLine();
    }

    public void Renamed(string name, string newName)
    {
        lock (gate)
        {
            // A file's class stays, and with it what becomes of its bytes: one that changes its kind is told anew.
            if (ClassOf(newName) == ClassOf(name)) told.Renamed(name, newName);
            else told.Deleted(name);
        }
        if (ClassOf(newName) != ClassOf(name)) Adopted(newName);
        InLine();
    }

    public void Linked(string name, string otherName)
    {
        lock (gate) told.Linked(name, otherName);
        InLine();
    }

    public void Deleted(string name)
    {
        lock (gate) told.Deleted(name);
        InLine();
    }

    void InLine() => Volatile.Write(ref inLine, 1);
}
