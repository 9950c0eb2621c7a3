using System.Globalization;
using RecoveryVfs.PageStore.Interop;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Writing;
using Xunit.Abstractions;

namespace RecoveryVfs.Tests;

/// <summary>Nothing else runs meanwhile: what these tests measure is the whole process.</summary>
[CollectionDefinition(nameof(LargeTests), DisableParallelization = true)]
public sealed class Alone;

/// <summary>Large databases, large transactions, many databases; and what they may take.</summary>
[Collection(nameof(LargeTests))]
public sealed class LargeTests(ITestOutputHelper output)
{
    const long MiB = 1 << 20;
    const long FourGiB = 4096 * MiB;

    [Fact]
    public void A_database_grows_past_4_GiB_and_shrinks_again()
    {
        using var store = new TestStore();
        var db = store.Open();
        db.Do("CREATE TABLE small(x); INSERT INTO small VALUES('below')");
        store.Close();
        Extend(store, FourGiB - 20 * 4096);

        // From here on SQLite's new pages lie around and past 4 GiB.
        db = store.Open();
        db.Do("CREATE TABLE big(id INTEGER PRIMARY KEY, x BLOB); CREATE INDEX bylength ON big(length(x), id);"
            + "WITH c(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM c WHERE i<2000) INSERT INTO big SELECT i, "
                + "zeroblob(i%1000) || hex(i) FROM c");
        const string Content =
            "SELECT count(*), sum(length(x)), sum(hex(i)=substr(x, -length(hex(i)))) FROM (SELECT id AS i, CAST(x AS "
                + "TEXT) AS x FROM big)";
        var content = db.Do(Content);
        Assert.True(long.Parse(db.Do("PRAGMA page_count"), CultureInfo.InvariantCulture) * 4096 > FourGiB + 100 * 4096);
        db.Do("BEGIN; UPDATE big SET x=zeroblob(3000); DELETE FROM small; ROLLBACK");
        Assert.Equal(content, db.Do(Content));
        store.Close();

        // In a WAL, and back through a checkpoint.
        db = store.Open();
        Assert.Equal($"wal {content}",
            db.Do("PRAGMA journal_mode=wal; UPDATE small SET x=x||'!'; INSERT INTO big SELECT 3000, 'last'; DELETE "
                + $"FROM big WHERE id=3000; {Content}"));
        Assert.Equal("delete", db.Do("PRAGMA journal_mode=delete"));
        store.Close();
        db = store.Open();
        Assert.Equal($"{content} below! ok", db.Do($"{Content}; SELECT x FROM small; PRAGMA recovery_verify"));

        var copy = store.PathOf("copy.db");
        db.Do($"VACUUM INTO 'file:{copy}?vfs=unix'; VACUUM");
        Assert.True(new FileInfo(copy).Length < 20 * MiB);
        Assert.Equal($"{content} ok ok", db.Do($"{Content}; PRAGMA integrity_check; PRAGMA recovery_verify"));
        Assert.True(long.Parse(db.Do("PRAGMA page_count"), CultureInfo.InvariantCulture) < 5000);
        store.Close();
        Assert.Equal($"{content} ok", store.Open().Do($"{Content}; PRAGMA integrity_check"));
    }

    /// <summary>
    /// Makes a database large without writing what lies between: its header says so, and the last page is there.
    /// </summary>
    static void Extend(TestStore directory, long sizeBytes)
    {
        using var store = Store.Open(new StoreOptions { Directory = directory.PathOf(".recovery") });
        var database = store.Find("a.db")!;
        using var overlay = store.BeginOverlay(database, database.Current);
        var header = new byte[100];
        overlay.Read(0, header);
        System.Buffers.Binary.BinaryPrimitives.WriteUInt32BigEndian(header.AsSpan(28), (uint)(sizeBytes / 4096));
        overlay.Write(0, header);
        overlay.Write(sizeBytes - 4096, new byte[4096]);
        store.Commit([overlay], durable: true);
    }

    [Fact, Trait(Seeds.Kind, Seeds.Big)]
    public void A_transaction_of_1_GiB_stays_within_its_memory()
    {
        using var store = new TestStore("overlay-budget=64M");
        var db = store.Open();
        db.Do("PRAGMA cache_size=-2000; CREATE TABLE t(id INTEGER PRIMARY KEY, x BLOB)");
        var (before, started) = (Memory.ResetPeak(), Environment.TickCount64);
        db.Do("BEGIN; WITH c(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM c WHERE i<131072) INSERT INTO t SELECT i, "
            + "randomblob(8100) FROM c");
        var (written, wrote) = (Memory.Peak - before, Environment.TickCount64 - started);
        db.Do("COMMIT");
        var (committed, done) = (Memory.Peak - before, Environment.TickCount64 - started);
        output.WriteLine(
            $"{written / MiB} MiB more while writing ({wrote} ms), {committed / MiB} MiB at most (committed after "
                + $"{done} ms)");
        Assert.Equal("131072 1061683200 ok", db.Do("SELECT count(*), sum(length(x)) FROM t; PRAGMA recovery_verify"));
        // The overlay's budget, the page cache, pending pages, RocksDB's write buffers (2 x 32 MB), and some room for
        // the runtime.
        Assert.InRange(committed, 0, (64 + 64 + 32 + 64 + 96) * MiB);
        var rolledBack = Memory.ResetPeak();
        db.Do("BEGIN; UPDATE t SET x=zeroblob(100); ROLLBACK");
        Assert.InRange(Memory.Peak - rolledBack, -FourGiB, (64 + 64 + 32 + 64 + 96) * MiB);
        store.Close();
        Assert.Equal("131072 1061683200 ok",
            store.Open().Do("SELECT count(*), sum(length(x)) FROM t; PRAGMA integrity_check"));
    }

    [Fact]
    public void Two_thousand_databases_in_one_store_take_little_memory_and_few_descriptors()
    {
        const int Count = 2000;
        using var store = new TestStore();
        Use(store, 0, 100);
        var (memory, descriptors, started) = (Memory.ResetPeak(), Memory.Descriptors, Environment.TickCount64);
        Use(store, 100, Count);
        output.WriteLine(
            $"{Count} databases in {Environment.TickCount64 - started} ms: {(Memory.Peak - memory) / MiB} MiB and "
                + $"{Memory.Descriptors - descriptors} descriptors more");
        // A hundred of them open at once, and 2000 in the catalog: some tens of kilobytes each at most.
        Assert.InRange(Memory.Peak - memory, -FourGiB, 200 * MiB);
        Assert.InRange(Memory.Descriptors - descriptors, -1000, 60);
        store.Close();

        started = Environment.TickCount64;
        Assert.Equal("1", store.Open("0.db").Do("SELECT x FROM t"));
        output.WriteLine($"reopened in {Environment.TickCount64 - started} ms");
        Assert.Equal(Count, Recovery.Databases(store.Directory).Count);
        for (var i = 1; i < Count; i += 7)
        {
            using var db = store.Open($"{i}.db");
            Assert.Equal($"{i + 1} ok",
                db.Do($"SELECT x FROM t; PRAGMA {(i % 10 == 1 ? "recovery_verify" : "quick_check")}"));
        }
    }

    /// <summary>Creates databases, with a hundred of them open at a time.</summary>
    static void Use(TestStore store, int from, int to)
    {
        var open = new Queue<Microsoft.Data.Sqlite.SqliteConnection>();
        for (var i = from; i < to; i++)
        {
            var db = store.Open($"{i}.db");
            db.Do($"PRAGMA synchronous=OFF; CREATE TABLE t(x); INSERT INTO t VALUES({i + 1})");
            open.Enqueue(db);
            if (open.Count > 100) open.Dequeue().Dispose();
        }
        while (open.TryDequeue(out var db)) db.Dispose();
    }

    /// <summary>What the kernel says about this process.</summary>
    static class Memory
    {
        public static int Descriptors => Directory.GetFileSystemEntries("/proc/self/fd").Length;

        /// <summary>The most resident memory since <see cref="ResetPeak"/>.</summary>
        public static long Peak => Status("VmHWM:");

        /// <summary>Begins anew; returns what is resident now.</summary>
        public static long ResetPeak()
        {
            GC.Collect();
            File.WriteAllText("/proc/self/clear_refs", "5");
            return Status("VmRSS:");
        }

        static long Status(string name) =>
            long.Parse(File.ReadLines("/proc/self/status")
                .First(line => line.StartsWith(name, StringComparison.Ordinal))[name.Length..].Replace("kB", "").Trim(),
                CultureInfo.InvariantCulture) << 10;
    }
}
