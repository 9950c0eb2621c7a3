using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using Microsoft.Data.Sqlite;
using RecoveryVfs.Opening;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.Simulation;
using Xunit.Abstractions;

namespace RecoveryVfs.Tests;

/// <summary>
/// Connections that write one database wait in line, and each begins while the commit before it is at the disk. Nobody
/// is told what a loss of power can take back.
/// </summary>
public sealed class ManyWritersTests(ITestOutputHelper output)
{
    const int Waiting = 60;

    const string Schema =
        "CREATE TABLE a(id INTEGER PRIMARY KEY, v INT, pad BLOB); CREATE TABLE ver(n INT UNIQUE); CREATE INDEX i ON "
        + "a(v); INSERT INTO ver VALUES(0); WITH c(i) AS (SELECT 0 UNION ALL SELECT i+1 FROM c WHERE i<19) INSERT INTO "
            + "a SELECT i,100,zeroblob(80) FROM c";

    static ulong AppendedTo(TestStore store)
        => OpenDatabases.Find(Encoding.UTF8.GetBytes(store.PathOf("a.db")))!.Store.Store.Lsn.Last;

    static List<Thread> InThreads(int count, Action<int> work, ConcurrentQueue<Exception> strange)
    {
        var threads = Enumerable.Range(0, count).Select(i => new Thread(() =>
        {
            try
            {
                work(i);
            }
            catch (Exception e)
            {
                strange.Enqueue(e);
            }
        })).ToList();
        threads.ForEach(t => t.Start());
        return threads;
    }

    static void Join(List<Thread> threads)
        => threads.ForEach(t => Assert.True(t.Join(TimeSpan.FromMinutes(2)), "a writer waits for ever"));

    /// <summary>Keeps each sync of the log until that many commits are appended.</summary>
    static void HoldSyncs(SimulatedDisk disk, TestStore store, ulong until)
        => disk.Disk.Before = (call, path) =>
        {
            if (call == DiskCall.SyncData && path.Contains("log", StringComparison.Ordinal)
                && !SpinWait.SpinUntil(() => AppendedTo(store) >= until, TimeSpan.FromSeconds(Waiting)))
                throw new RecoveryException(RecoveryError.IoSync, "No commit follows the one at the disk.");
        };

    [Theory, InlineData(""), InlineData("journal=plain")]
    public void Commits_of_one_database_share_a_sync(string options)
    {
        using var store = new TestStore(options);
        using var disk = new SimulatedDisk(store);
        store.Open().Do(Schema + "; CREATE TABLE b(x)");
        var writers = Enumerable.Range(0, 3).Select(_ => store.Open(timeoutSeconds: Waiting)).ToList();
        writers.ForEach(w => w.Do("PRAGMA synchronous=FULL; SELECT count(*) FROM b"));
        // A plain journal is synced itself.
        if (options.Length == 0) HoldSyncs(disk, store, AppendedTo(store) + 3);
        var strange = new ConcurrentQueue<Exception>();
        Join(InThreads(3, i => writers[i].Do($"INSERT INTO b VALUES({i})"), strange));
        disk.Disk.Before = null;
        Assert.Empty(strange);
        Assert.Equal("3 ok ok",
            store.Open().Do("SELECT count(*) FROM b; PRAGMA integrity_check; PRAGMA recovery_verify"));
        store.Close();
    }

    [Fact]
    public void A_reader_sees_no_commit_that_is_at_the_disk_and_does_not_wait_for_it()
    {
        using var store = new TestStore();
        using var disk = new SimulatedDisk(store);
        var reader = store.Open();
        reader.Do(Schema + "; CREATE TABLE b(x)");
        var writers = Enumerable.Range(0, 2).Select(_ => store.Open(timeoutSeconds: Waiting)).ToList();
        var before = AppendedTo(store);
        using var seen = new ManualResetEventSlim();
        disk.Disk.Before = (call, path) =>
        {
            if (call == DiskCall.SyncData && path.Contains("log", StringComparison.Ordinal))
                seen.Wait(TimeSpan.FromSeconds(Waiting));
        };
        var strange = new ConcurrentQueue<Exception>();
        var threads = InThreads(2, i => writers[i].Do($"INSERT INTO b VALUES({i})"), strange);
        Assert.True(SpinWait.SpinUntil(() => AppendedTo(store) >= before + 2, TimeSpan.FromSeconds(Waiting)));
        Assert.Equal("0", reader.Do("SELECT count(*) FROM b"));
        Assert.Equal("0", store.Open().Do("SELECT count(*) FROM b"));
        // Without a busy handler it is refused, as by any writer.
        Assert.StartsWith("!", reader.Try("BEGIN; SELECT count(*) FROM b; INSERT INTO b VALUES(9)"));
        reader.Do("ROLLBACK");
        seen.Set();
        Join(threads);
        disk.Disk.Before = null;
        Assert.Empty(strange);
        Assert.Equal("2", reader.Do("SELECT count(*) FROM b"));
        store.Close();
    }

    [Theory, InlineData("ROLLBACK"), InlineData("COMMIT")]
    public void A_write_transaction_that_has_seen_a_commit_at_the_disk_ends_after_it(string end)
    {
        using var store = new TestStore();
        using var disk = new SimulatedDisk(store);
        store.Open().Do(Schema + "; CREATE TABLE b(x)");
        var writers = Enumerable.Range(0, 2).Select(_ => store.Open(timeoutSeconds: Waiting)).ToList();
        var before = AppendedTo(store);
        using var seen = new ManualResetEventSlim();
        using var atDisk = new ManualResetEventSlim();
        var isDurable = false;
        disk.Disk.Before = (call, path) =>
        {
            if (call != DiskCall.SyncData || !path.Contains("log", StringComparison.Ordinal)) return;
            atDisk.Set();
            seen.Wait(TimeSpan.FromSeconds(Waiting));
            Volatile.Write(ref isDurable, true);
        };
        var strange = new ConcurrentQueue<Exception>();
        var rows = "";
        var threads = InThreads(2, i =>
        {
            if (i == 0) writers[0].Do("INSERT INTO b VALUES(1)");
            else
            {
                atDisk.Wait(TimeSpan.FromSeconds(Waiting));
                // Its first try is refused: it has the version before. After its sleep it has the newest.
                writers[1].Do("BEGIN IMMEDIATE");
                rows = writers[1].Do("SELECT count(*) FROM b");
                seen.Set();
                writers[1].Do(end);
                Assert.True(Volatile.Read(ref isDurable), "it ended before what it has seen was durable");
            }
        }, strange);
        Join(threads);
        disk.Disk.Before = null;
        Assert.Empty(strange);
        Assert.Equal("1", rows);
        Assert.Equal(before + 1, AppendedTo(store));
        store.Close();
    }

    /// <summary>Attached to a plain database, the file is not told of the mode: SQLite asks the plain one.</summary>
    [Theory, InlineData("PRAGMA locking_mode=EXCLUSIVE", false), InlineData("PRAGMA locking_mode=EXCLUSIVE", true),
        InlineData("BEGIN IMMEDIATE; PRAGMA locking_mode=EXCLUSIVE; INSERT INTO b VALUES(0); COMMIT", true)]
    public void A_connection_with_exclusive_locking_keeps_its_place_from_commit_to_commit(string becomes, bool attached)
    {
        using var store = new TestStore();
        store.Open().Do(Schema + "; CREATE TABLE b(x)");
        var others = Enumerable.Range(0, 3).Select(_ => store.Open(timeoutSeconds: 1)).ToList();
        using var plain = new SqliteConnection($"Data Source=file:{store.PathOf("plain.db")}?vfs=unix;Pooling=False");
        plain.Open();
        var exclusive = attached ? plain : store.Open();
        if (attached) exclusive.Do($"ATTACH '{store.UriOf("a.db")}' AS x");
        exclusive.Do("SELECT count(*) FROM b; " + becomes + "; INSERT INTO b VALUES(0)");
        var over = false;
        var strange = new ConcurrentQueue<Exception>();
        var answers = new ConcurrentBag<string>();
        var threads = InThreads(3, i =>
        {
            while (!Volatile.Read(ref over)) answers.Add(others[i].Try("INSERT INTO b VALUES(1)"));
        }, strange);
        while (answers.Count < 3 && strange.IsEmpty) exclusive.Do("INSERT INTO b VALUES(0)");
        Volatile.Write(ref over, true);
        Join(threads);
        Assert.Empty(strange);
        Assert.All(answers, a => Assert.Equal("!5", a));
        exclusive.Do("PRAGMA locking_mode=NORMAL; SELECT count(*) FROM b");
        others[0].Do("INSERT INTO b VALUES(1)");
        Assert.Equal("1 ok ok",
            others[1].Do("SELECT sum(x) FROM b; PRAGMA integrity_check; PRAGMA recovery_verify"));
    }

    [Theory, Trait(Seeds.Kind, Seeds.Random)]
    [InlineData(1, "delete", "", false), InlineData(2, "delete", "", true),
        InlineData(3, "delete", "journal=plain", true), InlineData(4, "truncate", "", true)]
    public void Whatever_happens_to_the_disk_all_that_anybody_was_told_is_there(int first, string mode, string options,
        bool fails) => Seeds.RunFor(2, 100 * first, (seed, _) =>
    {
        output.WriteLine($"seed={seed} {mode} {options}");
        new Crowd(new Random(seed), mode, options, fails).Run();
    });

    /// <summary>Writers and readers on one database, and images of the disk with what had been told by then.</summary>
    sealed class Crowd(Random random, string mode, string options, bool fails)
    {
        const int Writers = 4, Steps = 12;

        // Of each commit's number in `ver`: the highest that returned or was read, and how many were tried.
        int told, tried, over;
        readonly List<(PowerLossDisk Disk, int AtLeast, int AtMost)> images = [];
        readonly ConcurrentQueue<Exception> strange = new();
        PowerLossDisk? last;

        public void Run()
        {
            using (var store = new TestStore(options))
            using (var disk = new SimulatedDisk(store))
            {
                store.Open().Do($"PRAGMA page_size=512; PRAGMA journal_mode={mode}; {Schema}");
                var seeds = Enumerable.Range(0, Writers + 1).Select(_ => random.Next()).ToArray();
                var connections = seeds.Select(_ => store.Open(timeoutSeconds: Waiting)).ToArray();
                foreach (var each in connections)
                    each.Do($"PRAGMA journal_mode={mode}; PRAGMA cache_size=4; PRAGMA synchronous=FULL");
                disk.Disk.Before = (_, _) => TakeImage(disk.Disk);
                if (fails) disk.Disk.Fail(DiskCall.SyncData, random.Next(2, 60), RecoveryError.IoSync);
                var reader = InThreads(1, _ => Read(connections[Writers], new Random(seeds[Writers])), strange);
                Join(InThreads(Writers, i => Write(connections[i], new Random(seeds[i])), strange));
                Volatile.Write(ref over, 1);
                Join(reader);
                disk.Disk.Before = null;
                Assert.Empty(strange);
                disk.Disk.ClearFaults();
                last = disk.Disk;
                store.Close();
            }
            foreach (var (image, atLeast, atMost) in images) Check(image, atLeast, atMost);
            // All were durable: none that failed is found, and none that returned is missing.
            Check(last, told, told);
        }

        void TakeImage(PowerLossDisk disk)
        {
            if (images.Count > 12 || random.Next(25) != 0) return;
            var atLeast = Volatile.Read(ref told);
            var image = random.Next(2) == 0 ? disk.AfterPowerLoss(disk.OldestPending) : disk.AfterPowerLoss(random);
            images.Add((image, atLeast, Volatile.Read(ref tried)));
        }

        void Write(SqliteConnection db, Random own)
        {
            for (var step = 0; step < Steps; step++)
            {
                var what = own.Next(8);
                var moved = own.Next(20);
                var pad = own.Next(300);
                var change =
                    $"UPDATE a SET v=v-{moved}, pad=zeroblob({pad}) WHERE id={own.Next(20)}; "
                    + $"UPDATE a SET v=v+2000-(SELECT sum(v) FROM a) WHERE id={own.Next(20)}";
                if (what == 0)
                {
                    // A statement that fails has seen the row that it fails for.
                    var answer = db.Try("INSERT INTO ver SELECT n FROM ver");
                    if (!IsTrouble(answer)) Assert.Equal("!2067", answer);
                    continue;
                }
                if (what == 1)
                {
                    // Refused by whoever writes, or by its own snapshot.
                    db.Try($"BEGIN; SELECT n FROM ver; {change}; ROLLBACK");
                    if (SQLitePCL.raw.sqlite3_get_autocommit(db.Handle) == 0) db.Try("ROLLBACK");
                    continue;
                }
                if (what == 2)
                {
                    var answer = db.Try($"BEGIN IMMEDIATE; {change}; SELECT n FROM ver; ROLLBACK");
                    // SQLite has no error for ROLLBACK: that what it had seen failed is said by LastError.
                    if (answer.StartsWith('!') || Recovery.LastError.Length == 0) Told(answer, db);
                    else Assert.Equal("!8", db.Try("BEGIN IMMEDIATE"));
                    continue;
                }
                Interlocked.Increment(ref tried);
                Told(db.Try($"BEGIN IMMEDIATE; {change}; UPDATE ver SET n=n+1; SELECT n FROM ver; COMMIT"), db);
            }
        }

        /// <summary>SQLITE_READONLY or SQLITE_IOERR: the disk has failed.</summary>
        static bool IsTrouble(string answer) => answer.StartsWith('!')
            && (int.Parse(answer[1..], CultureInfo.InvariantCulture) & 0xff) is (8 or 10);

        void Told(string answer, SqliteConnection db)
        {
            if (!answer.StartsWith('!')) Raise(int.Parse(answer, CultureInfo.InvariantCulture));
            else if (!fails || !IsTrouble(answer))
                throw new InvalidOperationException($"{answer} {Recovery.LastError}");
            else if (SQLitePCL.raw.sqlite3_get_autocommit(db.Handle) == 0) db.Try("ROLLBACK");
        }

        void Read(SqliteConnection db, Random own)
        {
            while (Volatile.Read(ref over) == 0)
            {
                var answer = db.Try("SELECT n, (SELECT sum(v) FROM a) FROM ver");
                // A plain journal that could not be deleted has to be rolled back.
                if (fails && IsTrouble(answer)) return;
                var rows = answer.Split(' ');
                Assert.Equal("2000", rows[1]);
                Raise(int.Parse(rows[0], CultureInfo.InvariantCulture));
                if (own.Next(4) == 0) Thread.Yield();
            }
        }

        void Raise(int to)
        {
            for (var now = Volatile.Read(ref told); now < to;)
            {
                var before = Interlocked.CompareExchange(ref told, to, now);
                if (before == now) return;
                now = before;
            }
        }

        void Check(PowerLossDisk image, int atLeast, int atMost)
        {
            using var copy = new TestStore(options);
            using var disk = new SimulatedDisk(copy, image);
            var db = copy.Open();
            Assert.Equal("ok 2000 20 2000 ok", db.Do("PRAGMA integrity_check; SELECT sum(v), count(*) FROM a; "
                + "SELECT sum(v) FROM a INDEXED BY i WHERE v>-1000000; PRAGMA recovery_verify"));
            Assert.InRange(int.Parse(db.Do("SELECT n FROM ver"), CultureInfo.InvariantCulture), atLeast, atMost);
            db.Do("UPDATE ver SET n=n+1");
            copy.Close();
        }
    }
}
