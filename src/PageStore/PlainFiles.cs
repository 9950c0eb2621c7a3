using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.PageStore;

/// <summary>One plain file: its identity, and what open handles share.</summary>
internal sealed class PlainNode(ulong fnode, string name, long size)
{
    public readonly Lock Gate = new();
    public readonly string Name = name;
    public ulong Fnode = fnode;
    public long Size = size;
    public ILogFile? Handle;
    public int References;
    public bool Deleted;
    public bool Dirty;
    public ulong LastLsn;

    /// <summary>A WAL, by its name.</summary>
    public readonly bool IsWal = Wal.IsName(name);
    /// <summary>What it held before it was begun anew. A WAL keeps its size then, for all that SQLite knows (journal_size_limit cuts it); the rest reads as zeros.</summary>
    public long FormerSize;
    /// <summary>Where the page of the commit frame goes whose header was written last.</summary>
    public long CommitPageAt = -1;

    public long ShownSize => Math.Max(Volatile.Read(ref Size), Volatile.Read(ref FormerSize));
}

/// <summary>
/// The journals and WALs of a store: files named by fnode under `files/`, every change recorded in the log. They need no sync of
/// their own: what a crash takes from them is in the log after the hints, and the hints are only published once they are synced.
/// Thread-safe.
/// </summary>
/// <remarks>
/// <para>
/// The other way round a file can have what a crash took from the log. SQLite goes by the file, everybody else (a restore, a follower) by the log, so what they read
/// must not differ. What was appended is cut off by the next open, which knows the log's size of the file. What overwrites is the danger: it takes away what the
/// log still says, and no cut brings that back. Therefore:
/// </para>
/// <list type="bullet">
/// <item>A file that is started over, be it cut to nothing or a WAL's header written again, becomes a new file. The old one stays until the log durably says
/// that it is gone, and so does what it held (the frames of a checkpoint that synchronous=OFF never synced).</item>
/// <item>A file is only cut once the log durably says so.</item>
/// <item>A WAL's frames are overwritten where a transaction was rolled back, or changes a page that it has spilled. All of them are uncommitted, and no
/// loss, unless a commit frame completes them: that one is durable in the log before it is written.</item>
/// </list>
/// <para>
/// Rollback journals (journal=plain) are overwritten freely: a transaction's pages enter the log after its journal's end, so whichever journal
/// is there puts back what is there.
/// </para>
/// </remarks>
internal sealed class PlainFiles : IDisposable
{
    readonly ILogDisk disk;
    readonly string directory;
    readonly LocalLog log;
    readonly Func<ulong> newFnode;
    readonly Action beforeWrite;
    readonly Lock gate = new();
    readonly Dictionary<string, PlainNode> byName = new(StringComparer.Ordinal);
    readonly Lock unlinkGate = new();
    readonly Queue<(ulong Fnode, ulong Lsn)> unlinks = new();
    readonly HashSet<PlainNode> dirty = [];

    /// <param name="disk">Where the files are.</param>
    /// <param name="directory">Their directory.</param>
    /// <param name="log">Where every change is recorded.</param>
    /// <param name="newFnode">Numbers new files.</param>
    /// <param name="beforeWrite">Called before something is written, with no lock held: may wait for room in the log.</param>
    public PlainFiles(ILogDisk disk, string directory, LocalLog log, Func<ulong> newFnode, Action beforeWrite)
    {
        this.disk = disk;
        this.directory = directory;
        this.log = log;
        this.newFnode = newFnode;
        this.beforeWrite = beforeWrite;
    }

    string PathOf(ulong fnode) => Path.Combine(directory, fnode.ToString("x16"));

    public PlainFile? Open(string name, bool create)
    {
        lock (gate)
        {
            if (!byName.TryGetValue(name, out var node))
            {
                if (!create) return null;
                node = new PlainNode(newFnode(), name, 0);
                node.Handle = disk.Open(PathOf(node.Fnode), LogFileMode.Create);
                node.LastLsn = log.Append(RecordKind.FileCreated, FileRecords.Created(node.Fnode, FileClass.Plain, name));
                byName.Add(name, node);
            }
            node.Handle ??= disk.Open(PathOf(node.Fnode), LogFileMode.Write);
            node.References++;
            return new PlainFile(this, node);
        }
    }

    public bool Exists(string name)
    {
        lock (gate) return byName.ContainsKey(name);
    }

    public IReadOnlyList<string> Names
    {
        get { lock (gate) return [.. byName.Keys]; }
    }

    public int Read(PlainNode node, long offset, Span<byte> destination)
    {
        var wanted = (int)Math.Clamp(node.ShownSize - offset, 0, destination.Length);
        var there = (int)Math.Clamp(Volatile.Read(ref node.Size) - offset, 0, wanted);
        while (true)
        {
            var handle = node.Handle!;
            try
            {
                var got = there == 0 ? 0 : handle.Read(offset, destination[..there]);
                if (got < there) return got;
                destination[there..wanted].Clear();
                return wanted;
            }
            catch (ObjectDisposedException) when (!ReferenceEquals(handle, node.Handle))
            {
                // Another connection has just started the file anew.
            }
        }
    }

    public void Write(PlainNode node, long offset, ReadOnlySpan<byte> source)
    {
        beforeWrite();
        lock (node.Gate)
        {
            if (node.IsWal && offset == 0 && node.Size > 0 && !node.Deleted)
            {
                Volatile.Write(ref node.FormerSize, node.ShownSize);
                StartAnew(node);
                Volatile.Write(ref node.Size, 0);
            }
            if (node.IsWal && offset < node.Size && !node.Deleted && CanCompleteCommit(node, offset, source))
            {
                WriteLogFirst(node, offset, source);
            }
            else
            {
                // The file first: a record is only appended for a write that took place.
                node.Handle!.Write(offset, source);
                if (!node.Deleted) node.LastLsn = FileRecords.AppendWritten(log, node.Fnode, offset, source);
            }
            if (offset + source.Length > node.Size) Volatile.Write(ref node.Size, offset + source.Length);
        }
        MarkDirty(node);
    }

    void WriteLogFirst(PlainNode node, long offset, ReadOnlySpan<byte> source)
    {
        node.LastLsn = FileRecords.AppendWritten(log, node.Fnode, offset, source);
        log.Sync(node.LastLsn);
        try
        {
            node.Handle!.Write(offset, source);
        }
        catch (RecoveryException)
        {
            // SQLite rolls back, and so must the log.
            var there = new byte[source.Length];
            var got = node.Handle!.Read(offset, there);
            node.LastLsn = FileRecords.AppendWritten(log, node.Fnode, offset, there.AsSpan(0, got));
            throw;
        }
    }

    /// <summary>Whether a WAL may have one more valid commit after this write: it is the header of a commit frame, or the page behind one.</summary>
    static bool CanCompleteCommit(PlainNode node, long offset, ReadOnlySpan<byte> source)
    {
        var isPage = offset == node.CommitPageAt;
        var isHeader = source.Length == Wal.FrameHeaderBytes && source[4..8].IndexOfAnyExcept((byte)0) >= 0;
        node.CommitPageAt = isHeader ? offset + Wal.FrameHeaderBytes : -1;
        return isHeader || isPage;
    }

    public void Truncate(PlainNode node, long sizeBytes)
    {
        lock (node.Gate)
        {
            if (sizeBytes < node.FormerSize) Volatile.Write(ref node.FormerSize, sizeBytes);
            if (sizeBytes >= node.Size) return;
            if (sizeBytes == 0 && !node.Deleted)
            {
                StartAnew(node);
                Volatile.Write(ref node.Size, 0);
            }
            else
            {
                if (!node.Deleted)
                {
                    node.LastLsn = log.Append(RecordKind.FileTruncated, FileRecords.Truncated(node.Fnode, sizeBytes));
                    log.Sync(node.LastLsn);
                }
                Volatile.Write(ref node.Size, sizeBytes);
                node.Handle!.Truncate(sizeBytes);
            }
        }
        MarkDirty(node);
    }

    void StartAnew(PlainNode node)
    {
        var fnode = newFnode();
        var handle = disk.Open(PathOf(fnode), LogFileMode.Create);
        var old = node.Fnode;
        using (var group = log.BeginGroup())
        {
            group.Add(RecordKind.FileDeleted, FileRecords.Deleted(old));
            node.LastLsn = group.Complete(RecordKind.FileCreated, FileRecords.Created(fnode, FileClass.Plain, node.Name));
        }
        var oldHandle = node.Handle;
        node.Handle = handle;
        node.Fnode = fnode;
        oldHandle?.Dispose();
        lock (unlinkGate) unlinks.Enqueue((old, node.LastLsn));
    }

    void MarkDirty(PlainNode node)
    {
        if (node.Dirty) return;
        lock (gate)
        {
            node.Dirty = true;
            dirty.Add(node);
        }
    }

    public void Sync(PlainNode node)
    {
        ulong lsn;
        lock (node.Gate) lsn = node.LastLsn;
        if (!node.Deleted) log.Sync(lsn);
    }

    public bool Delete(string name, bool durable)
    {
        ulong lsn;
        lock (gate)
        {
            if (!byName.TryGetValue(name, out var node)) return false;
            lock (node.Gate)
            {
                lsn = log.Append(RecordKind.FileDeleted, FileRecords.Deleted(node.Fnode));
                node.Deleted = true;
                byName.Remove(name);
                dirty.Remove(node);
                lock (unlinkGate) unlinks.Enqueue((node.Fnode, lsn));
                if (node.References == 0) CloseHandle(node);
            }
        }
        if (durable) log.Sync(lsn);
        return true;
    }

    public void Close(PlainNode node)
    {
        lock (gate)
            if (--node.References == 0 && !dirty.Contains(node)) CloseHandle(node);
    }

    static void CloseHandle(PlainNode node)
    {
        node.Handle?.Dispose();
        node.Handle = null;
    }

    /// <summary>
    /// Brings every change so far to the disk, so that hints at an LSN taken before this call may be published. Then files whose
    /// deletion is durable are unlinked.
    /// </summary>
    public void SyncAll()
    {
        PlainNode[] nodes;
        lock (gate)
        {
            nodes = [.. dirty];
            dirty.Clear();
            foreach (var node in nodes) node.Dirty = false;
        }
        foreach (var node in nodes)
        {
            lock (gate)
            {
                if (node.Deleted || node.Handle is null) continue;
                node.References++;
            }
            try
            {
                node.Handle!.SyncData();
            }
            finally
            {
                Close(node);
            }
        }
        disk.SyncDirectory(directory);
        UnlinkDeleted();
    }

    /// <summary>
    /// Runs something while no plain file is created, changed or deleted; it may read files by fnode. Writers wait.
    /// </summary>
    public T WhileFrozen<T>(Func<Func<ulong, long, ReadOnlyMemory<byte>>, T> action)
    {
        lock (gate)
        {
            var nodes = byName.Values.OrderBy(n => n.Fnode).ToArray();
            var taken = 0;
            try
            {
                foreach (var node in nodes)
                {
                    node.Gate.Enter();
                    taken++;
                }
                return action(ReadWhole);
            }
            finally
            {
                while (taken > 0) nodes[--taken].Gate.Exit();
            }
        }
    }

    ReadOnlyMemory<byte> ReadWhole(ulong fnode, long sizeBytes)
    {
        var bytes = new byte[sizeBytes];
        using var handle = disk.Open(PathOf(fnode), LogFileMode.Read);
        var got = handle.Read(0, bytes);
        if (got < sizeBytes)
            throw new RecoveryException(RecoveryError.Corrupt, $"{PathOf(fnode)} has {got} bytes where {sizeBytes} were written. Something else changes the store's files.");
        return bytes;
    }

    /// <summary>Unlinks files whose deletion is durable in the log; before that, a crash could still bring them back.</summary>
    public void UnlinkDeleted()
    {
        while (true)
        {
            ulong fnode;
            lock (unlinkGate)
            {
                if (!unlinks.TryPeek(out var next) || next.Lsn > log.DurableLsn) return;
                fnode = unlinks.Dequeue().Fnode;
            }
            disk.Delete(PathOf(fnode));
        }
    }

    /// <summary>Takes over what a replay found live; cuts what the log does not know of and removes what is not live.</summary>
    public void Adopt(IEnumerable<(ulong Fnode, string Name, long Size)> live)
    {
        var known = new HashSet<string>(StringComparer.Ordinal);
        foreach (var (fnode, name, size) in live)
        {
            var path = PathOf(fnode);
            known.Add(Path.GetFileName(path));
            long length = -1;
            if (disk.Exists(path))
            {
                using var handle = disk.Open(path, LogFileMode.Write);
                length = handle.SizeBytes;
                if (length > size) handle.Truncate(size);
            }
            if (length < size)
                throw new RecoveryException(RecoveryError.Corrupt,
                    $"The plain file {name} ({path}) holds {Math.Max(length, 0)} bytes where the log says {size}. Restore the store from its remote, "
                    + "or from a backup of the directory.");
            byName.Add(name, new PlainNode(fnode, name, size));
        }
        foreach (var file in disk.List(directory))
            if (!known.Contains(file)) disk.Delete(Path.Combine(directory, file));
    }

    public void Dispose()
    {
        lock (gate)
            foreach (var node in byName.Values) CloseHandle(node);
    }
}
