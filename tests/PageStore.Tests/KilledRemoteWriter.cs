using System.Globalization;
using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.PageStore.Replicas;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Writing;
using RecoveryVfs.RecoveryLog.Remote.Collect;

namespace RecoveryVfs.PageStore.Tests;

/// <summary>
/// A process that ships what it commits until it is killed. Its one database is a function of the number of commits, so
/// that whatever comes back can be compared byte for byte. It says <c>found N</c> when it has opened the store,
/// <c>local N</c> when commit N returned, and <c>remote N</c> when the remote has it.
/// </summary>
internal static class KilledRemoteWriter
{
    public const string Name = "a.db";

    const int PageBytes = 4096, Pages = 96, WritesMax = 6;

    public static void Run(string directory, string url)
    {
        // On a machine with nothing it begins lazily.
        StoreRestore.RestoreIfGone(OptionsFor(directory, url), lazily: true);
        using var store = Store.Open(OptionsFor(directory, url));
        var database = store.Create(Name);
        Console.WriteLine($"found {NumberIn(database)}");
        for (var number = NumberIn(database) + 1; ; number++)
        {
            using var overlay = store.BeginOverlay(database, database.Current);
            foreach (var page in PagesOf(number)) overlay.Write(page * (long)PageBytes, Content(number, page));
            var lsn = store.Commit([overlay], durable: true);
            Console.WriteLine($"local {number}");
            if (number % 7 != 0) continue;
            store.WaitRestorable(lsn);
            Console.WriteLine($"remote {number}");
        }
    }

    /// <summary>Everything often: hints every few commits, and collection of all that may go.</summary>
    public static StoreOptions OptionsFor(string directory, string? url) => new()
    {
        Directory = directory,
        PageCacheBytes = 1 << 20,
        PendingBytes = 1 << 20,
        LogBytesBetweenFlushes = 1 << 20,
        Remote = url is null ? null : new RemoteOptions
        {
            Url = url,
            SyncInterval = TimeSpan.FromMilliseconds(5),
            HintsBytes = 256 << 10,
            Retention = new Retention { Keep = TimeSpan.Zero, KeepHints = 1, ReaderGrace = TimeSpan.Zero },
        },
    };

    /// <summary>The number of commits that a database shows; everything in it must be what they left.</summary>
    public static long Check(Store store)
    {
        Assert.Empty(store.Verify(null, default));
        if (store.Find(Name) is not { } database) return 0;
        var number = NumberIn(database);
        var expected = new byte[Pages * PageBytes];
        var size = 0;
        for (var n = 1L; n <= number; n++)
            foreach (var page in PagesOf(n))
            {
                Content(n, page).CopyTo(expected, page * PageBytes);
                size = Math.Max(size, (page + 1) * PageBytes);
            }
        var bytes = new byte[database.Current.SizeBytes];
        Assert.Equal(bytes.Length, database.Read(database.Current, 0, bytes));
        Assert.True(bytes.AsSpan().SequenceEqual(expected.AsSpan(0, size)),
            string.Create(CultureInfo.InvariantCulture, $"after {number} commits the bytes differ"));
        return number;
    }

    static long NumberIn(Database database)
    {
        var bytes = new byte[8];
        return database.Current.SizeBytes == 0
            ? 0 : database.Read(database.Current, 0, bytes) == 8 ? BitConverter.ToInt64(bytes) : -1;
    }

    /// <summary>Page 0, which has the number, and a few more.</summary>
    static IEnumerable<int> PagesOf(long number)
    {
        var random = new Random((int)number);
        return Enumerable.Range(0, random.Next(1, WritesMax)).Select(_ => random.Next(1, Pages)).Distinct().Prepend(0)
            .ToList();
    }

    static byte[] Content(long number, int page)
    {
        var bytes = new byte[PageBytes];
        new Random((int)number * 1000 + page).NextBytes(bytes);
        if (page == 0) BitConverter.TryWriteBytes(bytes, number);
        return bytes;
    }
}
