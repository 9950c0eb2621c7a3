using System.Text;
using RecoveryVfs.PageStore.Batches;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.PageStore.Tails;

/// <summary>A write batch in the log of a recorded RocksDB.</summary>
/// <param name="Lsn">The record with its last bytes.</param>
/// <param name="Time">When that was made.</param>
/// <param name="Epoch">The writer's.</param>
/// <param name="File">The write-ahead log.</param>
/// <param name="Batch">What it does.</param>
/// <param name="Families">The names of column families, by number; those that are not known are not there.</param>
internal sealed record TailedBatch(ulong Lsn, DateTimeOffset Time, ulong Epoch, string File, WriteBatch Batch,
    IReadOnlyDictionary<uint, string> Families);

/// <summary>
/// Reads write batches out of what is written to a RocksDB's write-ahead logs. In a log that has begun before, it
/// begins with the first batch that it finds whole.
/// </summary>
internal sealed class BatchTail(LiveFiles live)
{
    /// <summary>
    /// RocksDB writes to one write-ahead log at a time, and each that is read costs memory: of those that somebody else
    /// writes, the one that was written longest ago is read from the middle on when it goes on.
    /// </summary>
    const int LogsMax = 4;

    /// <summary>How much of MANIFESTs is read for each byte of the log, and before the first.</summary>
    const int ReadPerByte = 64;
    const long ReadFirst = 256L << 20, LookBytes = 4096;

    // The one that was written last is the last.
    readonly OrderedDictionary<ulong, RocksLogReader> logs = [];
    long mayRead = ReadFirst;
    IReadOnlyDictionary<uint, string> families = new Dictionary<uint, string> { [0] = "default" };
    (ulong Fnode, long SizeBytes) familiesAsOf;

    /// <summary>How much of MANIFESTs was read.</summary>
    public long ManifestBytes { get; private set; }

    /// <summary>Takes the next record, and adds the batches that end in it.</summary>
    public void Take(in Record record, ulong epoch, List<TailedBatch> found)
    {
        live.Apply(record);
        mayRead += (long)record.Body.Length * ReadPerByte;
        switch (record.Kind)
        {
            case RecordKind.FileWritten:
                TakeWritten(record, epoch, found);
                break;
            case RecordKind.FileTruncated:
                // What comes next is read from there on.
                logs.Remove(FileRecords.ReadTruncated(record.Body).Fnode);
                break;
            case RecordKind.FileCreated or RecordKind.FileDeleted or RecordKind.FileRenamed:
                foreach (var gone in logs.Keys.Where(f => live.ClassOf(f) is null).ToList()) logs.Remove(gone);
                break;
        }
    }

    void TakeWritten(in Record record, ulong epoch, List<TailedBatch> found)
    {
        var write = FileRecords.ReadWritten(record.Body);
        if (live.Find(write.Fnode) is not { Class: FileClass.RocksLog } file) return;
        var log = LogOf(write.Fnode, file.Name, write.Offset);
        var (lsn, time) = (record.Lsn, DateTimeOffset.FromUnixTimeMilliseconds(record.UnixTimeMs));
        log.Feed(write.Bytes, bytes =>
        {
            var batch = WriteBatch.Read(bytes, file.Name);
            found.Add(new TailedBatch(lsn, time, epoch, file.Name, batch, FamiliesOf(batch)));
        });
    }

    RocksLogReader LogOf(ulong fnode, string name, long offset)
    {
        if (!logs.Remove(fnode, out var log) && logs.Count == LogsMax)
        {
            log = logs.GetAt(0).Value;
            logs.RemoveAt(0);
            log.Begin(name, offset);
        }
        log ??= new RocksLogReader(name, offset);
        if (log.Position != offset) log.Begin(name, offset);
        logs.Add(fnode, log);
        return log;
    }

    /// <summary>The MANIFEST is read again when a batch has a family that was not there.</summary>
    IReadOnlyDictionary<uint, string> FamiliesOf(WriteBatch batch)
    {
        if (batch.Operations.All(o => o.Family is not { } family || families.ContainsKey(family))) return families;
        // To look through the files costs something, too.
        if ((mayRead -= LookBytes) < 0) return families;
        var files = live.Files;
        var current = files.FirstOrDefault(f => f.Names.Contains("CURRENT"));
        var name = current is null ? null : Encoding.UTF8.GetString(current.Bytes.Span).TrimEnd('\n');
        var manifest = files.FirstOrDefault(f => f.Class == FileClass.RocksSmall && f.Names.Contains(name));
        if (manifest is null || (manifest.Fnode, manifest.SizeBytes) == familiesAsOf) return families;
        if ((mayRead -= manifest.SizeBytes) < 0) return families;
        familiesAsOf = (manifest.Fnode, manifest.SizeBytes);
        ManifestBytes += manifest.SizeBytes;
        // Names that only an earlier MANIFEST had stay known.
        var read = FamilyNames.Read(manifest.Bytes.Span, manifest.Name);
        foreach (var (family, known) in families) read.TryAdd(family, known);
        return families = read;
    }
}
