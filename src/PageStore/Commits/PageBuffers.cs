using System.Runtime.InteropServices;
using RecoveryVfs.PageStore.Interop;

namespace RecoveryVfs.PageStore.Commits;

/// <summary>
/// Native memory for the pages of transactions, reused by size. Counts what is in use, so that overlays know when to
/// spill, and names the directory that they spill to.
/// Thread-safe.
/// </summary>
internal sealed unsafe class PageBuffers(long budgetBytes, string spillDirectory) : IDisposable
{
    // Two checkpoints of 1,000 pages: one is written while the one before is being brought into the page store.
    const long MaxKeptBytes = 8 << 20;

    readonly Lock gate = new();
    readonly Dictionary<int, Stack<nint>> free = [];
    long usedBytes, keptBytes;
    bool disposed;

    /// <summary>What open transactions may hold in memory together before they spill.</summary>
    public long BudgetBytes => budgetBytes;

    /// <summary>Where scratch files go that hold what memory does not.</summary>
    public string SpillDirectory => spillDirectory;

    /// <summary>What is handed out now.</summary>
    public long UsedBytes => Volatile.Read(ref usedBytes);

    /// <summary>Whether transactions hold more than they should.</summary>
    public bool IsOverBudget => UsedBytes > budgetBytes;

    public byte* Rent(int size)
    {
        Interlocked.Add(ref usedBytes, size);
        lock (gate)
        {
            if (free.TryGetValue(size, out var stack) && stack.TryPop(out var kept))
            {
                keptBytes -= size;
                return (byte*)kept;
            }
        }
        return (byte*)NativeMemory.Alloc((nuint)size);
    }

    public void Return(byte* buffer, int size)
    {
        Interlocked.Add(ref usedBytes, -size);
        lock (gate)
        {
            if (!disposed && keptBytes + size <= MaxKeptBytes)
            {
                if (!free.TryGetValue(size, out var stack)) free[size] = stack = new Stack<nint>();
                stack.Push((nint)buffer);
                keptBytes += size;
                return;
            }
        }
        NativeMemory.Free(buffer);
    }

    public void Dispose()
    {
        lock (gate)
        {
            disposed = true;
            foreach (var stack in free.Values)
                while (stack.TryPop(out var kept)) NativeMemory.Free((void*)kept);
        }
    }
}
