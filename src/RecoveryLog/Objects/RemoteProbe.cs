using System.Security.Cryptography;

namespace RecoveryVfs.RecoveryLog.Objects;

/// <summary>
/// Finds out, with throw-away objects, whether an object store keeps the promises that everything rests on: a
/// conditional create has exactly one winner and never overwrites, and what was created is found at once. A store that
/// does not is refused, not trusted.
/// </summary>
internal static class RemoteProbe
{
    /// <summary>Creates racing for one name; enough to catch servers that look first and write later.</summary>
    const int Racers = 4;

    /// <summary>
    /// Returns when the store is fit. Throws Unsupported, naming the store and what it does wrong, when it is not, and
    /// <see cref="ObjectStoreException"/> when it could not be found out now.
    /// </summary>
    public static async Task CheckAsync(IObjectStore store, Random random, CancellationToken cancellation = default)
    {
        string name = $"probe/{random.NextInt64():x16}{random.NextInt64():x16}";
        var bodies = new byte[Racers][];
        for (int i = 0; i < Racers; i++) random.NextBytes(bodies[i] = new byte[40 + i]);
        try
        {
            var racing = bodies.Select(body => CreateAsync(store, name, body, cancellation)).ToArray();
            var results = await Task.WhenAll(racing);
            if (results.Count(r => r == CreateResult.Created) > 1)
                throw Refused(store, "it let several creates of one name win (If-None-Match: * is ignored)");
            int winner = Array.IndexOf(results, CreateResult.Created);
            byte[] found = await store.ReadWholeAsync(name, 1 << 10, cancellation) ?? throw (winner >= 0
                ? Refused(store, "an object is not found right after it was created")
                : new ObjectStoreException(ObjectStoreError.Unavailable,
                $"{store.Location} answered none of several creates"));
            if (winner >= 0 && !found.AsSpan().SequenceEqual(bodies[winner]))
                throw Refused(store, "an object holds other bytes than its one successful create wrote");
            if (await CreateAsync(store, name, RandomNumberGenerator.GetBytes(50), cancellation)
                == CreateResult.Created)
                throw Refused(store, "it overwrote an object though told not to (If-None-Match: * is ignored)");
            byte[]? again = await store.ReadWholeAsync(name, 1 << 10, cancellation);
            if (again is null || !again.AsSpan().SequenceEqual(found))
                throw Refused(store, "a refused create changed the object");
        }
        catch (ObjectStoreException e) when (e.Error is ObjectStoreError.Unsupported)
        {
            throw Refused(store, $"it does not know conditional creates ({e.Message})");
        }
        finally
        {
            try { await store.DeleteAsync([name], cancellation); }
            catch (ObjectStoreException) { }  // a left-over of 40 bytes, under a prefix that nobody reads
        }
    }

    /// <summary>In the race, a server may answer some losers with an error; that is as good as losing.</summary>
    static async Task<CreateResult> CreateAsync(IObjectStore store, string name, byte[] body,
        CancellationToken cancellation)
    {
        try { return await store.CreateAsync(name, body, cancellation); }
        catch (ObjectStoreException e) when (e.Error == ObjectStoreError.Unknown) { return CreateResult.AlreadyExists; }
    }

    static RecoveryException Refused(IObjectStore store, string why) =>
        new(RecoveryError.Unsupported,
            $"The object store {store.Location} cannot hold a remote: {why}. Two writers could overwrite each other.",
            "Use one with conditional create (AWS S3, Ceph, MinIO, R2 and others have it), or file:///directory")
        { Path = store.Location };
}
