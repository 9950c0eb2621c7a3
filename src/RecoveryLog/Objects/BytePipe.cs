using System.IO.Pipelines;

namespace RecoveryVfs.RecoveryLog.Objects;

/// <summary>
/// Bytes on their way from one who gives them to one who takes them. The two work in turns, on the thread of whoever
/// comes with bytes or room: no thread is switched, and a simulation stays on its one. Whoever is ahead waits, so no
/// more bytes are in memory than the bound says.
/// </summary>
internal static class BytePipe
{
    /// <summary>What a block has room for: few enough calls a byte, and what a disk and a socket like.</summary>
    public const int BlockBytes = 128 << 10;

    /// <summary>So many bytes on their way, and the giver waits.</summary>
    public const int PauseBytes = 2 * BlockBytes;

    static readonly PipeOptions options =
        new(readerScheduler: PipeScheduler.Inline, writerScheduler: PipeScheduler.Inline,
        pauseWriterThreshold: PauseBytes, resumeWriterThreshold: BlockBytes, minimumSegmentSize: BlockBytes,
            useSynchronizationContext: false);

    /// <summary>
    /// Runs both to their ends, and returns what the giver does. An error of one ends the other, and is thrown. The
    /// giver stops when a flush says that nobody takes any more.
    /// </summary>
    public static async ValueTask<T> RunAsync<T>(Func<PipeWriter, ValueTask<T>> give, Func<PipeReader, ValueTask> take)
    {
        var pipe = new Pipe(options);
        var taking = TakeAsync(pipe.Reader, take);
        T given;
        try { given = await give(pipe.Writer); }
        catch (Exception e)
        {
            await pipe.Writer.CompleteAsync(e);
            // It is told the same; should it have an error of its own, this one came first.
            try { await taking; }
            catch (Exception) { }
            throw;
        }
        await pipe.Writer.CompleteAsync();
        await taking;
        return given;
    }

    /// <summary>
    /// Hands on all there is: a block's worth at a time, or more, whatever pieces it came in; only the last is less.
    /// </summary>
    public static async ValueTask DrainAsync(this PipeReader from, Action<ReadOnlyMemory<byte>> take,
        CancellationToken cancellation = default)
    {
        for (bool done = false; !done;)
        {
            var read = await from.ReadAtLeastAsync(BlockBytes, cancellation);
            foreach (var part in read.Buffer) take(part);
            from.AdvanceTo(read.Buffer.End);
            done = read.IsCompleted;
        }
    }

    /// <summary>
    /// Reads from a source whose bytes are there when they are asked for: memory, or a stream that never waits.
    /// </summary>
    public static ReadResult ReadNow(this PipeReader from)
    {
        var reading = from.ReadAsync();
        if (!reading.IsCompleted)
            throw new InvalidOperationException("This source does not answer at once: it must be read asynchronously.");
        return reading.GetAwaiter().GetResult();
    }

    static async Task TakeAsync(PipeReader from, Func<PipeReader, ValueTask> take)
    {
        try
        {
            await take(from);
            await from.CompleteAsync();
        }
        catch (Exception e)
        {
            await from.CompleteAsync(e);
            throw;
        }
    }
}
