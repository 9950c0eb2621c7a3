using RecoveryVfs.RecoveryLog.Remote.Formats;

namespace RecoveryVfs.RecoveryLog.Remote.Write;

/// <summary>An extent that is in the remote, with what its file was sealed with.</summary>
internal readonly record struct KnownExtent(Extent Extent, uint Crc32C);
