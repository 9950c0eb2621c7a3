using System.Collections.Immutable;
using System.Diagnostics;
using RecoveryVfs.RecoveryLog.Remote.Collect;

namespace RecoveryVfs.PageStore.Pages;

/// <summary>
/// Pages in memory, for tests and small databases that need not stay. A state is an immutable sorted set; a snapshot is
/// a reference to one, a read takes no lock.
/// </summary>
internal sealed class MemoryPageStore : IPageStore
{
    sealed record State(ImmutableSortedSet<Entry> Pages, ulong Applied);

    /// <summary>Ordered by key alone, which is (database, page) in one number.</summary>
    readonly record struct Entry(ulong Key, byte[]? Value) : IComparable<Entry>
    {
        public Entry(uint database, uint page, byte[]? value = null) : this((ulong)database << 32 | page, value)
        {
        }

        public int CompareTo(Entry other) => Key.CompareTo(other.Key);
    }

    readonly Lock gate = new();
    State state = new([], 0);
    ulong persisted;
    long unflushedBytes;

    /// <inheritdoc/>
    public ulong Applied => Volatile.Read(ref state).Applied;

    /// <inheritdoc/>
    public ulong PersistedApplied => Volatile.Read(ref persisted);

    /// <inheritdoc/>
    public long UnflushedBytes => Volatile.Read(ref unflushedBytes);

    /// <inheritdoc/>
    public int Read(uint database, uint page, IPageSnapshot? snapshot, Span<byte> destination)
    {
        if (!At(snapshot).Pages.TryGetValue(new Entry(database, page), out var found))
            return -1;
        var value = found.Value!;
        value.AsSpan(0, Math.Min(value.Length, destination.Length)).CopyTo(destination);
        return value.Length;
    }

    /// <inheritdoc/>
    public IPageSnapshot Snapshot() => new Pin(Volatile.Read(ref state));

    /// <inheritdoc/>
    public void Scan(uint database, uint firstPage, uint lastPage, IPageSnapshot? snapshot, PageScanned onPage)
    {
        var pages = At(snapshot).Pages;
        var (first, end) = Range(pages, database, firstPage, lastPage);
        for (var i = first; i < end; i++)
            if (pages[i] is var entry && !onPage((uint)entry.Key, entry.Value))
                return;
    }

    /// <inheritdoc/>
    public IPageBatch CreateBatch() => new Batch();

    /// <inheritdoc/>
    public void Apply(IPageBatch batch, ulong? applied)
    {
        var changes = (Batch)batch;
        lock (gate)
        {
            Debug.Assert(applied is null || applied >= state.Applied, "LSNs are applied in order");
            var pages = state.Pages.ToBuilder();
            foreach (var (change, last) in changes.Changes)
            {
                if (change.Value is null)
                {
                    RemoveRange(pages, change, last);
                }
                else
                {
                    pages.Remove(change);
                    pages.Add(change);
                }
            }
            Volatile.Write(ref state, new State(pages.ToImmutable(), applied ?? state.Applied));
            Volatile.Write(ref unflushedBytes, unflushedBytes + changes.SizeBytes);
        }
        changes.Clear();
    }

    /// <inheritdoc/>
    public void Flush()
    {
        lock (gate)
        {
            Volatile.Write(ref persisted, state.Applied);
            Volatile.Write(ref unflushedBytes, 0);
        }
    }

    /// <inheritdoc/>
    public bool CollectGarbage(CancellationToken cancellation) => false;

    /// <inheritdoc/>
    public bool Compact(CancellationToken cancellation) => true;

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, long> Statistics() => new Dictionary<string, long>
    {
        ["pages"] = Volatile.Read(ref state).Pages.Count,
        ["unflushed_bytes"] = UnflushedBytes,
    };

    /// <summary>Forgets everything.</summary>
    public void Dispose() => Volatile.Write(ref state, new State([], 0));

    State At(IPageSnapshot? snapshot) => snapshot is null ? Volatile.Read(ref state) : ((Pin)snapshot).State;

    static (int First, int End) Range(ImmutableSortedSet<Entry> pages, uint database, uint firstPage, uint lastPage)
    {
        if (firstPage > lastPage)
            return (0, 0);
        var first = pages.IndexOf(new Entry(database, firstPage));
        var last = pages.IndexOf(new Entry(database, lastPage));
        return (first < 0 ? ~first : first, last < 0 ? ~last : last + 1);
    }

    static void RemoveRange(ImmutableSortedSet<Entry>.Builder pages, Entry from, ulong last)
    {
        var known = pages.ToImmutable();
        var (first, end) = Range(known, (uint)(from.Key >> 32), (uint)from.Key, (uint)last);
        for (var i = first; i < end; i++)
            pages.Remove(known[i]);
    }

    sealed class Pin(State pinned) : IPageSnapshot
    {
        State? state = pinned;

        public State State => state ?? throw new ObjectDisposedException(nameof(IPageSnapshot));

        public ulong Applied => State.Applied;

        public void Dispose() => state = null;
    }

    sealed class Batch : IPageBatch
    {
        /// <summary>
        /// In order: a page with its value, or without one the first of a removed range, with the range's last key.
        /// </summary>
        public List<(Entry Change, ulong Last)> Changes { get; } = [];

        public long SizeBytes { get; private set; }

        public void Put(uint database, uint page, ReadOnlySpan<byte> value)
        {
            PageLimits.Check(database);
            PageLimits.CheckValue(value.Length);
            var entry = new Entry(database, page, value.ToArray());
            Changes.Add((entry, entry.Key));
            SizeBytes += 16 + value.Length;
        }

        public void DeleteRange(uint database, uint firstPage, uint lastPage)
        {
            PageLimits.Check(database);
            if (firstPage > lastPage)
                return;
            Changes.Add((new Entry(database, firstPage), new Entry(database, lastPage).Key));
            SizeBytes += 24;
        }

        public void Clear()
        {
            Changes.Clear();
            SizeBytes = 0;
        }

        public void Dispose() => Clear();
    }
}
