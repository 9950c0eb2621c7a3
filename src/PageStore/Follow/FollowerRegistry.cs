using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.PageStore.Follow;

/// <summary>The followers of this process: one a directory. Thread-safe.</summary>
internal static class FollowerRegistry
{
    static readonly Lock gate = new();
    static readonly Dictionary<string, Follower> running = new(StringComparer.Ordinal);
    static int count;

    public static bool Any => Volatile.Read(ref count) > 0;

    public static Follower? Find(string directory)
    {
        lock (gate) return running.GetValueOrDefault(KeyOf(directory));
    }

    /// <summary>Throws when the directory has one.</summary>
    public static void Add(Follower follower)
    {
        lock (gate)
        {
            if (!running.TryAdd(KeyOf(follower.Directory), follower))
                throw new RecoveryException(RecoveryError.Busy,
                    $"{follower.Directory} is followed in this process already.",
                    "Use that follower.")
                { Path = follower.Directory };
            Volatile.Write(ref count, running.Count);
        }
    }

    /// <summary>False when this one is not there any more.</summary>
    public static bool Remove(Follower follower)
    {
        lock (gate)
        {
            var key = KeyOf(follower.Directory);
            if (!running.TryGetValue(key, out var same) || !ReferenceEquals(same, follower)) return false;
            running.Remove(key);
            Volatile.Write(ref count, running.Count);
            return true;
        }
    }

    static string KeyOf(string directory) => Path.TrimEndingDirectorySeparator(Path.GetFullPath(directory));
}
