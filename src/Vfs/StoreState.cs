namespace RecoveryVfs;

/// <summary>What <see cref="StoreStatus.State"/> says: how a store is, in a word that never changes.</summary>
public static class StoreState
{
    /// <summary>The remote has every commit.</summary>
    public const string Ok = "ok";

    /// <summary>A process has it open and ships; the last commits are on their way.</summary>
    public const string Shipping = "shipping";

    /// <summary>It has no remote, and its commits are on this machine only.</summary>
    public const string NoRemote = "no-remote";

    /// <summary>It follows another store.</summary>
    public const string Replica = "replica";

    /// <summary>It was restored, and has not been written to since.</summary>
    public const string Restored = "restored";

    // From here on somebody has to do something.

    /// <summary>It has commits that the remote lacks, and no process is about to ship them.</summary>
    public const string Unshipped = "unshipped";

    /// <summary>The remote cannot be reached.</summary>
    public const string Unreachable = "unreachable";

    /// <summary>The remote refuses what is asked of it.</summary>
    public const string Failed = "failed";

    /// <summary>What was shipped cannot be restored before hints are published.</summary>
    public const string NotRestorable = "not-restorable";

    /// <summary>The newest verification found the remote damaged.</summary>
    public const string Damaged = "damaged";

    /// <summary>Another writer has taken the remote over.</summary>
    public const string Fenced = "fenced";

    /// <summary>The remote has more than this directory: it is an older copy.</summary>
    public const string Behind = "behind";

    /// <summary>It is a copy of a store that ships elsewhere.</summary>
    public const string Copy = "copy";

    /// <summary>Whether a state is one that somebody has to do something about.</summary>
    public static bool NeedsSomebody(string state)
        => state is Unshipped or Unreachable or Failed or NotRestorable or Damaged or Fenced or Behind or Copy;
}
