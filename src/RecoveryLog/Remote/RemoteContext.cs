using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Objects;

namespace RecoveryVfs.RecoveryLog.Remote;

/// <summary>
/// How long to wait before trying again: doubling, with jitter, so that many writers do not come back in step.
/// </summary>
internal sealed record Backoff
{
    /// <summary>Before the second try: about what a busy object store asks for.</summary>
    public TimeSpan First { get; init; } = TimeSpan.FromMilliseconds(100);

    /// <summary>Never longer: the end of an outage should be noticed within half a minute.</summary>
    public TimeSpan Longest { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>The wait after so many failures in a row (1: the first).</summary>
    public TimeSpan After(int failures, Random random)
    {
        double most = First.TotalMilliseconds * Math.Pow(2, Math.Min(failures - 1, 30));
        double jitter;
        lock (random) jitter = 0.5 + random.NextDouble() / 2;
        return TimeSpan.FromMilliseconds(Math.Min(most, Longest.TotalMilliseconds) * jitter);
    }
}

/// <summary>What everything that talks to a remote needs: the object store, time, randomness, and patience.</summary>
internal sealed record RemoteContext
{
    /// <summary>The object store.</summary>
    public required IObjectStore Store { get; init; }

    /// <summary>The source of time.</summary>
    public TimeProvider Time { get; init; } = TimeProvider.System;

    /// <summary>The source of jitter and of names.</summary>
    public Random Random { get; init; } = Random.Shared;

    /// <summary>How long to wait between tries.</summary>
    public Backoff Backoff { get; init; } = new();

    /// <summary>
    /// How often a single step is tried, by readers and by whoever waits for an answer. The shipper itself never gives
    /// up.
    /// </summary>
    public int Tries { get; init; } = 8;

    /// <summary>
    /// Makes a seekable temporary stream for what is too large for memory; null keeps everything in memory.
    /// </summary>
    public Func<Stream>? OpenSpool { get; init; } = () => UnnamedFile.OpenStream(Path.GetTempPath(), SpoolBufferBytes);

    /// <summary>What a store or replica in a directory talks to its remote with.</summary>
    public static RemoteContext Of(IObjectStore store, TimeProvider time, string directory) => new()
    {
        Store = store,
        Time = time,
        OpenSpool = SpoolsIn(directory),
    };

    /// <summary>
    /// Spools on the file system of a directory, which may still have to be made: where what is fetched goes, and where
    /// there is room for it.
    /// </summary>
    public static Func<Stream> SpoolsIn(string directory) => ()
        => UnnamedFile.OpenStream(Nearest(directory), SpoolBufferBytes);

    static string Nearest(string directory)
    {
        var place = Path.GetFullPath(directory);
        while (!Directory.Exists(place)) place = Path.GetDirectoryName(place)!;
        return place;
    }

    const int SpoolBufferBytes = 128 << 10;

    /// <summary>
    /// Does one step, again and again while it fails in a way that passes. What does not pass, and the last failure,
    /// become a
    /// <see cref="RecoveryException"/>.
    /// </summary>
    public async ValueTask<T> RetryAsync<T>(Func<CancellationToken, ValueTask<T>> step, CancellationToken cancellation)
    {
        for (int failures = 1; ; failures++)
        {
            try { return await step(cancellation); }
            catch (ObjectStoreException e) when (e.IsTransient && failures < Tries)
            {
                await Task.Delay(Backoff.After(failures, Random), Time, cancellation);
            }
            catch (ObjectStoreException e) { throw e.ToRecoveryException(); }
        }
    }

    /// <summary>Lists everything under a prefix; a listing that breaks off is taken up where it broke.</summary>
    public async ValueTask<List<ObjectInfo>> ListAsync(string prefix, string? startAfter,
        CancellationToken cancellation, int most = int.MaxValue)
    {
        var found = new List<ObjectInfo>();
        await RetryAsync(async token =>
        {
            string? from = found.Count > 0 ? found[^1].Name : startAfter;
            await foreach (var entry in Store.ListAsync(prefix, from, token))
            {
                found.Add(entry);
                if (found.Count >= most) break;
            }
            return true;
        }, cancellation);
        return found;
    }
}
