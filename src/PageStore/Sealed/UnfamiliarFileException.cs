namespace RecoveryVfs.PageStore.Sealed;

/// <summary>
/// Something in the page store's files that this reader does not know, or does not believe. RocksDB may.
/// </summary>
internal sealed class UnfamiliarFileException(string file, string what) : Exception($"{file} {what}");
