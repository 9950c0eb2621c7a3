using Microsoft.Win32.SafeHandles;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.Handles;

/// <summary>
/// What a database is replaced by: a plain SQLite file (<see cref="WholeReplacement"/>), or those of its pages that may
/// differ from what the database holds (<see cref="PagesReplacement"/>). It lives as long as a roll back, in the
/// store's directory.
/// </summary>
internal abstract class ReplacementFile(SafeFileHandle file, string path) : IDisposable
{
    /// <summary>The largest run, and the least size of a buffer for one.</summary>
    public const int MaxRunBytes = 1 << 20;

    /// <summary>Opens either kind.</summary>
    public static ReplacementFile Open(string path)
    {
        var file = File.OpenHandle(path);
        try
        {
            return PagesReplacement.IsOne(file)
                ? new PagesReplacement(file, path)
                : new WholeReplacement(file, path);
        }
        catch
        {
            file.Dispose();
            throw;
        }
    }

    /// <summary>Whether it is right for a database whose newest commit is this.</summary>
    public abstract bool Fits(ulong newest);

    /// <summary>The size of the database that it makes.</summary>
    public abstract long SizeBytes { get; }

    /// <summary>The runs of bytes to be compared and written, after the first page.</summary>
    public abstract IEnumerable<(long At, int Length)> Runs(int pageSize);

    /// <summary>Reads bytes of the database: of the first page, or of a run.</summary>
    public abstract void Read(Span<byte> destination, long at);

    /// <summary>Reads bytes of the file.</summary>
    protected void ReadAll(Span<byte> destination, long at)
    {
        while (destination.Length > 0)
        {
            var got = RandomAccess.Read(file, destination, at);
            if (got == 0)
                throw new RecoveryException(RecoveryError.IoRead,
                    $"{path}, which a database was to be replaced by, ends at {at} bytes; nothing was committed.")
                { Path = path };
            destination = destination[got..];
            at += got;
        }
    }

    public void Dispose() => file.Dispose();
}

/// <summary>A plain SQLite file: every page is compared.</summary>
internal sealed class WholeReplacement(SafeFileHandle file, string path) : ReplacementFile(file, path)
{
    public override bool Fits(ulong newest) => true;

    public override long SizeBytes { get; } = RandomAccess.GetLength(file);

    public override IEnumerable<(long At, int Length)> Runs(int pageSize)
    {
        for (long at = pageSize; at < SizeBytes; at += MaxRunBytes)
            yield return (at, (int)Math.Min(MaxRunBytes, SizeBytes - at));
    }

    public override void Read(Span<byte> destination, long at) => ReadAll(destination, at);
}
