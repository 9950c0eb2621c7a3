using RecoveryVfs.PageStore.Interop;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Log;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.PageStore.Files;

/// <summary>
/// The journals and WALs of a store: files named by fnode under `files/`, every change recorded in the log. They need
/// no sync of their own: what a crash takes from them is in the log after the hints, and the hints are only published
/// once they are synced. Thread-safe.
/// </summary>
/// <remarks>
/// <para>
/// A file may also contain writes whose log records a crash lost. SQLite reads the file; a restore or a follower reads
/// the log. They must read the same. The next open cuts off what was appended, since the log knows the file's size.
/// Overwriting is the danger: it destroys what the log still says, and no cut brings that back. (What a WAL has only in
/// memory, see <see cref="PlainNode"/>, is lost with the process; there the log alone decides.) Therefore:
/// </para>
/// <list type="bullet">
/// <item>A file that is started over, be it cut to nothing or a WAL's header written again, becomes a new file. The old
/// one stays until the log durably says that it is gone, and so does what it held (the frames of a checkpoint that
/// synchronous=OFF never synced).</item>
/// <item>A file is only cut once the log durably says so.</item>
/// <item>A WAL's frames are overwritten where a transaction was rolled back, or changes a page that it has spilled. All
/// of them are uncommitted, and no loss, unless a commit frame completes them: that one is durable in the log before it
/// is written.</item>
/// </list>
/// <para>
/// Rollback journals (journal=plain) are overwritten freely: a transaction's pages enter the log after its journal's
/// end, so whichever journal is there puts back what is there.
/// </para>
/// </remarks>
internal sealed partial class PlainFiles : IDisposable
{
    readonly ILogDisk disk;
    readonly string directory;
    readonly LocalLog log;
    readonly Func<ulong> newFnode;
    readonly Action beforeWrite;
    readonly Lock gate = new();
    readonly Dictionary<string, PlainNode> byName = new(StringComparer.Ordinal);
    readonly UnlinkQueue unlinks;
    readonly DirtyFiles dirty = new();
    // What a replay wrote, until the first hints.
    IReadOnlyCollection<ulong> replayedFiles = [];
    readonly IPlainKinds kinds;

    /// <param name="disk">Where the files are.</param>
    /// <param name="directory">Their directory.</param>
    /// <param name="log">Where every change is recorded.</param>
    /// <param name="newFnode">Numbers new files.</param>
    /// <param name="beforeWrite">Called before something is written, with no lock held: may wait for room in the
    /// log.</param>
    /// <param name="kinds">Makes the files.</param>
    public PlainFiles(ILogDisk disk, string directory, LocalLog log, Func<ulong> newFnode, Action beforeWrite,
        IPlainKinds kinds)
    {
        this.disk = disk;
        this.directory = directory;
        this.log = log;
        this.newFnode = newFnode;
        this.beforeWrite = beforeWrite;
        this.kinds = kinds;
        unlinks = new UnlinkQueue(disk);
    }

    internal LocalLog Log => log;

    /// <summary>The newest record of any of the files there are; 0 without one.</summary>
    public ulong LastLsn
    {
        get
        {
            lock (gate) return byName.Values.Select(n => n.LastLsn).DefaultIfEmpty().Max();
        }
    }

    /// <summary>The store's directory, for those who count.</summary>
    internal string Store => field ??= Path.GetDirectoryName(directory)!;

    string PathOf(ulong fnode) => Path.Combine(directory, fnode.ToString("x16"));

    public PlainFile? Open(string name, bool create)
    {
        lock (gate)
        {
            if (!byName.TryGetValue(name, out var node))
            {
                if (!create) return null;
                node = kinds.New(this, newFnode(), name, 0, new ChunkSums(), 0);
                node.Handle = disk.Open(PathOf(node.Fnode), LogFileMode.Create);
                node.Created(
                    log.Append(RecordKind.FileCreated, FileRecords.Created(node.Fnode, FileClass.Plain, name)));
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

    public void Write(PlainNode node, long offset, ReadOnlySpan<byte> source)
    {
        beforeWrite();
        if (kinds.IsMemoryFull) ReleaseMemory();
        node.Write(offset, source);
    }

    /// <summary>
    /// Gives a file that is started over another identity, and a new file to be; the old one stays, see
    /// <see cref="UnlinkAfter"/>.
    /// </summary>
    internal (ILogFile Handle, ulong Fnode, ulong Lsn) Replace(PlainNode node)
    {
        var fnode = newFnode();
        var handle = disk.Open(PathOf(fnode), LogFileMode.Create);
        using var group = log.BeginGroup();
        group.Add(RecordKind.FileDeleted, FileRecords.Deleted(node.Fnode));
        return (handle, fnode,
            group.Complete(RecordKind.FileCreated, FileRecords.Created(fnode, FileClass.Plain, node.Name)));
    }

    /// <summary>Unlinks a file once its deletion, at this LSN, is durable.</summary>
    internal void UnlinkAfter(ulong fnode, ulong lsn) => unlinks.Add(PathOf(fnode), lsn);

    /// <summary>Unlinks files whose deletion is durable in the log.</summary>
    public void UnlinkDeleted() => unlinks.UnlinkUpTo(log.DurableLsn);

    /// <summary>All files are written out: rare, and then each has much.</summary>
    void ReleaseMemory()
    {
        PlainNode[] nodes;
        lock (gate) nodes = [.. byName.Values];
        foreach (var node in nodes) node.Release();
    }

    /// <inheritdoc cref="DirtyFiles.Add"/>
    internal void MarkDirty(PlainNode node) => dirty.Add(node);

    public void Sync(PlainNode node)
    {
        if (node.HasNothingToLose) return;
        node.LogCommit();
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
                dirty.Remove(node);
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
    /// Brings every change so far to the disk, so that hints at an LSN taken before this call may be published. Then
    /// files whose deletion is durable are unlinked.
    /// </summary>
    public void SyncAll()
    {
        var nodes = TakeDirty();
        try
        {
            SyncReplayed();
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

    /// <summary>Before the first hints: what a replay wrote and the log has until then.</summary>
    void SyncReplayed()
    {
        foreach (var fnode in replayedFiles) PlainFileRepair.SyncIfThere(disk, PathOf(fnode));
        replayedFiles = [];
    }

    /// <summary>What was changed, each opened once more.</summary>
    PlainNode[] TakeDirty()
    {
        lock (gate)
        {
            var nodes = dirty.TakeAll();
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
    /// Takes over what a replay found live; cuts what the log does not know of and removes what is not live.
    /// </summary>
    public void Adopt(IEnumerable<(ulong Fnode, string Name, long Size)> live, PlainReplay replayed)
    {
        replayedFiles = [.. replayed.Unsynced];
        var known = new HashSet<string>(StringComparer.Ordinal);
        foreach (var (fnode, name, size) in live)
        {
            var path = PathOf(fnode);
            known.Add(Path.GetFileName(path));
            if (replayed.LengthOf(fnode) != size) PlainFileRepair.CutTo(disk, path, name, size);
            byName.Add(name, kinds.New(this, fnode, name, size, replayed.SumsOf(fnode), replayed.VouchedUntil(fnode)));
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
