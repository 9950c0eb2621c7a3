namespace RecoveryVfs.Bench;

/// <summary>
/// One of the two that are compared: this VFS, or the stock one. Each has a directory of its own on the same disk.
/// </summary>
internal sealed class Side
{
    public Side(bool isOurs, string directory)
    {
        IsOurs = isOurs;
        Directory = directory;
        System.IO.Directory.CreateDirectory(directory);
    }

    public bool IsOurs { get; }

    public string Directory { get; }

    public string PathOf(string name) => Path.Combine(Directory, name);

    /// <summary>
    /// A connection: ours in the default journal mode, stock in WAL mode (its fastest), each with the
    /// <c>synchronous</c> given.
    /// <paramref name="pageCache"/> concerns ours, as the first connection of a store only.
    /// </summary>
    public Connection Open(string synchronous = "FULL", string name = "a.db", string? pageCache = null,
        bool createsWal = true)
    {
        var uri = $"file:{PathOf(name)}"
            + (IsOurs ? "?vfs=recovery" + (pageCache is null ? "" : $"&page-cache={pageCache}") : "?vfs=unix");
        var connection = new Connection(uri);
        if (!IsOurs && createsWal) connection.Do("PRAGMA journal_mode=WAL");
        connection.Do($"PRAGMA synchronous={synchronous}");
        return connection;
    }

    /// <summary>Ours keeps a store open for a moment after its last connection; this closes it now.</summary>
    public void Settle()
    {
        if (IsOurs) Recovery.CloseIdleStores();
    }

    /// <summary>Bytes that the files here take on the disk.</summary>
    public long DiskBytes(Func<string, bool>? counts = null) =>
        System.IO.Directory.EnumerateFiles(Directory, "*", SearchOption.AllDirectories)
            .Where(p => counts?.Invoke(p) ?? true).Sum(p => new FileInfo(p).Length);
}
