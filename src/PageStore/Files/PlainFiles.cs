using RecoveryVfs.PageStore.Interop;
using RecoveryVfs.PageStore.Wals;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Log;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.PageStore.Files;

/// <summary>
/// The journals and WALs of a store: files named by fnode under `files/`, every change recorded in the log. They need no sync of
/// their own: what a crash takes from them is in the log after the hints, and the hints are only published once they are synced.
/// Thread-safe.
/// </summary>
/// <remarks>
/// <para>
/// A file may also contain writes whose log records a crash lost. SQLite reads the file; a restore or a follower reads the log. They
/// must read the same. The next open cuts off what was appended, since the log knows the file's size. Overwriting is the danger: it
/// destroys what the log still says, and no cut brings that back. (What a WAL has only in memory, see <see cref="PlainNode"/>, is lost
/// with the process; there the log alone decides.) Therefore:
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
    readonly Lock dirtyGate = new();
    readonly HashSet<PlainNode> dirty = [];
    readonly long tailBudget;
    long tailBytes;

    /// <param name="disk">Where the files are.</param>
    /// <param name="directory">Their directory.</param>
    /// <param name="log">Where every change is recorded.</param>
    /// <param name="newFnode">Numbers new files.</param>
    /// <param name="beforeWrite">Called before something is written, with no lock held: may wait for room in the log.</param>
    /// <param name="tailBudget">Bound on the memory of all WALs' ends.</param>
    public PlainFiles(ILogDisk disk, string directory, LocalLog log, Func<ulong> newFnode, Action beforeWrite, long tailBudget)
    {
        this.disk = disk;
        this.directory = directory;
        this.log = log;
        this.newFnode = newFnode;
        this.beforeWrite = beforeWrite;
        this.tailBudget = tailBudget;
    }

    internal LocalLog Log => log;

    /// <summary>What one WAL's end may take, so that a large transaction leaves room for others.</summary>
    internal long TailBytesMax => tailBudget / 2;

    string PathOf(ulong fnode) => Path.Combine(directory, fnode.ToString("x16"));

    public PlainFile? Open(string name, bool create)
    {
        lock (gate)
        {
            if (!byName.TryGetValue(name, out var node))
            {
                if (!create) return null;
                node = NewNode(newFnode(), name, 0, new ChunkSums(), 0);
                node.Handle = disk.Open(PathOf(node.Fnode), LogFileMode.Create);
                node.Created(log.Append(RecordKind.FileCreated, FileRecords.Created(node.Fnode, FileClass.Plain, name)));
                byName.Add(name, node);
            }
            node.Handle ??= disk.Open(PathOf(node.Fnode), LogFileMode.Write);
            node.References++;
            return new PlainFile(this, node);
        }
    }

    PlainNode NewNode(ulong fnode, string name, long size, ChunkSums sums, long vouchedUntil) =>
        Wal.IsName(name) ? new WalNode(this, fnode, name, size, sums, vouchedUntil) : new PlainNode(this, fnode, name, size, sums, vouchedUntil);

    public bool Exists(string name)
    {
        lock (gate) return byName.ContainsKey(name);
    }

    public IReadOnlyList<string> Names
    {
        get { lock (gate) return [.. byName.Keys]; }
    }

    public void Write(PlainNode node, long offset, ReadOnlySpan<byte> source)
    {
        beforeWrite();
        if (Volatile.Read(ref tailBytes) > tailBudget) ReleaseTails();
        node.Write(offset, source);
    }

    /// <summary>Gives a file that is started over another identity, and a new file to be; the old one stays, see <see cref="UnlinkAfter"/>.</summary>
    internal (ILogFile Handle, ulong Fnode, ulong Lsn) Replace(PlainNode node)
    {
        var fnode = newFnode();
        var handle = disk.Open(PathOf(fnode), LogFileMode.Create);
        using var group = log.BeginGroup();
        group.Add(RecordKind.FileDeleted, FileRecords.Deleted(node.Fnode));
        return (handle, fnode, group.Complete(RecordKind.FileCreated, FileRecords.Created(fnode, FileClass.Plain, node.Name)));
    }

    /// <summary>Unlinks a file once its deletion, at this LSN, is durable.</summary>
    internal void UnlinkAfter(ulong fnode, ulong lsn)
    {
        lock (unlinkGate) unlinks.Enqueue((fnode, lsn));
    }

    /// <summary>The end of a WAL whose file ends there now.</summary>
    internal WalTail NewTail(long size)
    {
        var tail = new WalTail(change => Interlocked.Add(ref tailBytes, change));
        tail.Begin(size);
        return tail;
    }

    /// <summary>Memory that the ends of WALs take. Exceeds its bound by what the writes under way add.</summary>
    public long TailBytes => Interlocked.Read(ref tailBytes);

    /// <summary>All WALs are written out: rare, and then each has much.</summary>
    void ReleaseTails()
    {
        PlainNode[] nodes;
        lock (gate) nodes = [.. byName.Values];
        foreach (var node in nodes) node.Release();
    }

    /// <summary>With the node's gate held, before it is changed: whoever takes it from the set waits at that gate, and so finds the change.</summary>
    internal void MarkDirty(PlainNode node)
    {
        if (node.Dirty || node.Deleted) return;
        lock (dirtyGate)
        {
            node.Dirty = true;
            dirty.Add(node);
        }
    }

    public void Sync(PlainNode node)
    {
        if (node is WalNode wal)
        {
            // SQLite wants the header of a WAL that begins anew to be durable before its frames, which the order of the log sees to.
            if (wal.IsHeaderOnly) return;
            wal.LogCommit();
        }
        var lsn = node.LastLsn;
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
                lock (dirtyGate) dirty.Remove(node);
                node.Dirty = false;
                UnlinkAfter(node.Fnode, lsn);
                if (node.References == 0) node.CloseHandle();
            }
        }
        if (durable) log.Sync(lsn);
        return true;
    }

    public void Close(PlainNode node)
    {
        lock (gate)
        {
            if (--node.References > 0) return;
            node.Abandon();
            if (!node.Dirty) node.CloseHandle();
        }
    }

    /// <summary>
    /// Brings every change so far to the disk, so that hints at an LSN taken before this call may be published. Then files whose
    /// deletion is durable are unlinked.
    /// </summary>
    public void SyncAll()
    {
        var nodes = TakeDirty();
        try
        {
            foreach (var node in nodes) SyncWhole(node);
        }
        catch
        {
            foreach (var node in nodes) MarkDirty(node);
            throw;
        }
        finally
        {
            foreach (var node in nodes) Close(node);
        }
        disk.SyncDirectory(directory);
        UnlinkDeleted();
    }

    /// <summary>What was changed, each opened once more.</summary>
    PlainNode[] TakeDirty()
    {
        lock (gate)
        {
            PlainNode[] nodes;
            lock (dirtyGate)
            {
                nodes = [.. dirty];
                dirty.Clear();
                foreach (var node in nodes) node.Dirty = false;
            }
            foreach (var node in nodes) node.References++;
            return nodes;
        }
    }

    void SyncWhole(PlainNode node)
    {
        ILogFile handle;
        lock (node.Gate)
        {
            if (node.Deleted) return;
            // The hints are of before: a replay from them would not put back what was overwritten since.
            log.Sync(node.LastLsn);
            node.WriteOut();
            handle = node.Handle!;
        }
        try
        {
            handle.SyncData();
        }
        catch (ObjectDisposedException)
        {
            // It was started over just now. What it held needs no sync once the log durably says so.
            log.Sync(node.LastLsn);
        }
    }

    /// <summary>
    /// Runs something while no plain file is created, changed or deleted; it may read files by fnode. Writers wait.
    /// </summary>
    public T WhileFrozen<T>(Func<Func<ulong, long, ReadOnlyMemory<byte>>, T> action) =>
        WhileFrozen(nodes => action((fnode, sizeBytes) => ReadWhole(nodes.First(n => n.Fnode == fnode), sizeBytes)));

    /// <summary>Makes local hints, with the checksums of all plain files, for which they vouch from here on. Writers wait.</summary>
    public Hints WithSums(Func<Hints> snapshot) => WhileFrozen(nodes =>
    {
        var hints = snapshot();
        return hints with { Files = [.. hints.Files.Select(f => f.Class == FileClass.Plain ? f with { Sums = Vouch(nodes.First(n => n.Fnode == f.Fnode)) } : f)] };
    });

    /// <summary>Reads every plain file, and returns one line a problem.</summary>
    public IEnumerable<string> Verify(CancellationToken cancellation)
    {
        PlainNode[] nodes;
        lock (gate)
        {
            nodes = [.. byName.Values];
            foreach (var node in nodes)
            {
                node.Handle ??= disk.Open(PathOf(node.Fnode), LogFileMode.Write);
                node.References++;
            }
        }
        foreach (var node in nodes)
        {
            var problem = node.Verify(cancellation);
            Close(node);
            if (problem is not null) yield return $"{node.Name}: {problem} ({PathOf(node.Fnode)})";
        }
    }

    ReadOnlyMemory<uint> Vouch(PlainNode node) => WithHandle(node, static n => n.Vouch());

    T WhileFrozen<T>(Func<PlainNode[], T> action)
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
                return action(nodes);
            }
            finally
            {
                while (taken > 0) nodes[--taken].Gate.Exit();
            }
        }
    }

    ReadOnlyMemory<byte> ReadWhole(PlainNode node, long sizeBytes)
    {
        var bytes = new byte[sizeBytes];
        var got = WithHandle(node, n => n.Read(0, bytes));
        if (got < sizeBytes)
            throw new RecoveryException(RecoveryError.Corrupt, $"{PathOf(node.Fnode)} has {got} bytes where {sizeBytes} were written. Something else changes the store's files.");
        return bytes;
    }

    T WithHandle<T>(PlainNode node, Func<PlainNode, T> action)
    {
        var wasClosed = node.Handle is null;
        node.Handle ??= disk.Open(PathOf(node.Fnode), LogFileMode.Write);
        var result = action(node);
        if (wasClosed) node.CloseHandle();
        return result;
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
    public void Adopt(IEnumerable<(ulong Fnode, string Name, long Size)> live, PlainReplay replayed)
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
                    $"The plain file {name} ({path}) holds {Math.Max(length, 0)} bytes where the log says {size}.",
                    "Restore the store from its remote, "
                    + "or from a backup of the directory.") { Path = path };
            byName.Add(name, NewNode(fnode, name, size, replayed.SumsOf(fnode), replayed.VouchedUntil(fnode)));
        }
        foreach (var file in disk.List(directory))
            if (!known.Contains(file)) disk.Delete(Path.Combine(directory, file));
    }

    public void Dispose()
    {
        lock (gate)
            foreach (var node in byName.Values) node.CloseHandle();
    }
}
