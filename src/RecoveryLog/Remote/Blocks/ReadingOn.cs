namespace RecoveryVfs.RecoveryLog.Remote.Blocks;

/// <summary>
/// How far a miss reaches: when a file is read on from where the last miss ended, twice as far as that one did, up to
/// what one request brings. Two readers of one file at two places only make it reach less far.
/// </summary>
sealed class ReadingOn(int blocksMax)
{
    readonly Lock looking = new();
    int next = -1, length = 1;

    /// <summary>The last block to fetch for a miss of these.</summary>
    public int Until(int first, int last)
    {
        lock (looking)
        {
            length = first <= next && next <= last ? Math.Min(length * 2, blocksMax) : 1;
            var until = Math.Max(last, Math.Max(first, next) + length - 1);
            if (length == 1) until = last;
            next = until + 1;
            return until;
        }
    }
}
