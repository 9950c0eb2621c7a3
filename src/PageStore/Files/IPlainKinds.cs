using RecoveryVfs.RecoveryLog.Live;

namespace RecoveryVfs.PageStore.Files;

/// <summary>
/// Which plain files keep some of their bytes in memory, and how much all of them may have there. WALs do; a journal is
/// in its file.
/// </summary>
internal interface IPlainKinds
{
    /// <summary>Makes a file of the kind that its name says.</summary>
    PlainNode New(PlainFiles files, ulong fnode, string name, long size, ChunkSums sums, long vouchedUntil);

    /// <summary>Whether files should bring what they have in memory to the disk before more is written.</summary>
    bool IsMemoryFull { get; }
}
