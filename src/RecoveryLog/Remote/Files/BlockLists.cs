using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Remote.Formats;

namespace RecoveryVfs.RecoveryLog.Remote.Files;

/// <summary>Ships and fetches the lists of extents' blocks.</summary>
static class BlockLists
{
    /// <summary>
    /// Creates the list of an extent, and returns the extent with it. What is there already, of that size, is the same:
    /// a list follows from the extent's bytes. An extent beside which something else lies goes without a list.
    /// </summary>
    public static async ValueTask<Extent> ShipAsync(RemoteContext context, Extent extent, BlockList list,
        CancellationToken cancellation)
    {
        var bytes = list.Bytes.ToArray();
        var result = await context.RetryAsync(token => context.Store.CreateAsync(extent.ListName, bytes, token),
            cancellation);
        if (result == CreateResult.AlreadyExists)
        {
            var found = await context.RetryAsync(token => context.Store.HeadAsync(extent.ListName, token),
                cancellation);
            if (found?.SizeBytes != bytes.Length) return extent;
        }
        return extent with { List = list.Hash };
    }

    /// <summary>
    /// Fetches the list of an extent that has one, and verifies it. Throws Corrupt, naming the object, when it is
    /// missing or is not what it should be.
    /// </summary>
    public static async ValueTask<BlockList> FetchAsync(RemoteContext context, Extent extent,
        CancellationToken cancellation)
    {
        var name = extent.ListName;
        for (var tries = 1; ; tries++)
        {
            var bytes = await context.RetryAsync(
                token => context.Store.ReadWholeAsync(name, BlockList.BytesMax(extent.SizeBytes), token), cancellation)
                ?? throw new RecoveryException(RecoveryError.Corrupt, $"The object {name} is missing") { Path = name };
            if (ObjectHash.Of(bytes) == extent.List) return BlockList.Read(bytes, extent, name);
            // Once more: a bit that fell over on the way is not damage.
            if (tries == 2) throw RemoteFormat.Damaged(name, "its bytes do not match the SHA-256 that hints have");
        }
    }
}
