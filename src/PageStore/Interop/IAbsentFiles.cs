namespace RecoveryVfs.PageStore.Interop;

/// <summary>
/// Sealed files of a page store that have their length, and not all of their bytes: what is missing comes from
/// somewhere else when it is read. Thread-safe.
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

    /// <summary>Ends what is being waited for, with an error: nobody reads any more.</summary>
    void Stop();
}
