namespace RecoveryVfs.RecoveryLog.Records;

/// <summary>What a record of the recovery log says. The numbers are part of the format and never change.</summary>
internal enum RecordKind : byte
{
    /// <summary>Changed pages of one database, or one part of them: <c>PageCommitFormat</c>.</summary>
    PageCommit = 1,
    /// <summary>A database came to be: id u32, name.</summary>
    DatabaseCreated = 2,
    /// <summary>A database got another name: id u32, name.</summary>
    DatabaseRenamed = 3,
    /// <summary>A database and all its pages are gone: id u32.</summary>
    DatabaseDeleted = 4,
    /// <summary>A tracked file came to be: fnode u64, file class u8, name.</summary>
    FileCreated = 5,
    /// <summary>Bytes were written to a tracked file: fnode u64, offset u64, bytes.</summary>
    FileWritten = 6,
    /// <summary>A tracked file was cut: fnode u64, size u64.</summary>
    FileTruncated = 7,
    /// <summary>A tracked file is gone: fnode u64.</summary>
    FileDeleted = 8,
    /// <summary>A tracked file got another name: fnode u64, name.</summary>
    FileRenamed = 9,
    /// <summary>A tracked file got one more name: fnode u64, name.</summary>
    FileLinked = 10,
    /// <summary>
    /// A RocksDB file is complete and never changes again (an extent): fnode u64, size u64, crc32c u32.
    /// </summary>
    FileSealed = 11,
    /// <summary>A writer's tenure began: epoch u64, author u64, last LSN of the previous epoch u64.</summary>
    EpochBegan = 12,
    /// <summary>Room to grow: readers that do not know what it says pass over it.</summary>
    Noted = 13,
}
