namespace RecoveryVfs.RocksDb;

/// <summary>One pair of a RocksDB.</summary>
/// <param name="Family">The column family: <c>default</c>, where nobody made others.</param>
/// <param name="Key">The key.</param>
/// <param name="Value">The value.</param>
public readonly record struct KeyValueEntry(string Family, byte[] Key, byte[] Value);
