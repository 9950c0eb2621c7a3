namespace RecoveryVfs.PageStore.Interop;

/// <summary>How much of the files that come from a remote when they are read is here.</summary>
/// <param name="Files">Files that began so, and still live.</param>
/// <param name="FilesHere">Those of them that are whole.</param>
/// <param name="Bytes">Their bytes.</param>
/// <param name="BytesHere">Those that are here.</param>
internal readonly record struct FetchedSoFar(int Files, int FilesHere, long Bytes, long BytesHere);

/// <summary>
/// Sealed files of a page store that have their length, and not all of their bytes: what is missing comes from somewhere
/// else when it is read. Thread-safe.
/// </summary>
internal interface IAbsentFiles : IDisposable
{
    /// <summary>The files that are not whole, by name without directory.</summary>
    IReadOnlyCollection<string> Names { get; }

    /// <summary>Whether bytes of a file may be missing.</summary>
    bool IsAbsent(string name);

    /// <summary>
    /// Reads a file as it was written; waits for what is missing. Returns how many bytes it gave: fewer than asked for
    /// only at the file's end. Throws what kept them from being here, and the next call tries again.
    /// </summary>
    int Read(string name, long offset, Span<byte> to);

    /// <summary>RocksDB needs a file no more, and is about to delete it.</summary>
    void Deleted(string name);

    /// <summary>How much is here.</summary>
    FetchedSoFar Fetched { get; }

    /// <summary>Ends what is being waited for, with an error: nobody reads any more.</summary>
    void Stop();
}
