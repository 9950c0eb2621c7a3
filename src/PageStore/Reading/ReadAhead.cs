using System.Diagnostics;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.PageStore.Reading;

/// <summary>How far a database has come in being brought into the page cache as a whole.</summary>
internal struct Warming
{
    public uint Misses;
    public ReadAhead.Stream? Stream;
    public bool HasEnded;
}

/// <summary>
/// Brings pages into the page cache before they are asked for, when a database is read in page order. Pages come in
/// chunks, each by one pass over the page store's files, which costs less than as many single reads; a thread of its
/// own claims chunks ahead of the reader, and a reader that has caught up with it claims the next one itself, so that
/// two cores share the work. How far ahead grows with how far the reader has come: most runs are a row's few overflow
/// pages, and end at once.
/// <para>
/// A database that is read all over, and fits into memory that the cache has free, is brought in as a whole
/// (<see cref="Warming"/>): a page in a chunk costs a third of what one costs that is read by itself, and none of it is
/// waited for. Each miss that is not part of a run pays for two chunks, so it goes on only as long as it is of use.
/// </para>
/// </summary>
/// <remarks>
/// Nobody waits here for anybody: a page that is not there yet is simply read by itself. What is brought in is the
/// newest version, taken by the cache only while that stays the newest; so this can make reads faster, never different.
/// Thread-safe.
/// </remarks>
internal sealed class ReadAhead(PageCache cache, CacheFill fill) : IDisposable
{
    const int StreamsMax = 8;
    const int ChunkBytes = 256 << 10;
    const int ChunksAheadMax = 6;
    // What the second page of a run brings, and how much more the end of that.
    const uint FirstWindow = 4, FirstGrowth = 4;
    // A table's pages are mostly, not always, next to one another: those of its index's inner levels lie between.
    const uint GapMax = 4;
    // A database is warmed once it was jumped about in so often (once for every 64 of its pages, and more often than
    // opening it takes).
    const uint WarmingShare = 64, WarmingMissesMin = 32;
    // A stream whose chunks bring nothing (a writer changes the database all the time, or the cache is too small) is
    // given up.
    const int FruitlessMax = 4;

    /// <summary>
    /// One reader's way through a database, as far as it shows; or the way of a warming, which each miss allows to go
    /// on.
    /// </summary>
    internal sealed class Stream
    {
        public Database? Database;
        public bool IsWarming;
        // the first page that nobody has claimed; before the stream has begun, the page that would begin it
        public uint Next;
        public uint Position;           // where the reader was seen last
        // how many pages ahead of the reader; 0: one page was read, and nobody knows yet whether its neighbours will be
        public uint Window;
        public int Fruitless;
        public long Seen;
        public bool Queued;
    }

    readonly object gate = new();
    readonly Stream[] streams = CreateStreams();
    readonly Queue<Stream> queue = new();
    Thread? thread;
    long clock;
    bool stopping;

    static Stream[] CreateStreams()
    {
        var all = new Stream[StreamsMax];
        for (var i = 0; i < all.Length; i++) all[i] = new Stream();
        return all;
    }

    static uint PagesInChunk(int pageSize) => (uint)Math.Clamp(ChunkBytes / Math.Max(pageSize, 512), 4, 128);

    /// <summary>
    /// A page was not in the cache. True when it may be now: it continues a stream, and this thread has brought a chunk
    /// in.
    /// </summary>
    public bool OnMiss(Database database, uint page)
    {
        Stream stream;
        uint first, count;
        bool isFirst;
        lock (gate)
        {
            if (Find(database, page) is not { } found)
            {
                Warm(database);
                Begin(database, page);
                return false;
            }
            stream = found;
            stream.Seen = ++clock;
            stream.Position = page;
            isFirst = stream.Window == 0;
            if (isFirst)
            {
                // The second page in order: the stream begins here.
                stream.Next = page;
                stream.Window = FirstWindow;
            }
            else if (stream.Window == FirstWindow) stream.Window *= FirstGrowth;
            if (!TryClaim(stream, out first, out count)) return false;
            if (!isFirst) Enqueue(stream);
        }
        // The first chunk has no mark: only a reader that comes to its end goes on.
        BringIn(stream, first, count, marks: !isFirst);
        return true;
    }

    /// <summary>Under the gate: one more page of a database was missed that nothing led to.</summary>
    void Warm(Database database)
    {
        ref var warming = ref database.Warming;
        if (warming.HasEnded) return;
        var version = database.Current;
        if (++warming.Misses <= Math.Max(WarmingMissesMin, version.PageCount / WarmingShare)) return;
        if (warming.Stream is null)
        {
            if (version.SizeBytes > cache.FreeBytes) return;
            warming.Stream = new Stream { Database = database, IsWarming = true, Next = 1, Window = 1 };
        }
        if (warming.Stream.Next > version.PageCount) warming.HasEnded = true;
        // Two chunks from here.
        warming.Stream.Position = warming.Stream.Next + PagesInChunk(version.PageSize);
        Enqueue(warming.Stream);
    }

    /// <summary>A reader has reached a page that was marked when its chunk was brought in: time to go on.</summary>
    public void OnMark(Database database, uint page)
    {
        lock (gate)
        {
            if (Find(database, page) is not { Window: > 0 } stream) return;
            stream.Seen = ++clock;
            stream.Position = page;
            stream.Window = Math.Min(stream.Window * 2, ChunksAheadMax * PagesInChunk(database.Current.PageSize));
            Enqueue(stream);
        }
    }

    Stream? Find(Database database, uint page)
    {
        var chunk = PagesInChunk(database.Current.PageSize);
        foreach (var stream in streams)
        {
            if (!ReferenceEquals(stream.Database, database) || page > stream.Next + GapMax) continue;
            // Within what was claimed for it, or just after.
            if (page >= (stream.Window == 0 ? stream.Next : stream.Position - Math.Min(stream.Position, chunk)))
                return stream;
        }
        return null;
    }

    void Begin(Database database, uint page)
    {
        var oldest = streams[0];
        foreach (var stream in streams)
        {
            if (stream.Queued) continue;
            if (stream.Database is null)
            {
                oldest = stream;
                break;
            }
            if (oldest.Queued || stream.Seen < oldest.Seen) oldest = stream;
        }
        if (oldest.Queued) return;
        oldest.Database = database;
        oldest.Position = page;
        oldest.Next = page + 1;
        oldest.Window = 0;
        oldest.Fruitless = 0;
        oldest.Seen = ++clock;
    }

    /// <summary>
    /// Under the gate: the next chunk of a stream, unless it is far enough ahead of its reader or at the end.
    /// </summary>
    bool TryClaim(Stream stream, out uint first, out uint count)
    {
        first = count = 0;
        if (stopping || stream.Database is not { IsDeleted: false } database) return false;
        var version = database.Current;
        if (version.PageSize == 0 || stream.Window == 0) return false;
        var ahead = (uint)Math.Min(stream.Window, cache.BudgetBytes / 8 / version.PageSize);
        if (stream.Next > version.PageCount || stream.Next > stream.Position + ahead) return false;
        first = stream.Next;
        count = Math.Min(Math.Min(PagesInChunk(version.PageSize), stream.IsWarming ? uint.MaxValue : stream.Window),
            version.PageCount - first + 1);
        stream.Next = first + count;
        return true;
    }

    void Enqueue(Stream stream)
    {
        if (stream.Queued || stopping) return;
        stream.Queued = true;
        queue.Enqueue(stream);
        if (thread is null)
        {
            thread = new Thread(Run) { IsBackground = true, Name = "recovery-ahead" };
            thread.Start();
        }
        Monitor.Pulse(gate);
    }

    void Run()
    {
        while (true)
        {
            Stream stream;
            uint first, count;
            lock (gate)
            {
                while (queue.Count == 0)
                {
                    if (stopping) return;
                    Monitor.Wait(gate);
                }
                stream = queue.Peek();
                if (!TryClaim(stream, out first, out count))
                {
                    queue.Dequeue().Queued = false;
                    continue;
                }
                // The others take turns with it.
                queue.Dequeue();
                queue.Enqueue(stream);
            }
            try
            {
                BringIn(stream, first, count, marks: true);
            }
            catch (Exception e) when (e is RecoveryLog.RecoveryException or ObjectDisposedException)
            {
                // Whoever needs the page reads it and gets the error.
                GiveUp(stream);
            }
        }
    }

    void GiveUp(Stream stream)
    {
        lock (gate) stream.Database = null;
    }

    void BringIn(Stream stream, uint first, uint count, bool marks)
    {
        if (stream.Database is not { } database) return;
        if (stream.IsWarming)
        {
            var next = fill.BringIn(database, first, count, BringingIn.Warming).Next;
            // A commit came between, or the cache is full.
            if (next < first + count)
                lock (gate)
                    (stream.Next, database.Warming.HasEnded) = (next, cache.FreeBytes == 0);
            return;
        }
        var taken = fill.BringIn(database, first, count, marks ? BringingIn.AheadMarked : BringingIn.Ahead).Taken;
        if (taken > 0) stream.Fruitless = 0;
        else if (++stream.Fruitless >= FruitlessMax) GiveUp(stream);
    }

    /// <summary>Stops the thread; afterwards nothing is brought in any more.</summary>
    public void Dispose()
    {
        lock (gate)
        {
            stopping = true;
            queue.Clear();
            Monitor.PulseAll(gate);
        }
        Debug.Assert(thread != Thread.CurrentThread, "the read-ahead does not end itself");
        thread?.Join();
    }
}
