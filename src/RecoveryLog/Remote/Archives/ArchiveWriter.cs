using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.Read;

namespace RecoveryVfs.RecoveryLog.Remote.Archives;

/// <summary>
/// Writes a state of a remote into one stream, as it comes, in memory that does not depend on its size. What does not
/// verify ends it with an error, and what was written then has no end: it is no snapshot.
/// </summary>
internal sealed class ArchiveWriter(RemoteContext context, RestorePlan plan, Stream to) : IDisposable
{
    const int BufferBytes = 256 << 10;

    readonly ArchiveStream stream = new(to);
    readonly byte[] buffer = new byte[BufferBytes];

    /// <summary>Bytes written.</summary>
    public long WrittenBytes => stream.WrittenBytes;

    /// <summary>Objects written.</summary>
    public int Objects => stream.Objects;

    /// <summary>
    /// Writes the state of an LSN; <paramref name="has"/> are the objects that the snapshot before has. Returns the
    /// identity, as hex digits.
    /// </summary>
    public async Task<string> RunAsync(ArchiveDescription description, IReadOnlySet<string> has,
        Action<long>? progressed, CancellationToken cancellation)
    {
        await stream.BeginAsync(description, cancellation);
        // What it names of a parent is in here.
        var store = plan.Store with { Format = 1, Branch = null };
        if (!has.Contains(RemoteNames.Store)) await stream.AddAsync(RemoteNames.Store, store.ToBytes(), cancellation);
        if (!plan.IsFromBeginning && !has.Contains(plan.Hints.Name))
            await CopyAsync(plan.Hints.Name, null, progressed, cancellation);
        foreach (var extent in plan.Extents)
        {
            if (!has.Contains(extent.Name)) await CopyAsync(extent.Name, extent.Hash, progressed, cancellation);
            if (extent.HasList && !has.Contains(extent.ListName))
                await CopyAsync(extent.ListName, extent.List, progressed, cancellation);
        }
        await CopyLogAsync(description.Lsn, has, progressed, cancellation);
        return await stream.EndAsync(cancellation);
    }

    /// <summary>
    /// From where the hints replay to the segment with the state; the segment before, where there is nothing to replay:
    /// it tells where the log stands.
    /// </summary>
    async Task CopyLogAsync(ulong lsn, IReadOnlySet<string> has, Action<long>? progressed,
        CancellationToken cancellation)
    {
        var start = plan.Hints.Header.Start;
        var next = start.NextLsn;
        while (next <= lsn)
        {
            var name = RemoteNames.Segment(next);
            var header = await RemoteSegmentHeads.FetchAsync(context, name, cancellation)
                ?? throw new RecoveryException(RecoveryError.NotFound,
                    $"The object {name} is not in {context.Store.Location} any more.",
                    "Make the snapshot again")
                { Path = name, Lsn = next };
            if (!has.Contains(name)) await CopyAsync(name, null, progressed, cancellation);
            next = header.NextLsn;
        }
        if (next == start.NextLsn && start.BeforeLsn != 0 && !has.Contains(RemoteNames.Segment(start.BeforeLsn)))
            await CopyAsync(RemoteNames.Segment(start.BeforeLsn), null, progressed, cancellation);
    }

    /// <summary>Objects have their hashes at their ends, or are known by them; a reader compares those, too.</summary>
    async Task CopyAsync(string name, ObjectHash? expected, Action<long>? progressed, CancellationToken cancellation)
    {
        await using var download = await context.RetryAsync(
            token => context.Store.GetAsync(name, cancellation: token), cancellation)
            ?? throw new RecoveryException(RecoveryError.Corrupt, $"The object {name} is missing") { Path = name };
        await stream.BeginObjectAsync(name, download.ObjectBytes, cancellation);
        long done = 0;
        while (await download.Body.ReadAsync(buffer, cancellation) is var got && got > 0)
        {
            await stream.PutAsync(buffer.AsMemory(0, got), cancellation);
            done += got;
            progressed?.Invoke(got);
        }
        if (done != download.ObjectBytes)
            throw new RecoveryException(RecoveryError.Remote,
                $"The object {name} ended after {done} of {download.ObjectBytes} bytes.", "Make the snapshot again")
            { Path = name, IsTransient = true };
        await stream.EndObjectAsync(expected, cancellation);
    }

    /// <inheritdoc/>
    public void Dispose() => stream.Dispose();
}
