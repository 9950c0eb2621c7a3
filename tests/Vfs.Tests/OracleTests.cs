using System.Globalization;
using Microsoft.Data.Sqlite;
using Xunit.Abstractions;

namespace RecoveryVfs.Tests;

/// <summary>
/// Random SQL, the same on our VFS and on the system's, several connections each: every statement must answer the same,
/// and in the end all content be the same. Transactions do not overlap, since that is where we differ on purpose.
/// </summary>
[Trait(Seeds.Kind, Seeds.Random)]
public sealed class OracleTests(ITestOutputHelper output)
{
    [Theory]
    [InlineData(1000, "", "delete", 4096), InlineData(1100, "", "wal", 512), InlineData(1200, "", "truncate", 65536),
        InlineData(1300, "", "persist", 1024)]
    [InlineData(1400, "", "memory", 8192), InlineData(1500, "", "off", 2048),
        InlineData(1600, "journal=plain", "delete", 1024), InlineData(1700, "isolation=locking", "wal", 4096)]
    [InlineData(1800, "pages=memory", "", 512), InlineData(1900, "", "", 1024)]
    public void Answers_as_stock_SQLite_does(int first, string options, string mode, int pageSize) => Seeds.RunFor(3,
        first, (seed, end) =>
    {
        output.WriteLine($"seed={seed} {options} {mode} {pageSize}");
        using var ours = new TestStore(options);
        using var stock = new TestStore("", vfs: null);
        new Pair(ours, stock, new Random(seed), mode, pageSize).Run(Seeds.Soaking ? 3000 : 400, end);
    });

    sealed class Pair(TestStore ours, TestStore stock, Random random, string mode, int pageSize)
    {
        readonly List<(SqliteConnection Ours, SqliteConnection Stock)> connections = [];
        readonly List<string> history = [];
        int at;
        bool inside;

        public void Run(int steps, long end)
        {
            for (var i = 0; i < 3; i++) connections.Add(Connect());
            Both($"PRAGMA page_size={pageSize}; PRAGMA auto_vacuum={random.Next(3)}");
            if (mode.Length > 0) Both("PRAGMA journal_mode=" + mode);
            for (var i = 0; i < 3; i++)
                Both($"CREATE TABLE t{i}(id INTEGER PRIMARY KEY, a INT, b TEXT, c BLOB); CREATE INDEX i{i} ON "
                    + $"t{i}(a, b)");
            for (var step = 0; step < steps && Environment.TickCount64 < end; step++) Step();
            if (inside) Both("COMMIT");
            Compare();
            Reopen();
            Compare();
        }

        (SqliteConnection, SqliteConnection) Connect()
        {
            var pair = (ours.Open(), stock.Open());
            var settings = $"PRAGMA cache_size={3 + random.Next(20)}; PRAGMA synchronous={random.Next(4)}";
            pair.Item1.Do(settings);
            pair.Item2.Do(settings);
            at = 0;
            return pair;
        }

        string Both(string sql)
        {
            history.Add($"{at}: {sql}");
            var (mine, theirs) = (connections[at].Ours.Try(sql), connections[at].Stock.Try(sql));
            if (mine != theirs)
                throw new InvalidOperationException(
                    $"{sql}\n  ours:  {Short(mine)} [{Recovery.LastError}]\n  stock: "
                        + $"{Short(theirs)}\nafter\n{string.Join('\n', history.TakeLast(60))}");
            return mine;
        }

        static string Short(string text) => text.Length > 400 ? text[..400] + "..." : text;

        void Compare()
        {
            Both("PRAGMA integrity_check");
            Both("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY name");
            for (var i = 0; i < 3; i++) Both($"SELECT id, a, b, hex(c) FROM t{i} ORDER BY id");
            Both("PRAGMA page_size; PRAGMA page_count; PRAGMA freelist_count; PRAGMA auto_vacuum; PRAGMA user_version");
            if (connections[at].Ours.Try("PRAGMA recovery_verify") is var verified && verified != "ok")
                throw new InvalidOperationException(verified);
        }

        void Reopen()
        {
            ours.Close();
            stock.Close();
            connections.Clear();
            for (var i = 0; i < 3; i++) connections.Add(Connect());
        }

        // Stock SQLite leaves a broken database behind when it rolls back without a journal; ours does not.
        bool CanRollBack => connections[at].Stock.Do("PRAGMA journal_mode") != "off";

        string Table() => "t" + random.Next(3);

        // Content that depends on nothing but the seed, of sizes that use overflow pages.
        string Blob() => random.Next(3) switch
        {
            0 => $"zeroblob({random.Next(3000)})",
            1 => $"printf('%.*c', {random.Next(5000)}, '{(char)('a' + random.Next(26))}')",
            _ => "x'" + Convert.ToHexString(Bytes(random.Next(300))) + "'",
        };

        byte[] Bytes(int count)
        {
            var bytes = new byte[count];
            random.NextBytes(bytes);
            return bytes;
        }

        void Step()
        {
            switch (random.Next(26))
            {
                case <= 5:
                    Both($"INSERT INTO {Table()}(a,b,c) VALUES({random.Next(50)}, 'x{random.Next(1000)}', {Blob()})");
                    break;
                case <= 7:
                    Both($"WITH n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i<{1 + random.Next(60)}) INSERT "
                        + $"INTO {Table()}(a,b,c) SELECT i%{1 + random.Next(9)}, 'r'||i, {Blob()} FROM n");
                    break;
                case <= 10:
                    Both($"UPDATE {Table()} SET a=a+{random.Next(5)}, c={Blob()} WHERE a%{2 + random.Next(6)}=0");
                    break;
                case <= 12:
                    Both($"DELETE FROM {Table()} WHERE id%{2 + random.Next(5)}={random.Next(2)}");
                    break;
                case <= 14:
                    Both($"SELECT count(*), sum(a), sum(length(b)), sum(length(c)), max(b) FROM {Table()} WHERE "
                        + $"a>{random.Next(20)}");
                    break;
                case 15:
                    if (!inside)
                        Both(random.Next(3) switch { 0 => "BEGIN", 1 => "BEGIN IMMEDIATE", _ => "BEGIN EXCLUSIVE" });
                    inside = true;
                    break;
                case <= 17 when inside:
                    Both(CanRollBack && random.Next(3) == 0 ? "ROLLBACK" : "COMMIT");
                    inside = false;
                    break;
                case 18 when inside && CanRollBack:
                    Both("SAVEPOINT s");
                    Both($"UPDATE {Table()} SET b=b||'y', c={Blob()}");
                    Both(random.Next(2) == 0 ? "ROLLBACK TO s" : "SELECT 1");
                    Both("RELEASE s");
                    break;
                case 19 when !inside:
                    at = random.Next(connections.Count);
                    break;
                case 20 when !inside:
                    if (random.Next(3) == 0) Both($"PRAGMA page_size={512 << random.Next(8)}");
                    if (random.Next(3) == 0) Both($"PRAGMA auto_vacuum={random.Next(3)}");
                    Both("VACUUM");
                    break;
                case 21 when !inside && mode.Length == 0:
                    Both("PRAGMA journal_mode="
                        + ((string[])["delete", "truncate", "persist", "memory", "off", "wal"])[random.Next(6)]);
                    break;
                case 22 when !inside:
                    Both(random.Next(2) == 0
                        ? $"PRAGMA incremental_vacuum({random.Next(20)})"
                        : $"PRAGMA user_version={random.Next(100)}");
                    break;
                case 23 when !inside:
                    Both("PRAGMA wal_checkpoint("
                        + ((string[])["PASSIVE", "FULL", "RESTART", "TRUNCATE"])[random.Next(4)] + ")");
                    break;
                case 24 when random.Next(4) == 0:
                    Both($"DROP INDEX IF EXISTS i{random.Next(3)}");
                    Both($"CREATE INDEX IF NOT EXISTS i{random.Next(3)} ON {Table()}(b)");
                    break;
                case 25 when !inside && random.Next(4) == 0:
                    Compare();
                    Reopen();
                    break;
            }
        }
    }
}
