using System.Security.Cryptography;
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

    readonly IncrementalHash all = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
    readonly byte[] buffer = new byte[BufferBytes];

    /// <summary>Bytes written.</summary>
    public long WrittenBytes { get; private set; }

    /// <summary>Objects written.</summary>
    public int Objects { get; private set; }

    /// <summary>
    /// Writes the state of an LSN; <paramref name="has"/> are the objects that the snapshot before has. Returns the
    /// identity, as hex digits.
    /// </summary>
    public async Task<string> RunAsync(ArchiveDescription description, IReadOnlySet<string> has,
        Action<long>? progressed, CancellationToken cancellation)
    {
        await PutAsync(ArchiveFormat.Begin(description), cancellation);
        // What it names of a parent is in here.
        var store = plan.Store with { Format = 1, Branch = null };
        if (!has.Contains(RemoteNames.Store)) await AddAsync(RemoteNames.Store, store.ToBytes(), cancellation);
        if (!plan.IsFromBeginning && !has.Contains(plan.Hints.Name))
            await CopyAsync(plan.Hints.Name, null, progressed, cancellation);
        foreach (var extent in plan.Extents)
        {
            if (!has.Contains(extent.Name)) await CopyAsync(extent.Name, extent.Hash, progressed, cancellation);
            if (extent.HasList && !has.Contains(extent.ListName))
                await CopyAsync(extent.ListName, extent.List, progressed, cancellation);
        }
        await CopyLogAsync(description.Lsn, has, progressed, cancellation);
        var end = new byte[1 + ObjectHash.Bytes];
        end[0] = ArchiveFormat.End;
        all.AppendData(end, 0, 1);
        all.GetHashAndReset(end.AsSpan(1));
        await to.WriteAsync(end, cancellation);
        await to.FlushAsync(cancellation);
        WrittenBytes += end.Length;
        return Convert.ToHexStringLower(end.AsSpan(1));
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
        await PutAsync(ArchiveFormat.BeginEntry(name, download.ObjectBytes), cancellation);
        using var own = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        long done = 0;
        while (await download.Body.ReadAsync(buffer, cancellation) is var got && got > 0)
        {
            own.AppendData(buffer, 0, got);
            await PutAsync(buffer.AsMemory(0, got), cancellation);
            done += got;
            progressed?.Invoke(got);
        }
        if (done != download.ObjectBytes)
            throw new RecoveryException(RecoveryError.Remote,
                $"The object {name} ended after {done} of {download.ObjectBytes} bytes.", "Make the snapshot again")
            { Path = name, IsTransient = true };
        await EndAsync(name, own, expected, cancellation);
    }

    async Task AddAsync(string name, byte[] bytes, CancellationToken cancellation)
    {
        await PutAsync(ArchiveFormat.BeginEntry(name, bytes.Length), cancellation);
        using var own = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        own.AppendData(bytes);
        await PutAsync(bytes, cancellation);
        await EndAsync(name, own, null, cancellation);
    }

    async Task EndAsync(string name, IncrementalHash own, ObjectHash? expected, CancellationToken cancellation)
    {
        var hash = own.GetHashAndReset();
        if (expected is { } wanted && new ObjectHash(hash) != wanted)
            throw RemoteFormat.Damaged(name, "its bytes do not match its SHA-256");
        await PutAsync(hash, cancellation);
        Objects++;
    }

    async Task PutAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellation)
    {
        all.AppendData(bytes.Span);
        WrittenBytes += bytes.Length;
        await to.WriteAsync(bytes, cancellation);
    }

    /// <inheritdoc/>
    public void Dispose() => all.Dispose();
}
