using Microsoft.Win32.SafeHandles;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.Files;
using RecoveryVfs.RecoveryLog.Remote.Formats;

namespace RecoveryVfs.PageStore.Lazy;

/// <summary>
/// One file that is not here yet: it has its length, and its record is there. Its first reader fetches all of it, others
/// wait for that. Thread-safe.
/// </summary>
internal sealed class LazyFile(Extent extent, string path, string record, RemoteContext context, string scratch)
    : IDisposable
{
    readonly Lock gate = new();
    readonly SafeFileHandle file = File.OpenHandle(path, FileMode.Open, FileAccess.ReadWrite,
        FileShare.ReadWrite | FileShare.Delete);
    Task? filling;

    public Extent Extent => extent;

    public bool IsComplete { get; private set; }

    public long PresentBytes => IsComplete ? extent.SizeBytes : 0;

    /// <summary>Makes the file, with its length and no bytes, and its record.</summary>
    public static void Create(Extent extent, string path, string record)
    {
        using (var made = RegularFile.CreateNew(path)) made.SetLength(extent.SizeBytes);
        using (RegularFile.CreateNew(record)) { }
    }

    /// <summary>Reads bytes; waits for them if they are missing.</summary>
    public int Read(long offset, Span<byte> to, CancellationToken cancellation)
    {
        // SQLite's and RocksDB's threads run no continuations.
        if (!IsComplete) Task.Run(() => FillAsync(cancellation), cancellation).GetAwaiter().GetResult();
        return RandomAccess.Read(file, to, offset);
    }

    /// <summary>Brings in all of it.</summary>
    public Task FillAsync(CancellationToken cancellation)
    {
        lock (gate)
        {
            if (filling is null or { IsFaulted: true } or { IsCanceled: true })
                filling = Task.Run(() => FetchAsync(cancellation), cancellation);
            return filling;
        }
    }

    async Task FetchAsync(CancellationToken cancellation)
    {
        var aside = Path.Combine(scratch, extent.Fnode.ToString("x16") + "-" + Guid.NewGuid().ToString("N"));
        try
        {
            // Aside first: another process may read what is here already.
            await new Extents(context).FetchAsync(extent, aside, null, cancellation);
            await using (var from = RegularFile.OpenRead(aside))
                for (var (buffer, at) = (new byte[1 << 20], 0L); await from.ReadAsync(buffer, cancellation) is var got
                    and > 0; at += got)
                    RandomAccess.Write(file, buffer.AsSpan(0, got), at);
            RandomAccess.FlushToDisk(file);
        }
        catch (IOException e)
        {
            throw new RecoveryException(RecoveryError.IoWrite,
                $"What was fetched of {extent.Name} cannot be written to {path}: {e.Message}",
                "Free some space on this disk.",
                e)
            { Path = path };
        }
        finally
        {
            File.Delete(aside);
        }
        File.Delete(record);
        IsComplete = true;
    }

    public void Dispose() => file.Dispose();
}
