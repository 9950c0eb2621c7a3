using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Log;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.RecoveryLog.Remote.State;

/// <summary>
/// Commits that a fenced writer had not shipped: directories <c>epoch-&lt;epoch&gt;-lsn-&lt;first LSN&gt;</c>, each
/// with a <c>log/</c> of one local segment, which
/// <see cref="LocalLog.Open"/> reads.
/// </summary>
/// <param name="Path">The directory.</param>
/// <param name="Epoch">The epoch of the fenced writer.</param>
/// <param name="FirstLsn">The first LSN that was not shipped.</param>
internal sealed record SalvagedLog(string Path, ulong Epoch, ulong FirstLsn)
{
    const string LogDirectory = "log";

    /// <summary>
    /// Copies the records from <paramref name="fromLsn"/> to the end of the durable log, durably; replaces an earlier
    /// copy.
    /// </summary>
    public static SalvagedLog Save(ILogDisk disk, string salvageDirectory, LocalLog log, ulong fromLsn)
    {
        var saved = new SalvagedLog(
            System.IO.Path.Combine(salvageDirectory, $"epoch-{log.Epoch:x16}-lsn-{fromLsn:x16}"), log.Epoch, fromLsn);
        string directory = System.IO.Path.Combine(saved.Path, LogDirectory),
            path = System.IO.Path.Combine(directory, SegmentFormat.FileName(fromLsn));
        disk.CreateDirectory(directory);
        var header = new SegmentHeader(log.LogId, log.Epoch, 1, fromLsn);
        using (var file = disk.Open(path + ".new", LogFileMode.Create))
        {
            byte[] buffer = new byte[4096];
            SegmentFormat.Write(buffer, header);
            file.Write(0, buffer.AsSpan(0, SegmentFormat.HeaderBytes));
            long at = SegmentFormat.HeaderBytes;
            using var cursor = log.ReadFrom(fromLsn, name: "salvage");
            while (cursor.TryRead(out var record))
            {
                int size = RecordFormat.SizeOf(record.Body.Length);
                if (buffer.Length < size) buffer = new byte[size * 2];
                // Each counts as durable before: a bad record in a salvaged log is damage, never a torn tail.
                RecordFormat.Write(buffer, header.Seed, record.Lsn, record.Kind, record.Flags, record.UnixTimeMs, 1,
                    record.Body);
                file.Write(at, buffer.AsSpan(0, size));
                at += size;
            }
            file.SyncData();
        }
        disk.Rename(path + ".new", path);
        disk.SyncDirectory(directory);
        return saved;
    }

    /// <summary>What was salvaged in a directory, oldest LSN first.</summary>
    public static IReadOnlyList<SalvagedLog> List(string salvageDirectory)
    {
        var found = new List<SalvagedLog>();
        if (!Directory.Exists(salvageDirectory)) return found;
        foreach (string path in Directory.EnumerateDirectories(salvageDirectory))
            if (TryParse(path, out var salvaged)) found.Add(salvaged);
        return [.. found.OrderBy(s => s.FirstLsn).ThenBy(s => s.Epoch)];
    }

    /// <summary>Reads the records, in order. Damage is an error that names the file.</summary>
    public void Read(ILogDisk disk, RecordTaken take) =>
        LocalLog.Open(disk, Path, new LogOptions { ReadOnly = true }, FirstLsn, take).Dispose();

    static bool TryParse(string path, [NotNullWhen(true)] out SalvagedLog? salvaged)
    {
        salvaged = null;
        string name = System.IO.Path.GetFileName(path);
        if (name.Length != 43 || !name.StartsWith("epoch-", StringComparison.Ordinal) || name[22..27] != "-lsn-")
            return false;
        if (!ulong.TryParse(name.AsSpan(6, 16), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture,
            out ulong epoch)
            || !ulong.TryParse(name.AsSpan(27), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture,
            out ulong first)) return false;
        salvaged = new SalvagedLog(path, epoch, first);
        return true;
    }
}
