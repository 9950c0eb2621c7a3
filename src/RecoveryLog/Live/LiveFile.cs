using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.RecoveryLog.Live;

/// <summary>A tracked file that lives at some LSN. Snapshots of it never change.</summary>
internal sealed record LiveFile
{
    /// <summary>Its identity.</summary>
    public required ulong Fnode { get; init; }
    /// <summary>What it is.</summary>
    public required FileClass Class { get; init; }
    /// <summary>Its names; never empty while it lives.</summary>
    public required IReadOnlyList<string> Names { get; init; }
    /// <summary>Its size: what was written, or sealed.</summary>
    public long SizeBytes { get; init; }
    /// <summary>Whether it will never change again.</summary>
    public bool IsSealed { get; init; }
    /// <summary>
    /// The CRC-32C of a sealed file's bytes; of a write-ahead log's, those of its bytes so far, when it was only ever
    /// appended to.
    /// </summary>
    public uint Crc32C { get; init; }
    /// <summary>Of a write-ahead log: the LSN that it was created at, from which on its bytes are in the log.</summary>
    public ulong BornLsn { get; init; }
    /// <summary>
    /// The SHA-256 of an extent as it stands in the remote, or of inline bytes; empty where nobody needed it.
    /// </summary>
    public ReadOnlyMemory<byte> Sha256 { get; init; }
    /// <summary>The bytes, of a small file (and in remote hints of a plain file); else empty.</summary>
    public ReadOnlyMemory<byte> Bytes { get; init; }
    /// <summary>
    /// In local hints: the checksums of a plain file's chunks (<see cref="ChunkSums"/>), all of them or none.
    /// </summary>
    public ReadOnlyMemory<uint> Sums { get; init; }
    /// <summary>Its first name.</summary>
    public string Name => Names[0];
}

/// <summary>A database that exists at some LSN.</summary>
internal readonly record struct LiveDatabase(uint Id, string Name);
