using System.IO.Pipelines;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.RecoveryLog.Remote.Formats;

namespace RecoveryVfs.RecoveryLog.Remote.Files;

/// <summary>A sealed local file to be shipped as an extent.</summary>
/// <param name="Fnode">The file.</param>
/// <param name="SizeBytes">Its sealed size.</param>
/// <param name="Crc32C">The CRC-32C that it was sealed with.</param>
/// <param name="Open">Opens it for reading, seekable; may be called more than once.</param>
internal sealed record SealedFile(ulong Fnode, long SizeBytes, uint Crc32C, Func<Stream> Open);

/// <summary>
/// Ships sealed files as extents, and fetches extents into files. Every byte is checked on both ways.
/// </summary>
internal sealed class Extents(RemoteContext context)
{
    /// <summary>Uploads at a time: enough to fill a link with round trips, few enough to leave it to commits.</summary>
    public const int Parallelism = 4;

    /// <summary>
    /// Told what is wrong with the lists of the extents that are fetched, which are fetched and compared, too; null
    /// leaves them alone: whoever has all of an extent does not need its list.
    /// </summary>
    public Action<RecoveryException>? ListProblem { get; init; }

    /// <summary>Whether what is fetched is made durable; else by whoever wanted it.</summary>
    public bool IsDurable { get; init; } = true;

    /// <summary>
    /// Ships files, several at a time, and returns their extents. What is there already is not sent again. A local file
    /// that does not match the checksum it was sealed with is Corrupt, and nothing of it is left in the remote.
    /// </summary>
    public async ValueTask<IReadOnlyList<Extent>> UploadAsync(
        IReadOnlyList<SealedFile> files, ulong epoch, CancellationToken cancellation = default)
    {
        var extents = new Extent[files.Count];
        await ForEachAsync(files.Count, Parallelism,
            async (i, token) => extents[i] = await UploadAsync(files[i], epoch, token), cancellation);
        return extents;
    }

    /// <summary>
    /// Fetches an extent into a new file, verifies it, and makes it durable. Throws Corrupt, naming the object, when it
    /// is missing or is not what it should be.
    /// </summary>
    public async ValueTask FetchAsync(Extent extent, string path, Action<long>? progressed = null,
        CancellationToken cancellation = default, IExtentWitness? witness = null)
    {
        using var check = ListProblem is null || !extent.HasList
            ? null
            : await ListCheck.BeginAsync(context, extent, ListProblem, cancellation);
        await FetchAsync(extent.Name, extent.SizeBytes, hash => hash == extent.Hash, path, progressed, cancellation,
            check, witness);
        check?.End();
    }

    /// <summary>The same for an object of which somebody knows another proof.</summary>
    public async ValueTask FetchAsync(string name, long sizeBytes, Func<ObjectHash, bool> isRight, string path,
        Action<long>? progressed = null, CancellationToken cancellation = default, ListCheck? check = null,
            IExtentWitness? witness = null)
    {
        await using var file = RegularFile.CreateNew(path);
        try
        {
            await ExtentReads.ReadProvenAsync(context, name, sizeBytes, isRight, () =>
            {
                file.Position = 0;
                check?.Reset();
                witness?.Begin();
            }, part =>
            {
                file.Write(part.Span);
                check?.Append(part.Span);
                witness?.Take(part.Span);
                progressed?.Invoke(part.Length);
            }, cancellation);
            file.SetLength(file.Position);
            file.Flush(flushToDisk: IsDurable);
        }
        catch
        {
            File.Delete(path);
            throw;
        }
    }

    async ValueTask<Extent> UploadAsync(SealedFile file, ulong epoch, CancellationToken cancellation)
    {
        var (list, hash) = await HashAsync(file, cancellation);
        var extent = new Extent(file.Fnode, epoch, file.SizeBytes, hash);
        var content = new ObjectContent(file.SizeBytes, () => new VerifiedStream(file.Open(), file));
        var result = await context.RetryAsync(token => context.Store.CreateAsync(extent.Name, content, token),
            cancellation);
        // A part of the hash is in the name, so what is there already is the same file, shipped before.
        if (result == CreateResult.AlreadyExists)
        {
            var found = await context.RetryAsync(token => context.Store.HeadAsync(extent.Name, token), cancellation);
            if (found?.SizeBytes != extent.SizeBytes)
                throw RemoteFormat.Damaged(extent.Name,
                    $"it has {found?.SizeBytes ?? 0} bytes, the file {extent.SizeBytes}");
        }
        return list is null ? extent : await BlockLists.ShipAsync(context, extent, list, cancellation);
    }

    static async ValueTask<(BlockList? List, ObjectHash Hash)> HashAsync(SealedFile file,
        CancellationToken cancellation)
    {
        var isListed = file.SizeBytes > BlockList.ListlessBytes;
        using var builder = new BlockList.Builder(isListed ? BlockList.ShiftOf(file.SizeBytes) : null);
        var reader = PipeReader.Create(new VerifiedStream(file.Open(), file),
            new StreamPipeReaderOptions(bufferSize: BytePipe.BlockBytes));
        try { await reader.DrainAsync(part => builder.Append(part.Span), cancellation: cancellation); }
        finally { await reader.CompleteAsync(); }
        return builder.Finish();
    }

    /// <summary>
    /// Runs so many steps, a few at a time, and throws the first error after the others have ended.
    /// (Parallel.ForEachAsync would use the thread pool, which a seeded simulation on one thread cannot have.)
    /// </summary>
    internal static async ValueTask ForEachAsync(
        int count, int parallelism, Func<int, CancellationToken, ValueTask> step, CancellationToken cancellation)
    {
        using var failed = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        int next = -1;
        async Task WorkAsync()
        {
            for (int i; (i = Interlocked.Increment(ref next)) < count;)
            {
                failed.Token.ThrowIfCancellationRequested();
                try { await step(i, failed.Token); }
                catch
                {
                    failed.Cancel();
                    throw;
                }
            }
        }
        var workers = new Task[Math.Min(parallelism, count)];
        for (int i = 0; i < workers.Length; i++) workers[i] = WorkAsync();
        await Task.WhenAll(workers);
    }

    /// <summary>
    /// A sealed file's bytes; throws before it gives the last of them when they do not match size and checksum, so that
    /// a PUT of them can never complete.
    /// </summary>
    sealed class VerifiedStream(Stream inner, SealedFile file) : Stream
    {
        uint crc;
        long done;

        public override bool CanRead => true;
        public override bool CanSeek => true;
        public override bool CanWrite => false;
        public override long Length => file.SizeBytes;

        public override long Position
        {
            get => done;
            set
            {
                // Back to the start, for signing or a second try: nowhere else.
                if (value != 0 && value != done) throw new NotSupportedException();
                if (value == 0) (inner.Position, crc, done) = (0, 0, 0);
            }
        }

        public override int Read(Span<byte> buffer)
        {
            int got = inner.Read(buffer[..(int)Math.Min(buffer.Length, file.SizeBytes - done)]);
            crc = Crc32C.Compute(buffer[..got], crc);
            done += got;
            if (got == 0 && buffer.Length > 0 && done < file.SizeBytes)
                throw Damaged($"has only {done} of {file.SizeBytes} bytes");
            if (done == file.SizeBytes && crc != file.Crc32C)
                throw Damaged("does not match the checksum that it was sealed with");
            return got;
        }

        public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
            => new(Read(buffer.Span));

        public override Task<int> ReadAsync(byte[] buffer, int offset, int count,
            CancellationToken cancellationToken) =>
            Task.FromResult(Read(buffer.AsSpan(offset, count)));

        public override long Seek(long offset, SeekOrigin origin) => Position = origin switch
        {
            SeekOrigin.Begin => offset,
            SeekOrigin.Current => done + offset,
            _ => throw new NotSupportedException(),
        };

        protected override void Dispose(bool disposing)
        {
            if (disposing) inner.Dispose();
            base.Dispose(disposing);
        }

        RecoveryException Damaged(string how) => new(RecoveryError.Corrupt,
            $"The local file with fnode {file.Fnode:x16} {how}. Nothing of it was shipped.",
            "Check the disk; restore the store from its remote");

        public override void Flush() { }
        public override void SetLength(long value) => throw new NotSupportedException();
        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}
