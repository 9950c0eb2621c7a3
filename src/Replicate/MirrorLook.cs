using System.Buffers.Binary;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.Replicate.Mirrors;
using RecoveryVfs.Replicate.Wals;

namespace RecoveryVfs.Replicate;

/// <summary>How a mirror stands to one plain database, as another process sees it.</summary>
/// <param name="Name">Its name in the mirror.</param>
/// <param name="Path">The database.</param>
/// <param name="State">
/// <c>in-step</c>, <c>behind</c>, <c>not-certain</c>, <c>missing</c> (there is no such file), or <c>stopped</c> (no
/// process replicates it).
/// </param>
/// <param name="Why">Why it is not in step; null when it is.</param>
/// <param name="Since">Since when that is so.</param>
/// <param name="InStepAt">When it was last found in step.</param>
/// <param name="BehindFrames">Frames of committed transactions in its WAL that the mirror does not have.</param>
/// <param name="BehindBytes">Their bytes.</param>
internal sealed record MirroredDatabase(string Name, string Path, string State, string? Why, DateTimeOffset? Since,
    DateTimeOffset? InStepAt, long? BehindFrames, long? BehindBytes);

/// <summary>
/// Looks at a mirror and its databases from another process: what their replicator says of them, and what they are. It
/// opens no database, and takes no lock. Not for a process that has one of them open: closing a file ends its locks.
/// </summary>
internal static class MirrorLook
{
    /// <summary>How long a replicator that is at work has for what was committed just now.</summary>
    static readonly TimeSpan Patience = TimeSpan.FromSeconds(5), BetweenLooks = TimeSpan.FromMilliseconds(100);

    /// <summary>Whether a directory is the mirror of plain databases.</summary>
    public static bool IsMirror(string directory) => MirrorReport.Read(directory) is not null
        || MirrorMarks.Has(directory);

    /// <summary>
    /// How it stands to each of its databases. <paramref name="isHeld"/>: whether some process has the mirror open now.
    /// </summary>
    public static async Task<IReadOnlyList<MirroredDatabase>> AtAsync(string directory, Func<bool> isHeld,
        CancellationToken cancellation)
    {
        if (MirrorReport.Read(directory) is not { } first) return [];
        for (var started = TimeProvider.System.GetTimestamp(); ;)
        {
            var now = MirrorReport.Read(directory) ?? first;
            List<MirroredDatabase> found = [.. now.Databases.Select(d => Of(d, first, isHeld()))];
            // What was committed a moment ago is no lag; a replicator that is stuck is one in some seconds, too.
            if (found.TrueForAll(d => d.State is not ("behind" or "not-certain"))
                || TimeProvider.System.GetElapsedTime(started) > Patience)
                return found;
            await Task.Delay(BetweenLooks, cancellation);
        }
    }

    static MirroredDatabase Of(ReportedDatabase now, MirrorReport first, bool isHeld)
    {
        var (frames, bytes, unread) = Unread(now);
        MirroredDatabase As(string state, string? why, DateTimeOffset? since)
            => new(now.Name, now.Path, state, why, since, now.LookedAt, frames, bytes);
        if (!File.Exists(now.Path)) return As("missing", $"there is no file {now.Path}", now.Since);
        if (!isHeld)
            return As("stopped", "no process replicates it" + (unread is null ? "" : "; " + unread), now.LookedAt);
        if (now.Phase != ReplicationPhase.InStep)
            return As(now.Phase == ReplicationPhase.Behind ? "behind" : "not-certain", now.Why, now.Since);
        // It is at it: it has come further since this began.
        var before = Array.Find(first.Databases, d => d.Path == now.Path);
        return unread is null || (before is not null && before.Lsn != now.Lsn)
            ? As("in-step", null, now.Since)
            : As("behind", unread, now.LookedAt);
    }

    /// <summary>What the database has beyond where its replicator said that it was; in words, too.</summary>
    static (long? Frames, long? Bytes, string? What) Unread(ReportedDatabase database)
    {
        try
        {
            return database.Standing is { } standing ? UnreadOfWal(database.Path, standing)
                : database.File is { } mark && File.Exists(database.Path) ? UnreadOfFile(database.Path, mark)
                : (null, null, null);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or RecoveryException)
        {
            return (null, null, e.Message);
        }
    }

    static (long?, long?, string?) UnreadOfWal(string path, Standing standing)
    {
        if (!File.Exists(path + "-wal"))
            return standing.Position is null ? (0, 0, null) : (null, null, "its WAL is gone");
        using var file = LocalDisk.Instance.Open(path + "-wal", LogFileMode.Read);
        var reader = new WalReader(file);
        if (reader.ReadHeader() is not { } header) return (0, 0, null);
        var from = header.Salt == standing.Salt && standing.Position is { } known ? known : header.Start;
        var (at, committed) = (from, from);
        while (reader.TryRead(ref at, out var frame))
            if (frame.IsCommit) committed = at;
        var (frames, bytes) = ((long)(committed.Frames - from.Frames), committed.Offset - from.Offset);
        return (frames, bytes, frames == 0 ? null
            : $"{frames} frames of its WAL ({bytes} bytes) are not in the mirror");
    }

    static (long?, long?, string?) UnreadOfFile(string path, FileMark mark)
    {
        var file = new FileInfo(path);
        Span<byte> counter = stackalloc byte[4];
        using (var opened = LocalDisk.Instance.Open(path, LogFileMode.Read))
            if (opened.Read(24, counter) < counter.Length) counter.Clear();
        return file.Length == mark.SizeBytes && (file.LastWriteTimeUtc == mark.WrittenAt
            || BinaryPrimitives.ReadUInt32BigEndian(counter) == mark.ChangeCounter)
            ? (0, 0, null) : (null, null, $"it was written at {file.LastWriteTimeUtc:O}");
    }
}
