using RecoveryVfs.RecoveryLog.Disk;

namespace RecoveryVfs.RecoveryLog.Log;

/// <summary>
/// The files that wait to become segments: made beforehand and filled with zeros, or dropped by the log and used once
/// more. They are called <c>spare-N</c> beside the segments. Thread-safe.
/// </summary>
/// <param name="disk">Where the files are.</param>
/// <param name="directory">Of the log.</param>
/// <param name="keptMax">How many are kept of those that the log drops.</param>
internal sealed class SpareSegments(ILogDisk disk, string directory, int keptMax)
{
    // Bit by bit: a commit's sync must not stand in line behind all of a new file.
    const int StepBytes = 1 << 20;

    readonly Lock gate = new();
    readonly Stack<(string Path, long Bytes)> spares = new();
    int next;
    int preparing;      // 1 while a background preparation is queued or running
    bool closed;

    /// <summary>Takes over what an earlier life left, and deletes what is of no use.</summary>
    public void TakeOver(LogRecovery found)
    {
        next = found.NextSpare;
        foreach (var path in found.Litter)
            disk.Delete(path);
        foreach (var spare in found.Spares)
            spares.Push(spare);
    }

    /// <summary>
    /// Takes a spare of at least so many bytes, writes the header into it and syncs it. It still has the spare's
    /// name. When no spare is ready, a file is made whose blocks are allocated but not written. That is far cheaper;
    /// its syncs are slightly slower.
    /// </summary>
    public (ILogFile File, string Path, long Bytes) Open(long bytes, SegmentHeader header)
    {
        (string Path, long Bytes) spare;
        lock (gate)
        {
            if (!spares.TryPeek(out spare) || spare.Bytes < bytes)
                spare = Make(bytes, static (made, bytes) => made.Allocate(0, bytes));
            else
                spares.Pop();
        }
        ILogFile? file = null;
        try
        {
            file = disk.Open(spare.Path, LogFileMode.Write);
            Span<byte> start = stackalloc byte[SegmentFormat.HeaderBytes];
            SegmentFormat.Write(start, header);
            file.Write(0, start);
            file.SyncData();
            return (file, spare.Path, spare.Bytes);
        }
        catch
        {
            file?.Dispose();
            Discard(spare.Path);
            throw;
        }
    }

    /// <summary>Makes one of so many bytes now, when there is none, so that no append has to.</summary>
    public void Prepare(long bytes)
    {
        lock (gate)
        {
            if (spares.Count == 0 && !Volatile.Read(ref closed))
                spares.Push(Make(bytes, WriteAhead));
        }
    }

    /// <summary>
    /// The same on another thread, soon. Should it fail, whoever needs a segment tries again and gets the error.
    /// </summary>
    public void PrepareInBackground(long bytes)
    {
        if (Interlocked.Exchange(ref preparing, 1) == 0)
            ThreadPool.UnsafeQueueUserWorkItem(
                static work => work.Spares.PrepareQuietly(work.Bytes), (Spares: this, Bytes: bytes),
                    preferLocal: false);
    }

    void PrepareQuietly(long bytes)
    {
        try
        {
            Prepare(bytes);
        }
        catch (Exception e) when (e is RecoveryException or OperationCanceledException)
        {
            // See above.
        }
        finally
        {
            Volatile.Write(ref preparing, 0);
        }
    }

    /// <summary>
    /// Keeps segments that the log drops, when they have so many bytes and there is room for them; else deletes them.
    /// <paramref name="drop"/> names the oldest first, and is called under the lock, so that they go in that order.
    /// </summary>
    public void Recycle(Func<List<LogSegment>> drop, long bytes)
    {
        lock (gate)
        {
            var dropped = drop();
            if (dropped.Count == 0)
                return;
            var recycled = new List<(string Path, long Bytes)>();
            foreach (var segment in dropped)
            {
                if (segment.FileBytes != bytes || spares.Count + recycled.Count >= keptMax)
                {
                    disk.Delete(segment.Path);
                    continue;
                }
                var spare = NextPath();
                disk.Rename(segment.Path, spare);
                recycled.Add((spare, segment.FileBytes));
            }
            // Before a recycled file is overwritten, its old name must be gone for good.
            disk.SyncDirectory(directory);
            foreach (var spare in recycled)
                spares.Push(spare);
        }
    }

    /// <summary>Gives the disk space back of all but so many.</summary>
    public void Trim(int keep)
    {
        lock (gate)
            while (spares.Count > keep)
                Discard(spares.Pop().Path);
    }

    /// <summary>Deletes one that came to nothing; should that fail, the next open does it.</summary>
    public void Discard(string path)
    {
        try
        {
            disk.Delete(path);
        }
        catch (RecoveryException)
        {
            // Litter, which the next open finds.
        }
    }

    /// <summary>Ends a preparation under way, and waits until it has left the directory.</summary>
    public void Close()
    {
        Volatile.Write(ref closed, true);
        lock (gate) { }
    }

    string NextPath() => Path.Combine(directory, $"spare-{next++}");

    /// <summary>
    /// Under the lock: makes a file of zeros, its blocks taken and synced; it gets its name only then.
    /// </summary>
    (string Path, long Bytes) Make(long bytes, Action<ILogFile, long> fill)
    {
        var path = NextPath();
        var unfinished = path + ".new";
        try
        {
            using (var made = disk.Open(unfinished, LogFileMode.Create))
            {
                fill(made, bytes);
                made.SyncData();
            }
            disk.Rename(unfinished, path);
            return (path, bytes);
        }
        catch
        {
            Discard(unfinished);
            throw;
        }
    }

    void WriteAhead(ILogFile made, long bytes)
    {
        for (long at = 0; at < bytes; at += StepBytes)
        {
            if (Volatile.Read(ref closed))
                throw new OperationCanceledException();
            made.WriteZeros(at, Math.Min(bytes, at + StepBytes));
            made.SyncData();
        }
    }
}
