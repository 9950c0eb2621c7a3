using System.Diagnostics;

namespace RecoveryVfs.PageStore;

/// <summary>
/// Brings pages into the page cache before they are asked for, when a database is read in page order. Pages come in chunks, each by one
/// pass over the page store's files, which costs less than as many single reads; a thread of its own claims chunks ahead of the
/// reader, and a reader that has caught up with it claims the next one itself, so that two cores share the work.
/// </summary>
/// <remarks>
/// Nobody waits here for anybody: a page that is not there yet is simply read by itself. What is brought in is the newest version, taken by
/// the cache only while that stays the newest; so this can make reads faster, never different. Thread-safe.
/// </remarks>
internal sealed class ReadAhead(Store store) : IDisposable
{
    const int StreamsMax = 8;
    const int ChunkBytes = 256 << 10;
    const int ChunksAheadMax = 6;
    // A table's pages are mostly, not always, next to one another: those of its index's inner levels lie between.
    const uint GapMax = 4;
    // A stream whose chunks bring nothing (a writer changes the database all the time, or the cache is too small) is given up.
    const int FruitlessMax = 4;

    /// <summary>One reader's way through a database, as far as it shows.</summary>
    sealed class Stream
    {
        public Database? Database;
        public uint Next;               // the first page that nobody has claimed; before the stream has begun, the page that would begin it
        public uint Position;           // where the reader was seen last
        public int ChunksAhead;         // 0: one page was read, and nobody knows yet whether its neighbours will be
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

    static uint PagesInChunk(int pageSize) => (uint)Math.Clamp(ChunkBytes / pageSize, 4, 128);

    /// <summary>
    /// A page was not in the cache. True when it may be now: it continues a stream, and this thread has brought a chunk in.
    /// </summary>
    public bool OnMiss(Database database, uint page)
    {
        Stream stream;
        uint first, count;
        lock (gate)
        {
            if (Find(database, page) is not { } found)
            {
                Begin(database, page);
                return false;
            }
            stream = found;
            stream.Seen = ++clock;
            stream.Position = page;
            if (stream.ChunksAhead == 0)
            {
                // The second page in order: the stream begins here.
                stream.Next = page;
                stream.ChunksAhead = 1;
            }
            if (!TryClaim(stream, out first, out count)) return false;
            Enqueue(stream);
        }
        BringIn(stream, first, count);
        return true;
    }

    /// <summary>A reader has reached a page that was marked when its chunk was brought in: time to go on.</summary>
    public void OnMark(Database database, uint page)
    {
        lock (gate)
        {
            if (Find(database, page) is not { ChunksAhead: > 0 } stream) return;
            stream.Seen = ++clock;
            stream.Position = page;
            stream.ChunksAhead = Math.Min(stream.ChunksAhead * 2, ChunksAheadMax);
            Enqueue(stream);
        }
    }

    /// <summary>Forgets a database that is deleted or replaced.</summary>
    public void Forget(Database database)
    {
        lock (gate)
            foreach (var stream in streams)
                if (ReferenceEquals(stream.Database, database)) stream.Database = null;
    }

    Stream? Find(Database database, uint page)
    {
        var chunk = PagesInChunk(database.Current.PageSize is var size and > 0 ? size : 4096);
        foreach (var stream in streams)
        {
            if (!ReferenceEquals(stream.Database, database) || page > stream.Next + GapMax) continue;
            // Within what was claimed for it, or just after.
            if (page >= (stream.ChunksAhead == 0 ? stream.Next : stream.Position - Math.Min(stream.Position, chunk))) return stream;
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
        oldest.ChunksAhead = 0;
        oldest.Fruitless = 0;
        oldest.Seen = ++clock;
    }

    /// <summary>Under the gate: the next chunk of a stream, unless it is far enough ahead of its reader or at the end.</summary>
    bool TryClaim(Stream stream, out uint first, out uint count)
    {
        first = count = 0;
        if (stopping || stream.Database is not { IsDeleted: false } database) return false;
        var version = database.Current;
        if (version.PageSize == 0 || stream.ChunksAhead == 0) return false;
        var chunk = PagesInChunk(version.PageSize);
        var ahead = (uint)Math.Min(stream.ChunksAhead * chunk, store.Cache.BudgetBytes / 8 / version.PageSize);
        if (stream.Next > version.PageCount || stream.Next > stream.Position + ahead) return false;
        first = stream.Next;
        count = Math.Min(chunk, version.PageCount - first + 1);
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
                BringIn(stream, first, count);
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

    void BringIn(Stream stream, uint first, uint count)
    {
        if (stream.Database is not { } database) return;
        var taken = store.BringIn(database, first, count);
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
