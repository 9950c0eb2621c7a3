using System.Globalization;
using Microsoft.Data.Sqlite;
using RecoveryVfs.Handles;
using RecoveryVfs.Names;
using RecoveryVfs.Opening;
using SQLitePCL;
using Xunit.Abstractions;

namespace RecoveryVfs.Tests;

/// <summary>
/// Random work on one database: transfers that keep a sum, savepoints, VACUUM, page sizes, journal modes, exclusive
/// locking. Bounded in time.
/// </summary>
[Trait(Seeds.Kind, Seeds.Random)]
public sealed class StressTests(ITestOutputHelper output)
{
    const int Accounts = 60;

    static readonly string Setup =
        "PRAGMA page_size=1024; PRAGMA auto_vacuum=2; CREATE TABLE acct(id INTEGER PRIMARY KEY, v INT, pad BLOB, len "
            + "INT);"
        + "CREATE TABLE ver(n INT); INSERT INTO ver VALUES(0); CREATE TABLE junk(x); CREATE INDEX ai ON acct(v);"
        + $"WITH c(i) AS (SELECT 0 UNION ALL SELECT i+1 FROM c WHERE i<{Accounts - 1}) INSERT INTO acct SELECT "
            + "i,1000,zeroblob(300),300 FROM c";

    [Theory]
    [InlineData(1, "", false), InlineData(2, "", true), InlineData(3, "", true), InlineData(4, "journal=plain", true),
        InlineData(5, "pages=memory", true)]
    public void One_thread_with_four_connections_sees_exact_versions(int first, string options,
        bool wal) => Seeds.RunFor(4, first, (seed, end) =>
    {
        output.WriteLine($"seed={seed} options={options} wal={wal}");
        using var store = new TestStore(options);
        new Connections(store, new Random(seed), wal, output).Run(Seeds.Soaking ? 20_000 : 1500, end);
    });

    /// <summary>
    /// The single-threaded stress: because steps do not overlap, the newest version is known exactly.
    /// </summary>
    sealed class Connections(TestStore store, Random random, bool wal, ITestOutputHelper output)
    {
        sealed class Client(SqliteConnection connection)
        {
            public readonly SqliteConnection Connection = connection;
            public bool Inside, Wrote;
            public long Last = -1, Snapshot = -1;
        }

        readonly Client[] clients = new Client[4];
        long committed;
        int step;
        string result = "";
        readonly Dictionary<string, int> counts = [];

        Client Open()
        {
            var client = new Client(store.Open());
            client.Connection.Do("PRAGMA cache_size=8; PRAGMA synchronous=NORMAL");
            return client;
        }

        void Count(string what) => counts[what] = counts.GetValueOrDefault(what) + 1;

        Exception Bad(string what) => new InvalidOperationException($"step {step}: {what} [{Recovery.LastError}]");

        bool Execute(Client client, string sql)
        {
            result = client.Connection.Try(sql);
            if (!result.StartsWith('!')) return true;
            var code = int.Parse(result[1..], CultureInfo.InvariantCulture) & 0xff;
            if (code is raw.SQLITE_BUSY or raw.SQLITE_LOCKED) Count("busy");
            // Misuse of transactions by the random steps: "cannot start a transaction within a transaction" and its
            // kin.
            else if (code != raw.SQLITE_ERROR)
                throw Bad($"{sql} -> {result} {raw.sqlite3_errmsg(client.Connection.Handle).utf8_to_string()}");
            return false;
        }

        void Check(Client client)
        {
            if (!Execute(client,
                "SELECT (SELECT n FROM ver), (SELECT sum(v) FROM acct), (SELECT count(*) FROM acct WHERE "
                    + "length(pad)!=len),"
                    + "(SELECT count(*) FROM acct), (SELECT sum(v) FROM acct INDEXED BY ai WHERE v>-1000000)")) return;
            Count("read");
            var n = long.Parse(result.Split(' ')[0], CultureInfo.InvariantCulture);
            if (result != $"{n} {1000 * Accounts} 0 {Accounts} {1000 * Accounts}") throw Bad("saw " + result);
            if (client.Inside)
            {
                if (client.Snapshot >= 0 && n != client.Snapshot && !client.Wrote)
                    throw Bad($"the snapshot moved from {client.Snapshot} to {n}");
                client.Snapshot = n;
            }
            else if (n < committed) throw Bad($"read version {n}, newest is {committed}");
            if (n < client.Last) throw Bad($"went back from {client.Last} to {n}");
            if (!client.Wrote) client.Last = n;
        }

        bool Transfer(Client client)
        {
            var (a, b, amount, length) =
                (random.Next(Accounts), random.Next(Accounts), random.Next(50), 1 + random.Next(1500));
            if (a == b) return true;
            foreach (var sql in (string[])[
                $"UPDATE acct SET v=v-{amount}, pad=randomblob({length}), len={length} WHERE id={a}",
                $"UPDATE acct SET v=v+{amount} WHERE id={b}",
                "UPDATE ver SET n=n+1"])
            {
                if (!Execute(client, sql)) return false;
                client.Wrote = true;
            }
            return true;
        }

        void End(Client client, bool commit)
        {
            if (!client.Inside) return;
            if (commit)
            {
                var version = client.Connection.Try("SELECT n FROM ver");
                if (!Execute(client, "COMMIT"))
                {
                    if (!client.Wrote || random.Next(2) == 1) End(client, false);
                    return;
                }
                if (client.Wrote) committed = client.Last = long.Parse(version, CultureInfo.InvariantCulture);
                Count("commit");
            }
            else if (raw.sqlite3_get_autocommit(client.Connection.Handle) == 0)
            {
                client.Connection.Do("ROLLBACK");
                Count("rollback");
            }
            client.Inside = client.Wrote = false;
            client.Snapshot = -1;
        }

        void Transact(Client client)
        {
            if (!Execute(client, "BEGIN")) return;
            client.Inside = true;
            End(client, Transfer(client));
            if (client.Inside) End(client, false);
        }

        public void Run(int steps, long end)
        {
            using (var setup = store.Open()) setup.Do(Setup);
            for (var i = 0; i < clients.Length; i++) clients[i] = Open();
            for (step = 0; step < steps && Environment.TickCount64 < end; step++) Step();
            foreach (var client in clients) End(client, false);
            foreach (var client in clients)
            {
                Check(client);
                if (Execute(client, "PRAGMA integrity_check; PRAGMA recovery_verify") && result != "ok ok")
                    throw Bad(result);
            }
            output.WriteLine(
                $"{step} steps: {string.Join(' ', counts.Select(c => $"{c.Key}={c.Value}"))} version={committed}");
        }

        void Step()
        {
            var at = random.Next(clients.Length);
            var client = clients[at];
            switch (random.Next(20))
            {
                case <= 2 when !client.Inside:
                    if (!Execute(client, Any("BEGIN", "BEGIN IMMEDIATE", "BEGIN EXCLUSIVE"))) break;
                    client.Inside = true;
                    break;
                case <= 6:
                    Check(client);
                    break;
                case <= 9:
                    if (!client.Inside) Transact(client);
                    else if (!Transfer(client)) End(client, false);
                    break;
                case <= 11:
                    End(client, true);
                    break;
                case 12:
                    End(client, false);
                    break;
                case 13 when client.Inside:
                    if (!Execute(client, "SAVEPOINT s")) break;
                    if (!Transfer(client) || !Transfer(client))
                    {
                        End(client, false);
                        break;
                    }
                    Execute(client, Any("ROLLBACK TO s", "RELEASE s"));
                    Execute(client, "RELEASE s");
                    break;
                case 14 when !client.Inside && random.Next(3) == 0:
                    Execute(client, $"PRAGMA page_size={512 << random.Next(5)}");
                    if (Execute(client, "VACUUM")) Count("vacuum");
                    break;
                case 15 when !client.Inside:
                    Execute(client, "PRAGMA journal_mode="
                        + (wal && random.Next(2) == 0 ? "wal" : Any("delete", "truncate", "persist", "memory", "off")));
                    Count("mode");
                    break;
                case 16 when !client.Inside:
                    if (random.Next(2) == 0) Execute(client, "INSERT INTO junk SELECT randomblob(700) FROM acct");
                    else if (Execute(client, "DELETE FROM junk")) Execute(client, "PRAGMA incremental_vacuum(20)");
                    break;
                case 17 when !client.Inside:
                    if (random.Next(2) == 0) Reopen(at);
                    else Execute(client, $"PRAGMA wal_checkpoint({Any("PASSIVE", "FULL", "RESTART", "TRUNCATE")})");
                    break;
                case 18 when !client.Inside && random.Next(4) == 0:
                    Execute(client, "PRAGMA locking_mode=exclusive");
                    for (var i = 0; i < 4; i++)
                    {
                        Transact(client);
                        Check(client);
                        var other = clients[random.Next(clients.Length)];
                        if (other != client) Check(other);
                    }
                    Reopen(at);
                    break;
                case 19 when random.Next(8) == 0:
                    Count("integrity");
                    if (Execute(client, "PRAGMA integrity_check") && result != "ok") throw Bad(result);
                    Execute(client, "PRAGMA cache_size=8");
                    break;
            }
        }

        void Reopen(int at)
        {
            clients[at].Connection.Dispose();
            clients[at] = Open();
        }

        string Any(params string[] choices) => choices[random.Next(choices.Length)];
    }

    [Theory]
    [InlineData(11, "", true, true), InlineData(12, "", false, true), InlineData(13, "", true, false),
        InlineData(14, "isolation=locking", true, true)]
    [InlineData(15, "journal=plain", true, true), InlineData(16, "pages=memory", true, true)]
    public void Threads_with_their_own_connections_never_see_a_broken_sum(int first, string options, bool wal,
        bool exclusive) => Seeds.RunFor(4, first, (seed, end) =>
    {
        output.WriteLine($"seed={seed} options={options} wal={wal} exclusive={exclusive}");
        using var store = new TestStore(options);
        using (var setup = store.Open()) setup.Do(Setup);
        var failures = new System.Collections.Concurrent.ConcurrentQueue<string>();
        var workers = Enumerable.Range(0, 5)
            .Select(i => new Worker(store, new Random(seed * 7919 + i), wal, exclusive, end, failures)).ToArray();
        var threads = workers.Select(w => new Thread(w.Run)).ToArray();
        foreach (var thread in threads) thread.Start();
        foreach (var thread in threads) thread.Join();
        output.WriteLine(
            $"commits={workers.Sum(w => w.Commits)} reads={workers.Sum(w => w.Reads)} "
                + $"busy={workers.Sum(w => w.Busy)} modes={workers.Sum(w => w.Modes)} "
                + $"vacuums={workers.Sum(w => w.Vacuums)}");
        Assert.True(failures.IsEmpty, string.Join("\n", failures));
        store.Close();
        Assert.Equal($"ok ok {1000 * Accounts}",
            store.Open().Do("PRAGMA integrity_check; PRAGMA recovery_verify; SELECT sum(v) FROM acct"));
        Assert.True(workers.Sum(w => w.Commits) > 0 && workers.Sum(w => w.Reads) > 0);
    });

    /// <summary>
    /// As connections in journal modes DELETE and TRUNCATE side by side do it: one looks whether the journal is hot
    /// while the other deletes it.
    /// </summary>
    [Fact]
    public async Task A_journal_that_is_deleted_while_others_look_at_it_is_gone()
    {
        using var store = new TestStore("journal=plain");
        store.Open().Do("CREATE TABLE t(x)");
        var journal = System.Text.Encoding.UTF8.GetBytes(store.PathOf("a.db") + Companions.JournalSuffix);
        using var done = new CancellationTokenSource();
        var looking = Task.Run(() =>
        {
            while (!done.IsCancellationRequested) Files.OpenCompanion(journal, Sqlite.OpenReadOnly)?.Close();
        });
        for (var (turn, end) = (0, Environment.TickCount64 + 2000); Environment.TickCount64 < end; turn++)
        {
            Files.OpenCompanion(journal, Sqlite.OpenReadWrite | Sqlite.OpenCreate)!.Close();
            Assert.Equal(Sqlite.Ok, Files.Delete(journal, durable: false));
            Assert.False(Files.Exists(journal), $"The journal was there after its deletion, in turn {turn}.");
        }
        await done.CancelAsync();
        await looking;
    }

    sealed class Worker(TestStore store, Random random, bool wal, bool exclusive, long end,
        System.Collections.Concurrent.ConcurrentQueue<string> failures)
    {
        static readonly string[] Modes5 = ["delete", "truncate", "persist", "wal", "wal"];

        public long Commits, Reads, Busy, Modes, Vacuums;
        sqlite3 db = null!;

        void Bad(string sql, string what)
        {
            if (failures.Count < 12) failures.Enqueue($"{sql}: {what}");
        }

        void Open()
        {
            var rc = raw.sqlite3_open_v2(store.UriOf("a.db"), out db,
                raw.SQLITE_OPEN_READWRITE | raw.SQLITE_OPEN_CREATE | 0x40, null);
            if (rc != 0) Bad("open", $"{rc} {raw.sqlite3_errmsg(db).utf8_to_string()} {Recovery.LastError}");
            raw.sqlite3_exec(db, "PRAGMA cache_size=8");
            if (random.Next(2) == 0) raw.sqlite3_busy_timeout(db, 20);
        }

        bool Execute(string sql)
        {
            var rc = raw.sqlite3_exec(db, sql, null, null, out string message);
            if (rc == 0) return true;
            if (rc is raw.SQLITE_BUSY or raw.SQLITE_LOCKED or raw.SQLITE_PROTOCOL) Busy++;
            else if (rc != raw.SQLITE_ERROR
                || !(message.Contains("cannot") || message.Contains("transaction") || message.Contains("Safety")))
                Bad(sql, $"{raw.sqlite3_extended_errcode(db)} {message} [{Recovery.LastError}]");
            return false;
        }

        void Check()
        {
            var rc = raw.sqlite3_prepare_v2(db,
                "SELECT (SELECT sum(v) FROM acct),(SELECT count(*) FROM acct WHERE length(pad)<>len),"
                + "(SELECT count(*) FROM acct),(SELECT sum(v) FROM acct INDEXED BY ai WHERE v>-1000000)",
                out var statement);
            using (statement)
            {
                if (rc == 0 && (rc = raw.sqlite3_step(statement)) == raw.SQLITE_ROW)
                {
                    rc = 0;
                    Reads++;
                    var seen = string.Join(' ', Enumerable.Range(0, 4)
                        .Select(i => raw.sqlite3_column_int64(statement, i)));
                    if (seen != $"{1000 * Accounts} 0 {Accounts} {1000 * Accounts}") Bad("check", seen);
                }
                if (rc is not (0 or raw.SQLITE_BUSY or raw.SQLITE_LOCKED or raw.SQLITE_PROTOCOL))
                    Bad("check", $"{raw.sqlite3_extended_errcode(db)} {raw.sqlite3_errmsg(db).utf8_to_string()} "
                        + $"[{Recovery.LastError}]");
            }
        }

        bool Transfer()
        {
            var (a, b, amount, length) =
                (random.Next(Accounts), random.Next(Accounts), random.Next(50), 1 + random.Next(1500));
            return a == b || Execute($"UPDATE acct SET v=v-{amount},pad=randomblob({length}),len={length} WHERE id={a}")
                && Execute($"UPDATE acct SET v=v+{amount} WHERE id={b}") && Execute("UPDATE ver SET n=n+1");
        }

        void Rollback()
        {
            if (raw.sqlite3_get_autocommit(db) == 0) Execute("ROLLBACK");
        }

        void Transact()
        {
            if (!Execute(random.Next(3) switch { 0 => "BEGIN", 1 => "BEGIN IMMEDIATE", _ => "BEGIN EXCLUSIVE" }))
                return;
            if (random.Next(2) == 0) Check();
            for (var i = random.Next(3); i >= 0; i--)
            {
                if (Transfer()) continue;
                Rollback();
                return;
            }
            if (random.Next(4) == 0) Rollback();
            else if (Execute("COMMIT")) Commits++;
            else Rollback();
        }

        public void Run()
        {
            Open();
            while (Environment.TickCount64 < end && failures.Count < 12) Step();
            Rollback();
            db.Dispose();
        }

        void Step()
        {
            switch (random.Next(14))
            {
                case <= 3:
                    Transact();
                    break;
                case <= 6:
                    Check();
                    break;
                case 7 when Execute("BEGIN"):
                    Check();
                    Check();
                    Rollback();
                    break;
                case 8 when random.Next(6) == 0:
                    if (Execute($"PRAGMA page_size={512 << random.Next(4)};VACUUM")) Vacuums++;
                    break;
                case 9:
                    if (Execute("PRAGMA journal_mode=" + Modes5[random.Next(wal ? 5 : 3)])) Modes++;
                    break;
                case 10:
                    if (wal) Execute(random.Next(2) == 0 ? "PRAGMA wal_checkpoint(TRUNCATE)" : "PRAGMA wal_checkpoint");
                    else Execute("INSERT INTO junk SELECT randomblob(500) FROM acct");
                    break;
                case 11:
                    Execute("DELETE FROM junk");
                    Execute("PRAGMA incremental_vacuum(20)");
                    break;
                case 12:
                    db.Dispose();
                    Open();
                    break;
                case 13 when exclusive && random.Next(3) == 0:
                    Execute("PRAGMA locking_mode=exclusive");
                    for (var i = 0; i < 3; i++)
                    {
                        Transact();
                        Check();
                    }
                    db.Dispose();
                    Open();
                    break;
            }
        }
    }
}
