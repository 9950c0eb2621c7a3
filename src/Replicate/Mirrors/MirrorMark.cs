using System.Text.Json.Serialization;
using RecoveryVfs.Replicate.Wals;

namespace RecoveryVfs.Replicate.Mirrors;

/// <summary>
/// The life of the WAL, the WAL-index' change number, and the place in the WAL (null: nothing of this life was read
/// yet).
/// </summary>
internal sealed record Standing(WalSalt Salt, uint Changes, WalPosition? Position);

/// <summary>What tells a file that was written from one that was not.</summary>
internal sealed record FileMark(uint ChangeCounter, long SizeBytes, DateTime WrittenAt, uint Pages, int PageSize);

/// <summary>
/// Where a mirror stood when its replicator was stopped: of which file, at which commit, and how far the WAL was read
/// or what the file was.
/// </summary>
internal sealed record MirrorMark(string Name, string Path, ulong Inode, long BornNs, ulong Lsn, ulong Checksum,
    Standing? Standing, FileMark? File);

[JsonSerializable(typeof(MirrorMark[]))]
internal sealed partial class MirrorJson : JsonSerializerContext;
