namespace RecoveryVfs.Opening;

/// <summary>
/// The lock that a handle has on its database, how it came by it, and how it is counted there. Changed by the handle's
/// thread, under the database's gate.
/// </summary>
internal sealed class HeldLock(OpenDatabase open)
{
    // Counted among the readers that hold writers off.
    bool isCounted;

    public LockLevel Level { get; private set; }

    /// <summary>
    /// EXCLUSIVE was reached through RESERVED: the transaction ends with COMMIT_PHASETWO, or is rolled back.
    /// </summary>
    public bool IsViaReserved { get; private set; }

    /// <summary>
    /// EXCLUSIVE was taken while a WAL may have been in use: nobody gets SHARED until it is released.
    /// </summary>
    public bool IsHard { get; private set; }

    /// <summary>
    /// As a reader it holds writers off, as a writer it keeps readers out (<c>isolation=locking</c>).
    /// </summary>
    public bool IsLocking { get; private set; }

    /// <summary>Takes SHARED; with <paramref name="isLocking"/>, writers wait for it.</summary>
    public void Share(bool isLocking)
    {
        open.Readers++;
        isCounted = IsLocking = isLocking;
        if (isLocking) open.LockingReaders++;
        Level = LockLevel.Shared;
    }

    /// <summary>Takes RESERVED, which the caller has found free.</summary>
    public void Reserve()
    {
        Level = LockLevel.Reserved;
        IsViaReserved = true;
    }

    /// <summary>Takes EXCLUSIVE; PENDING, and false, while there are readers that it has to wait for.</summary>
    public bool TryExclude(bool isWalRegime, bool isLocking)
    {
        IsLocking = isLocking;
        var waits = isWalRegime || isLocking ? open.Readers > 1 : open.LockingReaders > (isCounted ? 1 : 0);
        Level = waits ? LockLevel.Pending : LockLevel.Exclusive;
        IsHard = isWalRegime;
        return !waits;
    }

    /// <summary>Falls to a lower level, but not altogether.</summary>
    public void FallTo(LockLevel level) => Level = level;

    /// <summary>The writer's place was given up.</summary>
    public void EndWriting() => IsViaReserved = IsHard = false;

    /// <summary>Leaves altogether.</summary>
    public void Leave()
    {
        Level = LockLevel.None;
        open.Readers--;
        if (isCounted) open.LockingReaders--;
        isCounted = IsLocking = false;
    }
}
