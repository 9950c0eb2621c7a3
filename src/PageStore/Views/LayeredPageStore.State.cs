using System.Buffers;
using System.Collections.Immutable;
using RecoveryVfs.PageStore.Commits;
using RecoveryVfs.PageStore.Pages;
using RecoveryVfs.PageStore.Rocks;
using RecoveryVfs.RecoveryLog.Remote.Collect;

namespace RecoveryVfs.PageStore.Views;

// The immutable states, and what refers to them.
internal sealed partial class LayeredPageStore
{
    static ulong KeyOf(uint database, uint page) => (ulong)database << 32 | page;

    /// <summary>
    /// A page above: its place in the temporary file, and the LSN as of which it is so. Ordered by key alone.
    /// </summary>
    readonly record struct Entry(ulong Key, long At, int Length, ulong Lsn) : IComparable<Entry>
    {
        public int CompareTo(Entry other) => Key.CompareTo(other.Key);
    }

    /// <summary>A range of which nothing below shows through.</summary>
    readonly record struct Cut(ulong First, ulong Last, ulong Lsn);

    /// <summary>Files below, closed when neither a state nor a snapshot needs them.</summary>
    sealed class LowerStore(RocksPageStore pages)
    {
        int users = 1;

        public RocksPageStore Pages => pages;

        public bool TryKeep()
        {
            for (var seen = Volatile.Read(ref users); seen > 0;)
            {
                var before = Interlocked.CompareExchange(ref users, seen + 1, seen);
                if (before == seen) return true;
                seen = before;
            }
            return false;
        }

        public void Release()
        {
            if (Interlocked.Decrement(ref users) == 0) pages.Dispose();
        }
    }

    sealed record State(LowerStore? Below, ImmutableSortedSet<Entry> Above, ImmutableArray<Cut> Cuts, SpillFile? Spill,
        long AboveBytes, ulong Applied)
    {
        public bool TryKeep() => Below is null || Below.TryKeep();

        public int Read(uint database, uint page, Span<byte> destination)
        {
            var key = KeyOf(database, page);
            if (Above.TryGetValue(new Entry(key, 0, 0, 0), out var entry))
            {
                Spill!.ReadAt(entry.At, destination[..Math.Min(entry.Length, destination.Length)]);
                return entry.Length;
            }
            return Below is null || IsCut(key) ? -1 : Below.Pages.Read(database, page, null, destination);
        }

        bool IsCut(ulong key)
        {
            foreach (var cut in Cuts)
                if (key >= cut.First && key <= cut.Last) return true;
            return false;
        }

        public void Scan(uint database, uint firstPage, uint lastPage, PageScanned onPage)
        {
            using var above = Within(Above, KeyOf(database, firstPage), KeyOf(database, lastPage)).GetEnumerator();
            var hasMore = above.MoveNext();
            var stopped = false;
            var buffer = ArrayPool<byte>.Shared.Rent(65536);
            bool Give(Entry entry)
            {
                var bytes = buffer.AsSpan(0, entry.Length);
                Spill!.ReadAt(entry.At, bytes);
                return onPage((uint)entry.Key, bytes);
            }
            try
            {
                Below?.Pages.Scan(database, firstPage, lastPage, null, (page, bytes) =>
                {
                    var key = KeyOf(database, page);
                    while (hasMore && above.Current.Key < key)
                    {
                        if (!Give(above.Current)) return !(stopped = true);
                        hasMore = above.MoveNext();
                    }
                    if (hasMore && above.Current.Key == key || IsCut(key) || onPage(page, bytes)) return true;
                    stopped = true;
                    return false;
                });
                for (; hasMore && !stopped; hasMore = above.MoveNext())
                    if (!Give(above.Current)) return;
            }
            finally
            {
                ArrayPool<byte>.Shared.Return(buffer);
            }
        }
    }

    sealed class Pin(State pinned) : IPageSnapshot
    {
        State? state = pinned;

        public State State => state ?? throw new ObjectDisposedException(nameof(IPageSnapshot));

        public ulong Applied => State.Applied;

        public void Dispose() => Interlocked.Exchange(ref state, null)?.Below?.Release();
    }

    /// <summary>
    /// In order: a page with where its bytes are, or (of length 0) the first and last key of a removed range.
    /// </summary>
    sealed class Batch : IPageBatch
    {
        byte[] bytes = [];
        int used;

        public List<(ulong Key, ulong Last, int At, int Length)> Changes { get; } = [];

        public byte[] Bytes => bytes;

        public long SizeBytes => used + 24L * Changes.Count;

        public void Put(uint database, uint page, ReadOnlySpan<byte> value)
        {
            PageLimits.Check(database);
            PageLimits.CheckValue(value.Length);
            if (used + value.Length > bytes.Length)
                Array.Resize(ref bytes, Math.Max(bytes.Length * 2, used + Math.Max(value.Length, 64 << 10)));
            value.CopyTo(bytes.AsSpan(used));
            Changes.Add((KeyOf(database, page), 0, used, value.Length));
            used += value.Length;
        }

        public void DeleteRange(uint database, uint firstPage, uint lastPage)
        {
            PageLimits.Check(database);
            if (firstPage <= lastPage) Changes.Add((KeyOf(database, firstPage), KeyOf(database, lastPage), 0, 0));
        }

        public void Clear()
        {
            Changes.Clear();
            used = 0;
            if (bytes.Length > 16 << 20) bytes = [];
        }

        public void Dispose() => Clear();
    }
}
