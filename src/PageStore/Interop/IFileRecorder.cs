namespace RecoveryVfs.PageStore.Interop;

/// <summary>
/// Is told of every change of RocksDB's files that matters (all but its lock, its own log and the write-ahead log that
/// is off), by name without directory.
/// </summary>
/// <remarks>
/// Calls come on RocksDB's threads, several at a time, but in order for each file. They must not call into the page
/// store, and must be quick: RocksDB's flush waits for them, and a writer may be waiting for that flush. What throws
/// makes RocksDB's operation fail, and mostly turns the store read-only until it is reopened. Deletions and truncations
/// are reported before they happen, everything else after it: what was reported is never more than what the directory
/// holds.
/// </remarks>
internal interface IFileRecorder
{
    /// <summary>A file was created, empty; a file of that name, if there was one, is gone.</summary>
    void Created(string name);

    /// <summary>
    /// Bytes were appended. <paramref name="bytes"/> is empty for table and blob files (.sst, .blob: fetch them when
    /// they are sealed); <paramref name="sizeBytes"/> and <paramref name="crc32c"/> are those of the whole file so far.
    /// </summary>
    void Appended(string name, ReadOnlySpan<byte> bytes, long sizeBytes, uint crc32c);

    /// <summary>
    /// The file was closed whole and will never be written again. (One on which a write failed is never sealed.)
    /// </summary>
    void Sealed(string name, long sizeBytes, uint crc32c);

    /// <summary>The file is about to be cut to this size.</summary>
    void Truncated(string name, long sizeBytes);

    /// <summary>The file has a new name; one that had this name is gone.</summary>
    void Renamed(string name, string newName);

    /// <summary>The file has a second name.</summary>
    void Linked(string name, string otherName);

    /// <summary>The file is about to be deleted.</summary>
    void Deleted(string name);
}

/// <summary>
/// The same for a whole directory of somebody's RocksDB, of which write-ahead logs are told, too (with their bytes).
/// </summary>
internal interface IDirectoryRecorder : IFileRecorder
{
    /// <summary>
    /// What was appended to a file with bytes is durable in the directory: whoever asked for it waits until this
    /// returns, and gets an error when it throws.
    /// </summary>
    void Synced(string name);

    /// <summary>A whole file came from elsewhere under this name, and will not change.</summary>
    void Adopted(string name);
}
