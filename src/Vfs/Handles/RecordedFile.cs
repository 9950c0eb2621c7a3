using RecoveryVfs.PageStore.Files;

namespace RecoveryVfs.Handles;

/// <summary>
/// A WAL, or a rollback journal with <c>journal=plain</c>: a plain file under the store, every change of it in the
/// recovery log. onClose comes once, after it was closed.
/// </summary>
internal sealed class RecordedFile(PlainFile file, bool readOnly, Action onClose) : VfsFile
{
    public override long SizeBytes => file.SizeBytes;

    public override int Read(Span<byte> destination, long offset) => Found(file.Read(offset, destination), destination);

    public override int Write(ReadOnlySpan<byte> source, long offset)
    {
        if (readOnly) return Sqlite.ReadOnly;
        file.Write(offset, source);
        return Sqlite.Ok;
    }

    public override int Truncate(long sizeBytes)
    {
        if (readOnly) return Sqlite.ReadOnly;
        file.Truncate(sizeBytes);
        return Sqlite.Ok;
    }

    public override int Sync()
    {
        if (!readOnly) file.Sync();
        return Sqlite.Ok;
    }

    public override int Close()
    {
        file.Dispose();
        onClose();
        return Sqlite.Ok;
    }
}
