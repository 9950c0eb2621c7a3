using Microsoft.Win32.SafeHandles;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.PageStore.Directories;

/// <summary>
/// Write-ahead logs of a RocksDB as a recovery log writes them again: files by fnode in one directory, of which few are
/// open, however many there are.
/// </summary>
internal sealed class ReplayedLogs(string directory) : IDisposable
{
    const int OpenMax = 64;

    readonly HashSet<ulong> known = [];
    readonly Dictionary<ulong, SafeFileHandle> open = [];

    /// <summary>Where the bytes of one are.</summary>
    public string PathOf(ulong fnode) => Path.Combine(directory, fnode.ToString("x16"));

    /// <summary>Begins one, empty, unless it has begun.</summary>
    public void Begin(ulong fnode)
    {
        if (known.Add(fnode)) Open(fnode, FileMode.Create);
    }

    /// <summary>One that has begun is empty again.</summary>
    public void BeginAnew(ulong fnode)
    {
        if (known.Contains(fnode)) RandomAccess.SetLength(Open(fnode), 0);
    }

    /// <summary>How many bytes one has that has begun.</summary>
    public long LengthOf(ulong fnode) => RandomAccess.GetLength(Open(fnode));

    /// <summary>
    /// Writes to one, if it has begun. RocksDB only appends: bytes that would leave a hole are somebody else's.
    /// </summary>
    public void Write(ulong lsn, in FileWrite write, Func<string?> name)
    {
        if (!known.Contains(write.Fnode)) return;
        var file = Open(write.Fnode);
        if (RandomAccess.GetLength(file) is var length && write.Offset > length)
            throw FileRecords.Hole(lsn, write.Offset, name() ?? $"the write-ahead log {write.Fnode:x16}", length);
        RandomAccess.Write(file, write.Bytes, write.Offset);
    }

    /// <summary>Cuts one, if it has begun.</summary>
    public void Truncate(ulong fnode, long sizeBytes)
    {
        if (known.Contains(fnode) && Open(fnode) is var file && RandomAccess.GetLength(file) > sizeBytes)
            RandomAccess.SetLength(file, sizeBytes);
    }

    /// <summary>Nobody needs one any more.</summary>
    public void Delete(ulong fnode)
    {
        if (!known.Remove(fnode)) return;
        if (open.Remove(fnode, out var file)) file.Dispose();
        File.Delete(PathOf(fnode));
    }

    SafeFileHandle Open(ulong fnode, FileMode mode = FileMode.Open)
    {
        if (open.TryGetValue(fnode, out var file)) return file;
        if (open.Count >= OpenMax) Close();
        return open[fnode] = File.OpenHandle(PathOf(fnode), mode, FileAccess.ReadWrite);
    }

    void Close()
    {
        foreach (var file in open.Values) file.Dispose();
        open.Clear();
    }

    public void Dispose() => Close();
}
