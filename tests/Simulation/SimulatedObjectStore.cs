using System.Runtime.CompilerServices;
using RecoveryVfs.RecoveryLog.Objects;

namespace RecoveryVfs.Simulation;

/// <summary>One client's way to a <see cref="SimulatedBucket"/>, with faults drawn from a seed.</summary>
internal sealed class SimulatedObjectStore(SimulatedBucket bucket, Random random, SimulatedFaults? faults = null)
    : IObjectStore
{
    DateTimeOffset stormUntil;
    long requests;

    /// <summary>How it misbehaves; may be changed at any time.</summary>
    public SimulatedFaults Faults { get; set; } = faults ?? SimulatedFaults.None;

    /// <summary>Nothing gets through while set.</summary>
    public bool IsDown { get; set; }

    /// <summary>
    /// The request, counted from 1, at which the client dies: every use from then on throws
    /// <see cref="SimulatedDeath"/>.
    /// </summary>
    public long? DieAt { get; set; }

    /// <summary>Whether the server carries out the request at which the client dies.</summary>
    public bool DieAfterDoing { get; set; }

    /// <summary>Requests made so far.</summary>
    public long Requests => requests;

    /// <summary>Called before each request.</summary>
    public Action<RequestKind, string>? OnRequest { get; set; }

    /// <inheritdoc/>
    public string Location => "simulated://bucket";

    /// <inheritdoc/>
    public RequestCounters Counters { get; } = new();

    /// <inheritdoc/>
    public async ValueTask<CreateResult> CreateAsync(string name, ObjectContent content,
        CancellationToken cancellation = default)
    {
        byte[] bytes = new byte[content.LengthBytes];
        await using (var source = content.Open()) source.ReadExactly(bytes);
        bool dies = await BeginAsync(RequestKind.Create, name, cancellation);
        if (dies && !DieAfterDoing) throw new SimulatedDeath();
        if (!dies) MaybeLoseWrite(name, () => bucket.TryCreate(name, bytes));
        bool created = bucket.TryCreate(name, bytes);
        if (created) Counters.Sent(name, bytes.Length);
        if (dies) throw new SimulatedDeath();
        MaybeLoseAnswer(name);
        return created ? CreateResult.Created : CreateResult.AlreadyExists;
    }

    /// <inheritdoc/>
    public async ValueTask<ObjectDownload?> GetAsync(
        string name, long offsetBytes = 0, long? lengthBytes = null, CancellationToken cancellation = default)
    {
        if (await BeginAsync(RequestKind.Get, name, cancellation)) throw new SimulatedDeath();
        if (bucket.Find(name) is not { } found) return null;
        long start = Math.Min(offsetBytes, found.Bytes.Length);
        long length = Math.Min(lengthBytes ?? long.MaxValue, found.Bytes.Length - start);
        long given = Happens(Faults.Truncate) ? random.NextInt64(length + 1) : length;
        var body = new MemoryContentStream(found.Bytes.AsMemory((int)start, (int)given));
        return new ObjectDownload(new BoundedReadStream(body, given, n => Counters.Received(name, n)), length,
            found.Bytes.Length);
    }

    /// <inheritdoc/>
    public async ValueTask<ObjectInfo?> HeadAsync(string name, CancellationToken cancellation = default)
    {
        if (await BeginAsync(RequestKind.Head, name, cancellation)) throw new SimulatedDeath();
        return bucket.Find(name) is { } found ? new ObjectInfo(name, found.Bytes.Length, found.Created) : null;
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<ObjectInfo> ListAsync(
        string prefix, string? startAfter = null, [EnumeratorCancellation] CancellationToken cancellation = default)
    {
        if (await BeginAsync(RequestKind.List, prefix, cancellation)) throw new SimulatedDeath();
        var staleness = Happens(Faults.Stale) ? Faults.StaleBy * random.NextDouble() : TimeSpan.Zero;
        foreach (var found in bucket.List(prefix, startAfter, staleness)) yield return found;
    }

    /// <inheritdoc/>
    public async ValueTask DeleteAsync(IReadOnlyCollection<string> names, CancellationToken cancellation = default)
    {
        foreach (string name in names)
        {
            bool dies = await BeginAsync(RequestKind.Delete, name, cancellation);
            if (dies && !DieAfterDoing) throw new SimulatedDeath();
            if (!dies) MaybeLoseWrite(name, () => bucket.Delete(name));
            bucket.Delete(name);
            if (dies) throw new SimulatedDeath();
            MaybeLoseAnswer(name);
        }
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    /// <summary>Returns whether the client dies at this request.</summary>
    async ValueTask<bool> BeginAsync(RequestKind kind, string name, CancellationToken cancellation)
    {
        if (kind != RequestKind.List) ObjectName.Check(name);
        OnRequest?.Invoke(kind, name);
        if (++requests > DieAt) throw new SimulatedDeath();
        Counters.Request(kind, name);
        cancellation.ThrowIfCancellationRequested();
        if (Faults.MaxLatency > TimeSpan.Zero)
            await Task.Delay(Faults.MaxLatency * random.NextDouble(), bucket.Time, cancellation);
        if (DieAt is { } at && requests >= at) return true;
        var now = bucket.Time.GetUtcNow();
        if (now < stormUntil || IsDown) throw Failure(ObjectStoreError.Unavailable, name, "503 SlowDown");
        if (Happens(Faults.Storm)) stormUntil = now + Faults.StormFor * random.NextDouble();
        if (Happens(Faults.Refuse)) throw Failure(ObjectStoreError.Unavailable, name, "503 SlowDown");
        return false;
    }

    void MaybeLoseWrite(string name, Func<bool> write)
    {
        if (Happens(Faults.LoseRequest)) throw Failure(ObjectStoreError.Unknown, name, "timed out");
        if (!Happens(Faults.Late)) return;
        ITimer? timer = null;
        timer = bucket.Time.CreateTimer(_ =>
        {
            write();
            timer?.Dispose();
        }, null, Faults.LateBy * random.NextDouble(), Timeout.InfiniteTimeSpan);
        throw Failure(ObjectStoreError.Unknown, name, "timed out");
    }

    void MaybeLoseAnswer(string name)
    {
        if (Happens(Faults.LoseAnswer)) throw Failure(ObjectStoreError.Unknown, name, "connection reset");
    }

    bool Happens(double chance) => chance > 0 && random.NextDouble() < chance;

    ObjectStoreException Failure(ObjectStoreError error, string name, string what)
    {
        Counters.Failed();
        return new ObjectStoreException(error, $"{name} in {Location}: {what}");
    }
}

/// <summary>The simulated process is dead: nothing that throws this may do anything more.</summary>
internal sealed class SimulatedDeath() : Exception("The simulated process died here.");
