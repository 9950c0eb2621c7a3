using System.Text.Json;
using System.Text.Json.Serialization;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.Replicate.Mirrors;

namespace RecoveryVfs.Replicate;

/// <summary>
/// One database in a <see cref="MirrorReport"/>: how it was, since when, when it was last found in step, and up to
/// where of its WAL, or of which file, that was.
/// </summary>
internal sealed record ReportedDatabase(string Name, string Path, ReplicationPhase Phase, string? Why,
    DateTimeOffset Since, DateTimeOffset? LookedAt, ulong Lsn, Standing? Standing, FileMark? File);

/// <summary>
/// The file <c>replication</c> in a mirror's directory: how its replicator, a process of its own, found each database
/// last. For whoever asks from outside; nothing is decided by it.
/// </summary>
internal sealed record MirrorReport(int ProcessId, DateTimeOffset At, ReportedDatabase[] Databases)
{
    /// <summary>Thousands of databases have a few hundred bytes each.</summary>
    const int MaxBytes = 16 << 20;

    const string Name = "replication";

    /// <summary>What was reported last; null when nothing can be read.</summary>
    public static MirrorReport? Read(string directory)
    {
        var path = Path.Combine(directory, Name);
        try
        {
            using var file = RegularFile.OpenRead(path);
            return file.Length > MaxBytes ? null : JsonSerializer.Deserialize(file, ReportJson.Default.MirrorReport);
        }
        catch (Exception e) when (e is JsonException or IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>Replaces what was reported before. A disk that takes no more is told of elsewhere.</summary>
    public void Write(string directory)
    {
        var path = Path.Combine(directory, Name);
        try
        {
            File.WriteAllBytes(path + ".new", JsonSerializer.SerializeToUtf8Bytes(this,
                ReportJson.Default.MirrorReport));
            File.Move(path + ".new", path, overwrite: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // An old report is older than what it is asked about, and that shows.
        }
    }
}

[JsonSerializable(typeof(MirrorReport))]
internal sealed partial class ReportJson : JsonSerializerContext;
