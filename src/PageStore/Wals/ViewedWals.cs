using System.Buffers;
using RecoveryVfs.PageStore.Files;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.PageStore.Wals;

/// <summary>
/// Copies of the WALs of a store that another process writes, in unlinked temporary files, kept up to date from the
/// log's records. Other plain files are nothing to a reader: a commit is whole without its journal.
/// </summary>
/// <remarks>
/// A copy is taken while its original is written, and so holds writes of which the log's end, read afterwards, may not
/// know yet. Repeating records assigns: from where the log is read to its end, every byte that it knows of is right.
/// Bytes beyond that, which the log has not confirmed, are ignored. How far the log confirms a WAL is known as soon as
/// there is one record of it.
/// </remarks>
internal sealed class ViewedWals : IDisposable
{

    sealed class Copy(ILogFile file, bool isWhole, long confirmed)
    {
        public readonly ILogFile File = file;
        // What the hints say of it; null of one that is younger.
        public VouchedFile? Vouched;
        public readonly bool IsWhole = isWhole;
        public long Confirmed = confirmed;
    }

    readonly ILogDisk disk;
    readonly string directory, temporary;
    readonly Dictionary<ulong, Copy> copies = [];

    /// <param name="disk">Where the originals are.</param>
    /// <param name="directory">The originals' directory.</param>
    /// <param name="temporary">Where the copies are made.</param>
    /// <param name="hints">The files that live where the reading of the log starts; null for none.</param>
    /// <param name="asOfHints">
    /// The copies hold no more than the hints say: for whoever does not read on to the log's end. An original that was
    /// changed since is not what they vouch for, see <see cref="AreWhole"/>.
    /// </param>
    public ViewedWals(ILogDisk disk, string directory, string temporary, Hints? hints, bool asOfHints = false)
    {
        (this.disk, this.directory, this.temporary) = (disk, directory, temporary);
        try
        {
            foreach (var file in (hints?.Files ?? []).Where(IsWal))
            {
                var copy = Take(file.Fnode);
                copies.Add(file.Fnode, copy);
                if (asOfHints) CutTo(file, copy);
                copy.Vouched = new VouchedFile(file);
                copy.Vouched.Find(copy.File.SizeBytes, copy.File.Read);
            }
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    static void CutTo(LiveFile file, Copy copy)
    {
        if (copy.File.SizeBytes > file.SizeBytes) copy.File.Truncate(file.SizeBytes);
        copy.Confirmed = file.SizeBytes;
    }

    static bool IsWal(LiveFile file) => file.Class == FileClass.Plain && Wal.IsName(file.Name);

    string PathOf(ulong fnode) => Path.Combine(directory, fnode.ToString("x16"));

    Copy Take(ulong fnode)
    {
        var copy = NewFile();
        var buffer = ArrayPool<byte>.Shared.Rent(1 << 20);
        try
        {
            using var original = disk.Open(PathOf(fnode), LogFileMode.Read);
            for (long at = 0; original.Read(at, buffer) is > 0 and var got; at += got)
                copy.Write(at, buffer.AsSpan(0, got));
            return new Copy(copy, true, -1);
        }
        catch (RecoveryException e) when (e.Error == RecoveryError.NotFound)
        {
            // The log is about to say that it was deleted.
            return new Copy(copy, false, -1);
        }
        catch
        {
            copy.Dispose();
            throw;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    ILogFile NewFile() => UnnamedFile.OpenLogFile(temporary);

    /// <summary>Takes the next record; <paramref name="live"/> has taken it before.</summary>
    public void Take(in Record record, LiveFiles live)
    {
        switch (record.Kind)
        {
            case RecordKind.FileCreated:
                var created = FileRecords.ReadCreated(record.Body);
                if (created.Class != FileClass.Plain || live.Find(created.Fnode) is not { } file || !IsWal(file)) break;
                Forget(created.Fnode);
                copies.Add(created.Fnode, new Copy(NewFile(), true, 0));
                break;
            case RecordKind.FileWritten:
                var written = FileRecords.ReadWritten(record.Body);
                if (!copies.TryGetValue(written.Fnode, out var target)) break;
                target.File.Write(written.Offset, written.Bytes);
                target.Vouched?.Written(written.Offset, written.Bytes.Length);
                if (written.Offset % ChunkSums.ChunkBytes == 0) Mendings++;
                var end = written.Offset + written.Bytes.Length;
                // The header begins the WAL anew.
                target.Confirmed = written.Offset == 0 ? end : Math.Max(target.Confirmed, end);
                break;
            case RecordKind.FileTruncated:
                var (fnode, size) = FileRecords.ReadTruncated(record.Body);
                if (!copies.TryGetValue(fnode, out var cut)) break;
                if (cut.File.SizeBytes > size) cut.File.Truncate(size);
                cut.Vouched?.Cut(size);
                Mendings++;
                break;
            case RecordKind.FileDeleted:
                Mendings++;
                Forget(FileRecords.ReadDeleted(record.Body));
                break;
        }
    }

    void Forget(ulong fnode)
    {
        if (copies.Remove(fnode, out var copy)) copy.File.Dispose();
    }

    /// <summary>
    /// Throws when a WAL that lives at the end of the log was not there to be copied, or not as far as the log knows
    /// it, or not as the hints say: SQLite would take it to end before the damage, and show fewer commits without a
    /// word. A writer changes what hints vouch for only after the log has it, so that none at work looks like damage.
    /// </summary>
    public void ThrowUnlessWhole(LiveFiles live)
    {
        foreach (var file in live.Files.Where(IsWal))
            if (DamageOf(file) is { } damage) throw Damaged(file, damage);
    }

    /// <summary>
    /// How many records were taken after which a WAL may be whole that was not: that write a chunk, cut, or delete.
    /// </summary>
    public int Mendings { get; private set; }

    /// <summary>
    /// Whether each WAL that lives holds what the log and the hints say of it, here. One that was changed after the
    /// hints does not, until the records have all that was changed.
    /// </summary>
    public bool AreWhole(LiveFiles live) => live.Files.Where(IsWal).All(file => DamageOf(file) is null);

    string? DamageOf(LiveFile file)
    {
        if (!copies.TryGetValue(file.Fnode, out var copy) || !copy.IsWhole || copy.File.SizeBytes < file.SizeBytes)
            return $"does not hold the {file.SizeBytes} bytes that the log says";
        return copy.Vouched?.FirstDamaged(copy.File.Read) is { } chunk
            ? $"was damaged: its bytes from {(long)chunk * ChunkSums.ChunkBytes} on do not have the checksum "
                + "that the hints say"
            : null;
    }

    RecoveryException Damaged(LiveFile file, string how) => new(RecoveryError.Corrupt,
        $"The plain file {file.Name} ({PathOf(file.Fnode)}) {how}.",
        "Restore the store from its remote, or from a backup of the directory.")
    { Path = PathOf(file.Fnode) };

    /// <summary>The copy of a WAL, and how far the log confirms it, or null where it does not say.</summary>
    public FollowedWal? Open(LiveFile file) => copies.TryGetValue(file.Fnode, out var copy)
        ? new FollowedWal(copy.File, temporary, copy.Confirmed < 0 ? long.MaxValue : copy.Confirmed)
        : null;

    public void Dispose()
    {
        foreach (var copy in copies.Values) copy.File.Dispose();
        copies.Clear();
    }
}
