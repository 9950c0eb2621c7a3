using RecoveryVfs.PageStore.Interop;
using RecoveryVfs.PageStore.Rocks;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.PageStore.Tests;

/// <summary>
/// A process that lets one step of RocksDB's after the other fail: each open, write and sync, once or from then on, and
/// goes on as a host would. Whatever fails, the store opens again and has what was persisted.
/// </summary>
public static class FaultSteps
{
    // Most of a trial is RocksDB waiting for a second after a failure.
    const int AtATime = 16;

    const double AlwaysCollect = -1;

    /// <summary>What fails, and after how many steps.</summary>
    internal readonly record struct Trial(FaultOperations Operations, FaultError Error, bool Forever, int Skip)
    {
        public override string ToString() => $"{Operations} {Error} {(Forever ? "forever" : "once")} after {Skip}";
    }

    /// <summary>Reads trials from the input, a line each, as <see cref="Format"/> makes them.</summary>
    public static void Run(string directory)
    {
        Parallel.ForEach(Lines(), new ParallelOptions { MaxDegreeOfParallelism = AtATime }, line =>
        {
            var trial = Parse(line);
            lock (Console.Out) Console.WriteLine($"begins {trial}");
            Try(Path.Combine(directory, line), trial);
            lock (Console.Out) Console.WriteLine($"ends {trial}");
        });
    }

    internal static string Format(Trial trial)
        => $"{(int)trial.Operations}-{(int)trial.Error}-{(trial.Forever ? 1 : 0)}-{trial.Skip}";

    static Trial Parse(string line)
    {
        var parts = line.Split('-').Select(int.Parse).ToArray();
        return new Trial((FaultOperations)parts[0], (FaultError)parts[1], parts[2] == 1, parts[3]);
    }

    static IEnumerable<string> Lines()
    {
        while (Console.ReadLine() is { } line) yield return line;
    }

    static void Try(string directory, Trial trial)
    {
        var history = new History(seed: 11);
        var persisted = 0ul;
        for (var round = 0; round < 2; round++)
            persisted = Math.Max(persisted, WriteUnderFaults(directory, history, trial, healed: round == 0));
        using (var store = RocksPageStore.Open(new() { Directory = directory }))
        {
            if (store.Applied < persisted)
                throw new InvalidOperationException(
                    $"{trial}: {persisted} was persisted, and {store.Applied} came back");
            history.Check(store);
            history.WriteTo(store, store.Applied + 3);
            store.Flush();
        }
        Directory.Delete(directory, recursive: true);
    }

    static ulong WriteUnderFaults(string directory, History history, Trial trial, bool healed)
    {
        var files = new RecordedFiles(null, faults: true);
        files.Fail(trial.Operations, "", trial.Error, trial.Skip, trial.Forever ? -1 : 1);
        RocksPageStore store;
        try
        {
            store = RocksPageStore.Open(
                new()
                {
                    Directory = directory,
                    Files = files,
                    WriteBufferBytes = 128 << 10,
                    GarbageShareMax = AlwaysCollect
                });
        }
        catch (RecoveryException)
        {
            return 0;
        }
        using (store)
        {
            for (var step = 0; step < 8; step++)
            {
                Allow(() => history.WriteTo(store, store.Applied + 4));
                Allow(store.Flush);
                if (step % 3 == 1) Allow(() => store.CollectGarbage(default));
            }
            if (healed) files.Heal();
            Allow(() => history.WriteTo(store, store.Applied + 4));
            Allow(store.Flush);
            return store.PersistedApplied;
        }
    }

    static void Allow(Action action)
    {
        try
        {
            action();
        }
        catch (RecoveryException)
        {
            // What fails says so.
        }
    }
}
