using RecoveryVfs.PageStore.Rocks;

namespace RecoveryVfs.PageStore.Tests;

/// <summary>A process that writes until it is killed, and says what it knows to be persisted.</summary>
internal static class KilledWriter
{
    public static History History { get; } = new(seed: 23);

    public static void Run(string directory)
    {
        using var store =
            RocksPageStore.Open(new() { Directory = directory, WriteBufferBytes = 128 << 10, GarbageShareMax = 0.2 });
        while (true)
        {
            for (var i = 0; i < 12; i++)
                History.Write(store, store.Applied + 1);
            if (store.Applied % 5 == 0)
                store.CollectGarbage(CancellationToken.None);
            Console.WriteLine(store.PersistedApplied);
        }
    }
}
