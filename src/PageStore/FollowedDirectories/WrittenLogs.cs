using RecoveryVfs.RecoveryLog.Disk;

namespace RecoveryVfs.PageStore.FollowedDirectories;

/// <summary>
/// The write-ahead logs that a followed log writes to: each under its path, and few of them open, however many there
/// are. What was written to one that is closed meanwhile is synced all the same when it is opened again for that.
/// </summary>
internal sealed class WrittenLogs(ILogDisk disk) : IDisposable
{
    const int OpenMax = 64;

    readonly Dictionary<ulong, string> paths = [];
    readonly Dictionary<ulong, ILogFile> open = [];

    /// <summary>Where one is that was added; null when it was not.</summary>
    public string? PathOf(ulong fnode) => paths.GetValueOrDefault(fnode);

    /// <summary>Adds one, which may take the place of another of that number.</summary>
    public ILogFile Add(ulong fnode, string path, LogFileMode mode)
    {
        if (open.Remove(fnode, out var earlier)) earlier.Dispose();
        paths[fnode] = path;
        return Open(fnode, path, mode);
    }

    /// <summary>One that was added.</summary>
    public ILogFile Open(ulong fnode) => open.GetValueOrDefault(fnode)
        ?? Open(fnode, paths[fnode], LogFileMode.Write);

    ILogFile Open(ulong fnode, string path, LogFileMode mode)
    {
        if (open.Count >= OpenMax) Close();
        return open[fnode] = disk.Open(path, mode);
    }

    void Close()
    {
        foreach (var file in open.Values) file.Dispose();
        open.Clear();
    }

    public void Dispose() => Close();
}
