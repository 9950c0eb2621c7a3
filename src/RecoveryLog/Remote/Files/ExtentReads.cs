using System.Security.Cryptography;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Remote.Formats;

namespace RecoveryVfs.RecoveryLog.Remote.Files;

/// <summary>Reads extents as their bytes come, without a file.</summary>
static class ExtentReads
{
    /// <summary>
    /// Gives an extent's bytes, in order, to <paramref name="take"/>. <paramref name="begin"/> is called before the
    /// first byte, and again whenever it starts at the first once more. When this returns, all that was given since the
    /// last beginning has the extent's hash; until then none of it may be believed. Throws Corrupt, naming the object,
    /// when it is missing or is not what it should be.
    /// </summary>
    public static ValueTask ReadAsync(
        RemoteContext context, Extent extent, Action begin, Action<ReadOnlyMemory<byte>> take,
            CancellationToken cancellation = default) =>
        ReadProvenAsync(context, extent.Name, extent.SizeBytes, hash => hash == extent.Hash, begin, take, cancellation);

    /// <summary>The same for an object of which somebody knows another proof.</summary>
    public static async ValueTask ReadProvenAsync(
        RemoteContext context, string name, long sizeBytes, Func<ObjectHash, bool> isRight, Action begin,
            Action<ReadOnlyMemory<byte>> take, CancellationToken cancellation = default)
    {
        for (int tries = 1; ; tries++)
        {
            if (await TryReadAsync(context, name, sizeBytes, isRight, begin, take, cancellation) is not { } wrong)
                return;
            // Once more: a bit that fell over on the way is not damage.
            if (tries == 2) throw RemoteFormat.Damaged(name, wrong);
        }
    }

    /// <summary>Returns what is wrong with the bytes, or null.</summary>
    static async ValueTask<string?> TryReadAsync(RemoteContext context, string name, long sizeBytes,
        Func<ObjectHash, bool> isRight, Action begin, Action<ReadOnlyMemory<byte>> take, CancellationToken cancellation)
    {
        using var sha = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        long size = await context.RetryAsync(token => context.Store.StreamWholeAsync(name, (total, from) =>
        {
            // The server may be wrong about the size, or hostile.
            if (total > sizeBytes)
                throw RemoteFormat.Damaged(name, $"it has more than {sizeBytes} bytes");
            sha.GetHashAndReset();
            begin();
            return from.DrainAsync(part =>
            {
                sha.AppendData(part.Span);
                take(part);
            });
        }, context.Tries, token), cancellation);
        if (size < 0) throw new RecoveryException(RecoveryError.Corrupt, $"The object {name} is missing");
        if (size != sizeBytes) return $"it has {size} bytes instead of {sizeBytes}";
        return isRight(ObjectHash.Take(sha)) ? null : "its bytes do not match its SHA-256";
    }
}
