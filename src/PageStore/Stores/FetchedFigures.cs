namespace RecoveryVfs.PageStore.Stores;

/// <summary>How much is here of the files that come when they are read.</summary>
/// <param name="BytesHere">Bytes of the files that are here.</param>
/// <param name="Bytes">All bytes of those files.</param>
/// <param name="FilesHere">Files that are whole.</param>
/// <param name="Files">All files that began so, and are still needed.</param>
public readonly record struct FetchedFigures(long BytesHere, long Bytes, int FilesHere, int Files);
