using System.Runtime.InteropServices;

namespace RecoveryVfs.Memory;

/// <summary>
/// The wal-index of one database: regions of memory that all connections of this process see, and its eight lock slots.
/// It lives from the first xShmMap to the last xShmUnmap; SQLite rebuilds it from the WAL.
/// </summary>
internal sealed unsafe class SharedMemory
{
    /// <summary>A wal-index of 16384 regions of 32 KiB covers 67 million frames, a WAL of more than 250 GiB.</summary>
    const int RegionsMax = 16384;

    /// <summary>
    /// SQLite's slots: that of the one who checkpoints, and those of the readers who read from the WAL.
    /// </summary>
    const int CheckpointSlot = 1, FirstWalReaderSlot = 4, WalReaderSlots = 4;

    /// <summary>
    /// A WAL is begun anew in memory alone, within microseconds; who waited longer than this is told that it is busy.
    /// </summary>
    static readonly TimeSpan beginningAnewMax = TimeSpan.FromSeconds(2);

    readonly Lock gate = new();
    // How many handles share a slot; -1 when one has it alone.
    readonly int[] slots = new int[Sqlite.ShmSlots];
    // Whether a writer holds the WAL's readers off to begin the WAL anew; guarded by the gate.
    bool beginsAnew;
    // Regions never move while mapped, since SQLite keeps their addresses.
    readonly List<nint> regions = [];

    /// <summary>Handles that have it mapped; guarded by the database's gate.</summary>
    public int References;

    /// <summary>The address of a region; 0 when it does not exist and is not to be made.</summary>
    public int Map(int region, int sizeBytes, bool extend, out nint address)
    {
        lock (gate)
        {
            address = 0;
            if (region >= RegionsMax) return Sqlite.IoErrShmSize;
            while (extend && regions.Count <= region) regions.Add((nint)NativeMemory.AllocZeroed((nuint)sizeBytes));
            if (region < regions.Count) address = regions[region];
            return Sqlite.Ok;
        }
    }

    /// <summary>Takes or gives back slots for a handle, whose own holds are two bit masks.</summary>
    /// <remarks>
    /// A WAL does not begin anew while another connection checkpoints it, and the other way round. SQLite up to 3.51.2
    /// allows both together, and then loses commits: the checkpoint has read the index's header before, takes its old
    /// length for that of the new WAL, and marks frames as copied that do not exist yet. They are never copied once
    /// they do. A writer that is refused here appends to the WAL instead.
    /// </remarks>
    public int Lock(int offset, int count, int flags, ref uint shared, ref uint exclusive)
    {
        if (offset < 0 || count < 1 || offset + count > Sqlite.ShmSlots) return Sqlite.Misuse;
        var mask = (1u << (offset + count)) - (1u << offset);
        if ((flags & Sqlite.ShmUnlock) != 0)
        {
            Release(mask, ref shared, ref exclusive);
            return Sqlite.Ok;
        }
        var alone = (flags & Sqlite.ShmExclusive) != 0;
        if (alone && offset == CheckpointSlot) AwaitBeginning();
        lock (gate)
        {
            if (alone && offset == CheckpointSlot && beginsAnew) return Sqlite.Busy;
            var anew = alone && offset == FirstWalReaderSlot && count == WalReaderSlots
                && (exclusive & 1u << CheckpointSlot) == 0;
            if (anew && slots[CheckpointSlot] != 0) return Sqlite.Busy;
            if (!Take(mask, alone, ref shared, ref exclusive)) return Sqlite.Busy;
            beginsAnew |= anew;
            return Sqlite.Ok;
        }
    }

    void AwaitBeginning()
    {
        if (!Volatile.Read(ref beginsAnew)) return;
        var wait = new SpinWait();
        for (var end = Environment.TickCount64 + (long)beginningAnewMax.TotalMilliseconds;
            Volatile.Read(ref beginsAnew) && Environment.TickCount64 < end;)
            wait.SpinOnce();
    }

    /// <summary>Takes all of the slots, or none. Called under the gate.</summary>
    bool Take(uint mask, bool alone, ref uint shared, ref uint exclusive)
    {
        for (var i = 0; i < slots.Length; i++)
        {
            var bit = 1u << i;
            if ((mask & bit) != 0 && (exclusive & bit) == 0 && (alone ? slots[i] != 0 : slots[i] < 0)) return false;
        }
        for (var i = 0; i < slots.Length; i++)
        {
            var bit = 1u << i;
            if ((mask & bit) == 0 || ((shared | exclusive) & bit) != 0) continue;
            if (alone) slots[i] = -1;
            else slots[i]++;
        }
        if (alone) exclusive |= mask & ~shared;
        else shared |= mask & ~exclusive;
        return true;
    }

    /// <summary>Gives back whatever a handle still holds.</summary>
    public void Release(ref uint shared, ref uint exclusive) => Release(~0u, ref shared, ref exclusive);

    void Release(uint mask, ref uint shared, ref uint exclusive)
    {
        lock (gate)
        {
            if ((exclusive & mask & 1u << FirstWalReaderSlot) != 0) beginsAnew = false;
            Free(mask, ref shared, ref exclusive);
        }
    }

    void Free(uint mask, ref uint shared, ref uint exclusive)
    {
        for (var i = 0; i < slots.Length; i++)
        {
            var bit = 1u << i;
            if ((mask & bit) == 0) continue;
            if ((exclusive & bit) != 0) slots[i] = 0;
            else if ((shared & bit) != 0) slots[i]--;
        }
        exclusive &= ~mask;
        shared &= ~mask;
    }

    /// <summary>Frees the regions. Called when nobody has it mapped.</summary>
    public void Free()
    {
        foreach (var region in regions) NativeMemory.Free((void*)region);
        regions.Clear();
    }
}
