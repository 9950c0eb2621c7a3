using RecoveryVfs.RecoveryLog.Remote.Formats;

namespace RecoveryVfs.RecoveryLog.Remote.Files;

/// <summary>
/// Compares the list of an extent with the extent's bytes as they come. What is wrong is told, not thrown: the extent
/// itself may be right.
/// </summary>
sealed class ListCheck : IDisposable
{
    readonly Extent extent;
    readonly BlockList list;
    readonly BlockList.Builder builder;
    readonly Action<RecoveryException> problem;

    ListCheck(Extent extent, BlockList list, Action<RecoveryException> problem)
    {
        (this.extent, this.list, this.problem) = (extent, list, problem);
        builder = new BlockList.Builder(list.Shift);
    }

    /// <summary>Fetches the list; null when that is already the problem.</summary>
    public static async ValueTask<ListCheck?> BeginAsync(RemoteContext context, Extent extent,
        Action<RecoveryException> problem, CancellationToken cancellation)
    {
        try { return new ListCheck(extent, await BlockLists.FetchAsync(context, extent, cancellation), problem); }
        catch (RecoveryException e) when (e.Error is RecoveryError.Corrupt or RecoveryError.TooNew)
        {
            problem(e);
            return null;
        }
    }

    /// <summary>From the first byte on again.</summary>
    public void Reset() => builder.Reset();

    /// <summary>Takes the next bytes.</summary>
    public void Append(ReadOnlySpan<byte> bytes) => builder.Append(bytes);

    /// <summary>After all bytes, which are those of the extent.</summary>
    public void End()
    {
        if (builder.Finish().List!.Hash != list.Hash)
            problem(RemoteFormat.Damaged(extent.ListName, $"its hashes are not those of the blocks of {extent.Name}"));
    }

    /// <inheritdoc/>
    public void Dispose() => builder.Dispose();
}
