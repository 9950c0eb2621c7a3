using System.Collections.Immutable;
using System.Diagnostics;
using RecoveryVfs.PageStore.Commits;
using RecoveryVfs.PageStore.Pages;
using RecoveryVfs.PageStore.Rocks;
using RecoveryVfs.RecoveryLog.Remote.Collect;

namespace RecoveryVfs.PageStore.Views;

/// <summary>
/// What is in another process's RocksDB files, below, and what was committed since, above: the pages of a store that is
/// only read here. Pages above are in an unlinked temporary file, their places in memory. When the files below have
/// gone on, <see cref="Rebase"/> takes the newer ones and lets go of what they hold.
/// </summary>
/// <remarks>
/// A state is immutable, and a snapshot is a reference to one that keeps its files below open. Every page above, and
/// every removed range, says as of which LSN it is so: files below that hold commits up to A make those up to A
/// superfluous.
/// </remarks>
internal sealed partial class LayeredPageStore : IPageStore
{
    // Garbage in the temporary file that is not worth the copying.
    const long GarbageMin = 16 << 20;
    // The LSN of what belongs to a commit whose last batch has not come yet.
    const ulong Unfinished = ulong.MaxValue;

    readonly string spillDirectory;
    readonly List<ulong> unfinished = [];
    State state;
    ulong persisted;
    long unflushedBytes;

    /// <param name="below">Opened for reading only, and owned; null for none.</param>
    /// <param name="spillDirectory">Where the temporary file is made.</param>
    public LayeredPageStore(RocksPageStore? below, string spillDirectory)
    {
        this.spillDirectory = spillDirectory;
        state = new State(below is null ? null : new LowerStore(below), [], [], null, 0, below?.Applied ?? 0);
        persisted = state.Applied;
    }

    /// <inheritdoc/>
    public ulong Applied => Volatile.Read(ref state).Applied;

    /// <inheritdoc/>
    public ulong PersistedApplied => Volatile.Read(ref persisted);

    /// <inheritdoc/>
    public long UnflushedBytes => Volatile.Read(ref unflushedBytes);

    /// <summary>Bytes of the pages above.</summary>
    public long AboveBytes => Volatile.Read(ref state).AboveBytes;

    /// <summary>Whether the files below have gone on since they were opened.</summary>
    public bool IsStale(string directory) => Volatile.Read(ref state).Below is { } below
        ? below.Pages.IsStale
        : File.Exists(Path.Combine(directory, "CURRENT"));

    /// <inheritdoc/>
    public int Read(uint database, uint page, IPageSnapshot? snapshot, Span<byte> destination)
    {
        if (snapshot is not null) return ((Pin)snapshot).State.Read(database, page, destination);
        while (true)
        {
            var current = Volatile.Read(ref state);
            try
            {
                return current.Read(database, page, destination);
            }
            catch (ObjectDisposedException) when (!ReferenceEquals(current, Volatile.Read(ref state)))
            {
                // Its files below were replaced; the new state shows the same.
            }
        }
    }

    /// <inheritdoc/>
    public IPageSnapshot Snapshot()
    {
        while (true)
            if (Volatile.Read(ref state) is var current && current.TryKeep()) return new Pin(current);
    }

    /// <inheritdoc/>
    public void Scan(uint database, uint firstPage, uint lastPage, IPageSnapshot? snapshot, PageScanned onPage)
    {
        if (firstPage > lastPage) return;
        // A scan takes a while: it holds what it reads.
        using var held = snapshot is null ? Snapshot() : null;
        ((Pin)(snapshot ?? held!)).State.Scan(database, firstPage, lastPage, onPage);
    }

    /// <inheritdoc/>
    public IPageBatch CreateBatch() => new Batch();

    /// <inheritdoc/>
    public void Apply(IPageBatch batch, ulong? applied)
    {
        var changes = (Batch)batch;
        Debug.Assert(applied is null || applied >= Applied, "LSNs are applied in order");
        var before = state;
        var above = before.Above.ToBuilder();
        var cuts = before.Cuts;
        var bytes = before.AboveBytes;
        var spill = before.Spill ?? new SpillFile(spillDirectory);
        var lsn = applied ?? Unfinished;
        foreach (var (key, last, at, length) in changes.Changes)
        {
            if (length > 0)
            {
                bytes += Put(above, new Entry(key, spill.Append(changes.Bytes.AsSpan(at, length)), length, lsn));
                if (applied is null) unfinished.Add(key);
            }
            else
            {
                bytes -= Remove(above, key, last);
                cuts = cuts.RemoveAll(c => c.First >= key && c.Last <= last).Add(new Cut(key, last, lsn));
            }
        }
        if (applied is not null) cuts = Finished(above, cuts, lsn);
        Volatile.Write(ref state,
            Compacted(before with
            {
                Above = above.ToImmutable(),
                Cuts = cuts,
                AboveBytes = bytes,
                Spill = spill,
                Applied = applied ?? before.Applied
            }));
        Volatile.Write(ref unflushedBytes, unflushedBytes + changes.SizeBytes);
        changes.Clear();
    }

    /// <summary>Puts an entry in the place of the one with its key; returns how many bytes more there are.</summary>
    static long Put(ImmutableSortedSet<Entry>.Builder above, Entry entry)
    {
        long more = entry.Length;
        if (above.TryGetValue(entry, out var old))
        {
            more -= old.Length;
            above.Remove(entry);
        }
        above.Add(entry);
        return more;
    }

    /// <summary>Takes the entries of a range away; returns how many bytes they had.</summary>
    static long Remove(ImmutableSortedSet<Entry>.Builder above, ulong first, ulong last)
    {
        var bytes = 0L;
        foreach (var gone in Within(above.ToImmutable(), first, last))
        {
            above.Remove(gone);
            bytes += gone.Length;
        }
        return bytes;
    }

    /// <summary>What was applied before its LSN was known has it now; returns the cuts with it.</summary>
    ImmutableArray<Cut> Finished(ImmutableSortedSet<Entry>.Builder above, ImmutableArray<Cut> cuts, ulong lsn)
    {
        if (unfinished.Count == 0 && !cuts.Any(c => c.Lsn == Unfinished)) return cuts;
        foreach (var key in unfinished)
            if (above.TryGetValue(new Entry(key, 0, 0, 0), out var entry) && entry.Lsn == Unfinished)
            {
                above.Remove(entry);
                above.Add(entry with { Lsn = lsn });
            }
        unfinished.Clear();
        return [.. cuts.Select(c => c.Lsn == Unfinished ? c with { Lsn = lsn } : c)];
    }

    /// <summary>
    /// Takes newer files below, whose commits are all in this state already, and lets go of what they make superfluous.
    /// Called by the thread that applies. The files that were below close when no snapshot needs them.
    /// </summary>
    public void Rebase(RocksPageStore newer)
    {
        Debug.Assert(newer.Applied <= Applied && unfinished.Count == 0, "nothing below is newer than what is shown");
        var before = state;
        var lsn = newer.Applied;
        var above = ImmutableSortedSet.CreateRange(before.Above.Where(e => e.Lsn > lsn));
        var after = before with
        {
            Below = new LowerStore(newer),
            Above = above,
            Cuts = before.Cuts.RemoveAll(c => c.Lsn <= lsn),
            AboveBytes = above.Sum(e => (long)e.Length),
        };
        Volatile.Write(ref state, Compacted(after));
        before.Below?.Release();
    }

    /// <summary>The same state, in a new temporary file when most of the old one is garbage.</summary>
    State Compacted(State full)
    {
        if (full.Spill is not { } old || old.SizeBytes < GarbageMin || old.SizeBytes < 2 * full.AboveBytes) return full;
        var fresh = new SpillFile(spillDirectory);
        var buffer = new byte[65536];
        var above = full.Above.ToBuilder();
        foreach (var entry in full.Above)
        {
            var bytes = buffer.AsSpan(0, entry.Length);
            old.ReadAt(entry.At, bytes);
            above.Remove(entry);
            above.Add(entry with { At = fresh.Append(bytes) });
        }
        // The old one goes with the last state that reads it.
        return full with { Above = above.ToImmutable(), Spill = fresh };
    }

    /// <inheritdoc/>
    /// <remarks>Nothing here is ever replayed from: there is nothing to do.</remarks>
    public void Flush()
    {
        Volatile.Write(ref persisted, Applied);
        Volatile.Write(ref unflushedBytes, 0);
    }

    /// <inheritdoc/>
    public bool CollectGarbage(CancellationToken cancellation) => false;

    /// <inheritdoc/>
    public bool Compact(CancellationToken cancellation) => true; // The files are the writing process's.

    /// <inheritdoc/>
    public IReadOnlyDictionary<string, long> Statistics()
    {
        var now = Volatile.Read(ref state);
        return new Dictionary<string, long>
        {
            ["files_lsn"] = (long)(now.Below?.Pages.Applied ?? 0),
            ["pages_above_files"] = now.Above.Count,
            ["bytes_above_files"] = now.AboveBytes,
        };
    }

    /// <summary>Closes what no snapshot holds.</summary>
    public void Dispose()
    {
        var last = Interlocked.Exchange(ref state, new State(null, [], [], null, 0, 0));
        last.Below?.Release();
        last.Spill?.Dispose();
    }

    static IEnumerable<Entry> Within(ImmutableSortedSet<Entry> above, ulong first, ulong last)
    {
        var at = above.IndexOf(new Entry(first, 0, 0, 0));
        for (var i = at < 0 ? ~at : at; i < above.Count && above[i].Key <= last; i++) yield return above[i];
    }
}
