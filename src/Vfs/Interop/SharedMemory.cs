using System.Runtime.InteropServices;

namespace RecoveryVfs.Interop;

/// <summary>
/// The wal-index of one database: regions of memory that all connections of this process see, and its eight lock slots. It lives from
/// the first xShmMap to the last xShmUnmap; SQLite rebuilds it from the WAL.
/// </summary>
internal sealed unsafe class SharedMemory
{
    /// <summary>A wal-index of 16384 regions of 32 KiB covers 67 million frames, a WAL of more than 250 GiB.</summary>
    const int RegionsMax = 16384;

    readonly Lock gate = new();
    // How many handles share a slot; -1 when one has it alone.
    readonly int[] slots = new int[Sqlite.ShmSlots];
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
    public int Lock(int offset, int count, int flags, ref uint shared, ref uint exclusive)
    {
        if (offset < 0 || count < 1 || offset + count > Sqlite.ShmSlots) return Sqlite.Misuse;
        var mask = (1u << (offset + count)) - (1u << offset);
        lock (gate)
        {
            if ((flags & Sqlite.ShmUnlock) != 0)
            {
                Free(mask, ref shared, ref exclusive);
                return Sqlite.Ok;
            }
            var alone = (flags & Sqlite.ShmExclusive) != 0;
            for (var i = offset; i < offset + count; i++)
            {
                var bit = 1u << i;
                if (alone ? slots[i] != 0 && (exclusive & bit) == 0 : slots[i] < 0 && (exclusive & bit) == 0) return Sqlite.Busy;
            }
            for (var i = offset; i < offset + count; i++)
            {
                var bit = 1u << i;
                if (((shared | exclusive) & bit) != 0) continue;
                if (alone) slots[i] = -1;
                else slots[i]++;
            }
            if (alone) exclusive |= mask & ~shared;
            else shared |= mask & ~exclusive;
            return Sqlite.Ok;
        }
    }

    /// <summary>Gives back whatever a handle still holds.</summary>
    public void Release(ref uint shared, ref uint exclusive)
    {
        lock (gate) Free(~0u, ref shared, ref exclusive);
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
