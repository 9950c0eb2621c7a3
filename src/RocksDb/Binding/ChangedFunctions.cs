namespace RecoveryVfs.RocksDb.Binding;

/// <summary>
/// Functions of RocksDB's C interface that take other parameters in the version that the binding was written for than
/// in ours: calling one would read what is not there. A test compares the binding with the header of ours.
/// </summary>
internal static class ChangedFunctions
{
    /// <summary>Their names.</summary>
    public static readonly HashSet<string> Names = new(StringComparer.Ordinal)
    {
        "rocksdb_enable_file_deletions",
        "rocksdb_options_set_plain_table_factory",
        "rocksdb_slicetransform_create",
    };
}
