using System.IO.Pipelines;

namespace RecoveryVfs.RecoveryLog.Objects;

/// <summary>Whole reads over <see cref="IObjectStore"/>: bounded, and never short without an error.</summary>
internal static class ObjectReads
{
    /// <summary>
    /// The whole object, or null when there is none. Throws <see cref="ObjectStoreError.Rejected"/> when it is larger
    /// than
    /// <paramref name="maxBytes"/>, and <see cref="ObjectStoreError.Unavailable"/> when it arrived cut short.
    /// </summary>
    public static async ValueTask<byte[]?> ReadWholeAsync(
        this IObjectStore store, string name, int maxBytes, CancellationToken cancellation = default)
    {
        var download = await store.GetAsync(name, 0, null, cancellation);
        if (download is null) return null;
        await using (download)
        {
            if (download.LengthBytes > maxBytes)
                throw new ObjectStoreException(ObjectStoreError.Rejected,
                    $"Object {name} in {store.Location} has {download.LengthBytes} bytes; at most {maxBytes} are "
                        + "expected")
                { Path = name };
            // Memory comes with the bytes: what a server says of a length is not to be believed beforehand.
            byte[] bytes = new byte[Math.Min(download.LengthBytes, FirstReadBytes)];
            for (int done = 0; ;)
            {
                done += await ReadFullAsync(store, name, download, bytes.AsMemory(done), cancellation);
                if (done < bytes.Length) throw CutShort(store, name, done, download.LengthBytes);
                if (done == download.LengthBytes) return bytes;
                Array.Resize(ref bytes, (int)Math.Min(download.LengthBytes, bytes.Length * 2L));
            }
        }
    }

    /// <summary>
    /// Opens a range of an object, or returns null when there is no such object. Throws
    /// <see cref="ObjectStoreError.Rejected"/> when the object has not the size that it should have.
    /// </summary>
    public static async ValueTask<ObjectDownload?> GetRangeAsync(this IObjectStore store, string name, long objectBytes,
        long offset, long length, CancellationToken cancellation = default)
    {
        var download = await store.GetAsync(name, offset, length, cancellation);
        if (download is null || download.ObjectBytes == objectBytes) return download;
        await download.DisposeAsync();
        throw new ObjectStoreException(ObjectStoreError.Rejected,
            $"Object {name} in {store.Location} has {download.ObjectBytes} bytes instead of {objectBytes}")
        { Path = name };
    }

    /// <summary>
    /// Reads the next bytes of a download. Throws <see cref="ObjectStoreError.Unavailable"/> when it ends before them.
    /// </summary>
    public static async ValueTask ReadExactlyAsync(this IObjectStore store, string name, ObjectDownload from,
        Memory<byte> to, CancellationToken cancellation = default)
    {
        var got = await ReadFullAsync(store, name, from, to, cancellation);
        if (got < to.Length) throw CutShort(store, name, got, to.Length);
    }

    /// <summary>
    /// Gives an object's bytes, from the first, to <paramref name="take"/>, which is told first how many there are;
    /// returns their number, or -1 when there is no such object. A connection that breaks is taken up again at the byte
    /// it broke at, for at most <paramref name="resumes"/> times in a row without progress.
    /// </summary>
    public static async ValueTask<long> StreamWholeAsync(
        this IObjectStore store, string name, Func<long, PipeReader, ValueTask> take, int resumes,
            CancellationToken cancellation = default)
    {
        var first = await store.GetAsync(name, 0, null, cancellation);
        if (first is null) return -1;
        long total = first.ObjectBytes;
        return await BytePipe.RunAsync(
            to => GiveWholeAsync(store, name, first, to, resumes, cancellation), from => take(total, from));
    }

    static async ValueTask<long> GiveWholeAsync(
        IObjectStore store, string name, ObjectDownload first, PipeWriter to, int resumes,
            CancellationToken cancellation)
    {
        long done = 0, total = first.ObjectBytes;
        var download = first;
        for (int left = resumes; ;)
        {
            long before = done;
            await using (download)
            {
                if (download.ObjectBytes != total) throw Changed(store, name);
                int got;
                while (done < total && (got = await ReadSomeAsync(download.Body, to.GetMemory(), cancellation)) > 0)
                {
                    if (got > total - done) throw Changed(store, name);
                    to.Advance(got);
                    done += got;
                    // Whoever takes them wants no more: it says why.
                    if ((await to.FlushAsync(cancellation)).IsCompleted) return total;
                }
            }
            if (done == total) return total;
            left = done > before ? resumes : left - 1;
            if (left < 0) throw CutShort(store, name, done, total);
            download = await store.GetAsync(name, done, null, cancellation) ?? throw Changed(store, name);
        }
    }

    const int FirstReadBytes = 1 << 20;

    static async ValueTask<int> ReadFullAsync(
        IObjectStore store, string name, ObjectDownload download, Memory<byte> destination,
            CancellationToken cancellation)
    {
        int done = 0;
        while (done < destination.Length)
        {
            int got;
            try { got = await download.Body.ReadAsync(destination[done..], cancellation); }
            catch (IOException e)
            {
                throw new ObjectStoreException(ObjectStoreError.Unavailable,
                    $"Reading {name} from {store.Location} broke off", e)
                { Path = name };
            }
            if (got == 0) break;
            done += got;
        }
        return done;
    }

    /// <summary>
    /// Bytes read, 0 at the end; a broken connection looks like the end, which the caller finds by counting.
    /// </summary>
    static async ValueTask<int> ReadSomeAsync(Stream body, Memory<byte> buffer, CancellationToken cancellation)
    {
        try { return await body.ReadAsync(buffer, cancellation); }
        catch (IOException) { return 0; }
    }

    static ObjectStoreException CutShort(IObjectStore store, string name, long got, long expected) =>
        new(ObjectStoreError.Unavailable,
            $"Object {name} in {store.Location} arrived cut short: {got} of {expected} bytes")
        { Path = name };

    static ObjectStoreException Changed(IObjectStore store, string name) =>
        new(ObjectStoreError.Rejected,
            $"Object {name} in {store.Location} changed while it was read, though objects there never may")
        { Path = name };
}
