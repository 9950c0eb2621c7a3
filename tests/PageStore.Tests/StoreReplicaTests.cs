using RecoveryVfs.PageStore.Replicas;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Writing;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Log;

namespace RecoveryVfs.PageStore.Tests;

/// <summary>
/// A replica applies a store's log, is closed and killed on the way, and is byte for byte what its writer was.
/// </summary>
public sealed class StoreReplicaTests : IDisposable
{
    readonly string root = Path.Combine(Path.GetTempPath(), "replica-" + Guid.NewGuid().ToString("N"));

    public void Dispose() => Directory.Delete(root, recursive: true);

    StoreOptions Options(string name)
        => new() { Directory = Path.Combine(root, name), PageCacheBytes = 1 << 20, PendingBytes = 1 << 20 };

    [Fact, Trait(Seeds.Kind, Seeds.Random)]
    public void A_replica_equals_its_writer_and_can_become_a_store() => Seeds.Once(Run);

    void Run(Random random)
    {
        var model = new SortedDictionary<string, byte[]>(StringComparer.Ordinal);
        using (var writer = Store.Open(Options("writer")))
        {
            using var keep = writer.Log.Hold("test", 1);
            var replica = Replica.Open(Options("replica"));
            try
            {
                for (var round = 0; round < 12; round++)
                {
                    for (var i = random.Next(30); i > 0; i--) StoreTests.Transaction(random, writer, model);
                    using (var wal = writer.OpenFile($"w{random.Next(3)}-wal", create: true)!)
                    {
                        if (random.Next(3) == 0) wal.Truncate(random.Next(2) * 7);
                        var bytes = new byte[random.Next(1, 900)];
                        random.NextBytes(bytes);
                        wal.Write(random.Next(2000), bytes);
                    }
                    if (random.Next(4) == 0) writer.Checkpoint();
                    writer.WriteOut();
                    Follow(writer, replica);
                    StoreTests.Compare(replica, model);
                    if (random.Next(3) == 0) replica.Settle();
                    if (random.Next(4) != 0) continue;
                    if (random.Next(2) == 0) replica.Dispose();
                    else Killed.Kill(replica);
                    replica = Replica.Open(Options("replica"));
                    Follow(writer, replica);
                    StoreTests.Compare(replica, model);
                }
                replica.Dispose();
                Assert.Equal(RecoveryError.ReadOnly,
                    Assert.Throws<RecoveryException>(() => Store.Open(Options("replica"))).Error);
                replica = Replica.Open(Options("replica"));
                Follow(writer, replica);
                replica.CloseAsStore();
            }
            finally
            {
                replica.Dispose();
            }
        }
        using (var promoted = Store.Open(Options("replica")))
        {
            StoreTests.Compare(promoted, model);
            for (var i = 0; i < 20; i++) StoreTests.Transaction(random, promoted, model);
            StoreTests.Compare(promoted, model);
        }
        using (var again = Store.Open(Options("replica"))) StoreTests.Compare(again, model);
        using (var writer = Store.Open(Options("writer")))
        using (var promoted = Store.Open(Options("replica")))
        {
            for (var i = 0; i < 3; i++)
            {
                Assert.Equal(writer.FileExists($"w{i}-wal"), promoted.FileExists($"w{i}-wal"));
                if (!writer.FileExists($"w{i}-wal")) continue;
                using var left = writer.OpenFile($"w{i}-wal", create: false)!;
                using var right = promoted.OpenFile($"w{i}-wal", create: false)!;
                var (a, b) = (new byte[4000], new byte[4000]);
                Assert.Equal(left.Read(0, a), right.Read(0, b));
                Assert.Equal(a, b);
            }
        }
    }

    static void Follow(Store writer, Replica replica)
    {
        using var cursor = writer.Log.ReadFrom(replica.NextLsn, LogReach.Written);
        while (cursor.TryRead(out var record)) replica.Apply(record);
    }
}
