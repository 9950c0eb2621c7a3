using System.Diagnostics;
using System.Runtime.InteropServices;
using RecoveryVfs.PageStore.Reading;

namespace RecoveryVfs.PageStore.Commits;

/// <summary>
/// The commits between the log and the page store, in LSN order, and an index to find the version of a page that a
/// reader needs. Bounded: writers wait when it is full. Thread-safe.
/// </summary>
internal sealed class PendingCommits(long budgetBytes) : IPendingPages
{
    // A commit of more pages than this is searched by itself instead of being indexed page by page.
    const int IndexedPagesMax = 1024;

    readonly object gate = new();
    readonly LinkedList<PendingCommit> commits = [];
    readonly Dictionary<ulong, PendingPage> index = [];
    readonly List<(ulong Lsn, PageOverlay Overlay)> large = [];
    // Commits that cut a database: what the page store still holds beyond the cut must not show through.
    readonly List<(ulong Lsn, Database Database, uint PagesLeft)> cuts = [];
    long bytes;
    int count;
    Exception? failure;
    int outcomes;   // of the applier's rounds, so far

    public long BudgetBytes => budgetBytes;
    public long Bytes => Volatile.Read(ref bytes);
    public int Count => Volatile.Read(ref count);

    static ulong KeyOf(uint database, uint page) => ((ulong)database << 32) | page;

    /// <summary>
    /// Blocks while more is pending than the budget allows; throws what keeps the applier from going on. An earlier
    /// failure may be over (somebody made room), so <paramref name="retry"/> starts a new attempt, and only the failure
    /// of that attempt is thrown.
    /// </summary>
    public void WaitForRoom(Action retry)
    {
        if (Bytes <= budgetBytes) return;
        int before;
        bool hasFailed;
        lock (gate) (before, hasFailed) = (outcomes, failure is not null);
        if (hasFailed) retry();
        lock (gate)
        {
            while (bytes > budgetBytes)
            {
                if (failure is not null && outcomes != before) throw failure;
                Monitor.Wait(gate);
            }
        }
    }

    /// <summary>Tells waiting writers that the page store takes nothing (null: that it does again).</summary>
    public void SetFailure(Exception? error)
    {
        lock (gate)
        {
            failure = error;
            outcomes++;
            Monitor.PulseAll(gate);
        }
    }

    public Exception? Failure { get { lock (gate) return failure; } }

    /// <summary>
    /// Adds a commit in LSN order (the caller serializes). It is not visible to readers before its version is
    /// published.
    /// </summary>
    public void Enqueue(PendingCommit commit)
    {
        lock (gate)
        {
            Debug.Assert(commits.Last is null || commits.Last.Value.Lsn < commit.Lsn,
                "commits are enqueued in LSN order");
            commits.AddLast(commit);
            count++;
            bytes += commit.PageBytes;
            foreach (ref readonly var part in commit.Parts.AsSpan())
            {
                if (part.Overlay is not { } overlay) continue;
                var left = overlay.IsRebase ? 0 : part.Version!.PageCount;
                if (left < overlay.Basis.PageCount) cuts.Add((commit.Lsn, part.Database, left));
                if (overlay.Pages.Count > IndexedPagesMax)
                {
                    large.Add((commit.Lsn, overlay));
                    continue;
                }
                foreach (var page in overlay.Pages)
                {
                    var key = KeyOf(part.Database.Id, page);
                    ref var newest = ref CollectionsMarshal.GetValueRefOrAddDefault(index, key, out _);
                    var entry = new PendingPage(key, commit.Lsn, overlay, newest, commit.Pages);
                    if (newest is not null) newest.Newer = entry;
                    newest = commit.Pages = entry;
                }
            }
        }
    }

    /// <summary>The commit that made a version which is not published.</summary>
    public PendingCommit? CommitOf(DatabaseVersion version)
    {
        lock (gate)
        {
            for (var node = commits.Last; node is not null && node.Value.Lsn >= version.Lsn; node = node.Previous)
                if (node.Value.Lsn == version.Lsn) return node.Value;
            return null;
        }
    }

    /// <summary>Wakes the applier's waiters after a commit became ready.</summary>
    public void Pulse()
    {
        lock (gate) Monitor.PulseAll(gate);
    }

    /// <summary>
    /// Copies bytes of the newest pending version of a page that is not newer than <paramref name="asOf"/>; false when
    /// there is none.
    /// </summary>
    public bool TryRead(Database database, ulong asOf, uint page, int within, Span<byte> destination)
    {
        if (Count == 0) return false;
        lock (gate)
        {
            var entry = index.GetValueOrDefault(KeyOf(database.Id, page));
            while (entry is not null && entry.Lsn > asOf) entry = entry.Older;
            var newest = entry?.Overlay;
            var newestLsn = entry?.Lsn ?? 0;
            foreach (var (lsn, overlay) in large)
            {
                if (lsn > asOf || lsn < newestLsn || !ReferenceEquals(overlay.Database, database)
                    || !overlay.Holds(page))
                    continue;
                newest = overlay;
                newestLsn = lsn;
            }
            foreach (var (lsn, cutDatabase, left) in cuts)
            {
                if (lsn > asOf || lsn <= newestLsn || page <= left || !ReferenceEquals(cutDatabase, database)) continue;
                destination.Clear();
                return true;
            }
            return newest is not null && newest.TryReadOwn(page, within, destination);
        }
    }

    /// <summary>
    /// Sets the flag of each page, from <paramref name="first"/> on, of which any version is pending, or a cut that
    /// hides it.
    /// </summary>
    public void MarkPending(Database database, uint first, Span<bool> flags)
    {
        if (Count == 0) return;
        lock (gate)
        {
            for (var i = 0; i < flags.Length; i++)
                flags[i] = index.ContainsKey(KeyOf(database.Id, first + (uint)i));
            foreach (var (_, overlay) in large)
                for (var i = 0; i < flags.Length && ReferenceEquals(overlay.Database, database); i++)
                    flags[i] |= overlay.Holds(first + (uint)i);
            foreach (var (_, cutDatabase, left) in cuts)
                for (var i = 0; i < flags.Length && ReferenceEquals(cutDatabase, database); i++)
                    flags[i] |= first + i > left;
        }
    }

    /// <inheritdoc/>
    public uint PagesOf(Database database, ulong lsn, HashSet<uint> into)
    {
        var last = uint.MaxValue;
        lock (gate)
        {
            foreach (var commit in commits)
                foreach (ref readonly var part in commit.Parts.AsSpan())
                    if (part.Overlay is { } overlay && ReferenceEquals(part.Database, database))
                        into.UnionWith(overlay.Pages);
            foreach (var (cutLsn, cutDatabase, left) in cuts)
                if (cutLsn <= lsn && ReferenceEquals(cutDatabase, database)) last = Math.Min(last, left);
        }
        return last;
    }

    /// <summary>
    /// The oldest ready commits up to about <paramref name="maxBytes"/> (at least one, when there is one), for the
    /// applier.
    /// </summary>
    public void TakeReady(long maxBytes, List<PendingCommit> into)
    {
        into.Clear();
        lock (gate)
        {
            long taken = 0;
            foreach (var commit in commits)
            {
                if (!commit.Ready || (taken > 0 && taken + commit.PageBytes > maxBytes)) break;
                taken += commit.PageBytes;
                into.Add(commit);
            }
        }
    }

    /// <summary>
    /// Forgets commits that have entered the page store: the oldest ones, in order. Frees their pages.
    /// </summary>
    public void Remove(IReadOnlyList<PendingCommit> applied)
    {
        lock (gate)
        {
            var last = applied[^1].Lsn;
            foreach (var commit in applied)
            {
                Debug.Assert(ReferenceEquals(commits.First!.Value, commit), "commits leave in LSN order");
                commits.RemoveFirst();
                count--;
                bytes -= commit.PageBytes;
                foreach (ref readonly var part in commit.Parts.AsSpan())
                {
                    if (part.Overlay is { } overlay && overlay.Pages.Count > IndexedPagesMax)
                        large.RemoveAll(l => ReferenceEquals(l.Overlay, overlay));
                }
                // Commits leave in order, so what leaves is the oldest of its page.
                for (var entry = commit.Pages; entry is not null; entry = entry.NextOfCommit)
                {
                    Debug.Assert(entry.Older is null, "the oldest version of a page leaves first");
                    if (entry.Newer is { } newer) newer.Older = null;
                    else index.Remove(entry.Key);
                }
                commit.Pages = null;
            }
            cuts.RemoveAll(c => c.Lsn <= last);
            Monitor.PulseAll(gate);
        }
        foreach (var commit in applied)
            foreach (ref readonly var part in commit.Parts.AsSpan()) part.Overlay?.ReleasePages();
    }

    /// <summary>Frees the pages of everything still pending (the store closes; what is here is in the log).</summary>
    public void Clear()
    {
        lock (gate)
        {
            foreach (var commit in commits)
                foreach (ref readonly var part in commit.Parts.AsSpan()) part.Overlay?.ReleasePages();
            commits.Clear();
            index.Clear();
            large.Clear();
            cuts.Clear();
            bytes = count = 0;
            Monitor.PulseAll(gate);
        }
    }
}
