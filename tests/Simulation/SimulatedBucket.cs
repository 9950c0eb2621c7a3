using RecoveryVfs.RecoveryLog.Objects;

namespace RecoveryVfs.Simulation;

/// <summary>
/// The objects that several <see cref="SimulatedObjectStore"/>s share, as seen by the server itself. Thread-safe.
/// </summary>
internal sealed class SimulatedBucket(TimeProvider time)
{
    readonly Lock gate = new();
    readonly SortedDictionary<string, SimulatedObject> objects = new(StringComparer.Ordinal);
    readonly Dictionary<string, SimulatedObject> deleted = [];

    /// <summary>The server's clock.</summary>
    public TimeProvider Time { get; } = time;

    /// <summary>Told of each object that comes to be, in order.</summary>
    public Action<string, byte[]>? OnCreated { get; set; }

    /// <summary>Names there are, in order.</summary>
    public IReadOnlyList<string> Names { get { lock (gate) return [.. objects.Keys]; } }

    /// <summary>All bytes held.</summary>
    public long SizeBytes { get { lock (gate) return objects.Values.Sum(o => (long)o.Bytes.Length); } }

    /// <summary>Creates an object if the name is free.</summary>
    public bool TryCreate(string name, byte[] bytes)
    {
        lock (gate)
        {
            if (!objects.TryAdd(name, new SimulatedObject(bytes, Time.GetUtcNow()))) return false;
            OnCreated?.Invoke(name, bytes);
            return true;
        }
    }

    /// <summary>The object, or null.</summary>
    public SimulatedObject? Find(string name)
    {
        lock (gate) return objects.GetValueOrDefault(name);
    }

    /// <summary>Removes an object, if it is there.</summary>
    public bool Delete(string name)
    {
        lock (gate)
        {
            if (!objects.Remove(name, out var gone)) return false;
            deleted[name] = gone with { Deleted = Time.GetUtcNow() };
            return true;
        }
    }

    /// <summary>Puts other bytes where an object is, as no client ever could: damage.</summary>
    public void Damage(string name, byte[] bytes)
    {
        lock (gate) objects[name] = objects[name] with { Bytes = bytes };
    }

    /// <summary>What a listing shows whose view is as old as <paramref name="staleness"/>.</summary>
    public IReadOnlyList<ObjectInfo> List(string prefix, string? startAfter, TimeSpan staleness)
    {
        lock (gate)
        {
            var asOf = Time.GetUtcNow() - staleness;
            return [.. objects.Where(o => o.Value.Created <= asOf)
                .Concat(deleted.Where(o => o.Value.Deleted > asOf && o.Value.Created <= asOf
                && !objects.ContainsKey(o.Key)))
                .Where(o => o.Key.StartsWith(prefix, StringComparison.Ordinal))
                .Where(o => startAfter is null || string.CompareOrdinal(o.Key, startAfter) > 0)
                .OrderBy(o => o.Key, StringComparer.Ordinal)
                .Select(o => new ObjectInfo(o.Key, o.Value.Bytes.Length, o.Value.Created))];
        }
    }

    /// <summary>A copy of everything, to go back to.</summary>
    public SimulatedBucket Clone()
    {
        var copy = new SimulatedBucket(Time);
        lock (gate)
            foreach (var (name, value) in objects) copy.objects[name] = value;
        return copy;
    }
}

/// <summary>One object of a <see cref="SimulatedBucket"/>.</summary>
internal sealed record SimulatedObject(byte[] Bytes, DateTimeOffset Created)
{
    /// <summary>When it was deleted, if it was.</summary>
    public DateTimeOffset Deleted { get; init; }
}
