using RecoveryVfs.PageStore.Interop;

namespace RecoveryVfs.PageStore.Rocks;

/// <summary>A recorder that also hears which files go.</summary>
internal sealed class WatchedDeletions(IFileRecorder recorder, Action<string> deleted) : IFileRecorder
{
    public void Created(string name) => recorder.Created(name);

    public void Appended(string name, ReadOnlySpan<byte> bytes, long sizeBytes, uint crc32c)
        => recorder.Appended(name, bytes, sizeBytes, crc32c);

    public void Sealed(string name, long sizeBytes, uint crc32c) => recorder.Sealed(name, sizeBytes, crc32c);

    public void Truncated(string name, long sizeBytes) => recorder.Truncated(name, sizeBytes);

    public void Renamed(string name, string newName) => recorder.Renamed(name, newName);

    public void Linked(string name, string otherName) => recorder.Linked(name, otherName);

    public void Deleted(string name)
    {
        recorder.Deleted(name);
        deleted(name);
    }
}
