using Microsoft.Data.Sqlite;
using RecoveryVfs.Simulation;
using RecoveryVfs.Testing;

namespace RecoveryVfs.Replicate.Tests;

/// <summary>
/// A hundred lives of applications and their replicator, each drawn from a seed: transactions of two connections,
/// checkpoints of a third, looks, syncs, kills and losses of power. Every commit that the mirror ever has is a state
/// that an application committed, in their order. What is real in all of it but the mirror's disk is cheap in one
/// process; processes that are really killed have a test of their own (<see cref="ReplicationTests"/>).
/// </summary>
public sealed class RoundsTests
{
    [Theory]
    [InlineData("wal")]
    [InlineData("delete")]
    [InlineData("truncate")]
    [InlineData("persist")]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void Every_commit_of_the_mirror_is_a_state_that_was_committed(string mode) => Seeds.Run(
        mode == "wal" ? 55 : 15, random =>
        {
            using var life = new Life(mode, random);
            for (var step = random.Next(10, 25); step > 0; step--) life.Step();
            life.End();
        });

    sealed class Life : IDisposable
    {
        readonly Random random;
        readonly Scratch scratch = new();
        readonly SqliteConnection[] apps;
        readonly SqliteConnection checkpointing;
        // The states that were committed, and which came when: the newest of those that are the same.
        readonly Dictionary<string, int> states = [];
        readonly AskedClock clock = new();
        PowerLossDisk disk = new();
        MirrorSite? site;
        int committed, reached;

        public Life(string mode, Random random)
        {
            this.random = random;
            apps =
            [
                scratch.Open("app.db", $"PRAGMA page_size={(random.Next(2) == 0 ? 4096 : 512)}",
                    $"PRAGMA journal_mode={mode}", "CREATE TABLE t(a INTEGER PRIMARY KEY, b)"),
                scratch.Open("app.db"),
            ];
            if (random.Next(2) == 0) apps[0].Run("PRAGMA wal_autocheckpoint=5");
            checkpointing = scratch.Open("app.db");
            clock.Asked = CheckMirror;
            Restart();
            Note();
        }

        public void Step()
        {
            switch (random.Next(16))
            {
                case 0:
                    string[] modes = ["PASSIVE", "FULL", "RESTART", "TRUNCATE"];
                    checkpointing.Text($"PRAGMA wal_checkpoint({modes[random.Next(4)]})");
                    break;
                case 1 or 2 or 3 or 4:
                    site!.LookUntilInStep();
                    break;
                case 5:
                    site!.Store.Sync();
                    break;
                case 6:
                    Lose(disk.AfterProcessDeath());
                    break;
                case 7:
                    Lose(disk.AfterPowerLoss(random));
                    break;
                case 8:
                    apps[random.Next(2)].Run($"BEGIN; {Change}; ROLLBACK");
                    break;
                case 9 when random.Next(3) == 0:
                    apps[0].Run("VACUUM");
                    Note();
                    break;
                default:
                    apps[random.Next(2)].Run(random.Next(3) == 0 ? $"BEGIN; {Change}; {Change}; COMMIT" : Change);
                    Note();
                    break;
            }
        }

        string Change => random.Next(5) switch
        {
            0 => $"DELETE FROM t WHERE a % 3 = {random.Next(3)}",
            1 => $"UPDATE t SET b = randomblob({random.Next(10, 200)}) WHERE a % 2 = {random.Next(2)}",
            _ => $"INSERT INTO t(b) VALUES (randomblob({random.Next(10, 3000)}))",
        };

        public void End()
        {
            site!.LookUntilInStep();
            CheckMirror();
            site.LookAndCompare();
        }

        void Note() => states[Hash(site!.Expected())] = committed++;

        /// <summary>
        /// The mirror's newest commit, asked for before each that comes after it: none that it had is left out.
        /// </summary>
        void CheckMirror()
        {
            if (site?.Store.Find("app.db") is not { Current.SizeBytes: > 0 } database) return;
            Assert.True(states.TryGetValue(Hash(MirrorSite.BytesOf(database)), out var at),
                $"LSN {database.Current.Lsn} is what no application committed");
            Assert.True(at >= reached, $"LSN {database.Current.Lsn}: state {at} comes after {reached}");
            reached = at;
        }

        /// <summary>The replicator's process ends; the next one finds its disk like this.</summary>
        void Lose(PowerLossDisk left)
        {
            var before = site!;
            site = null;
            before.Dispose();
            disk = left;
            Restart();
        }

        void Restart()
        {
            // It may be an earlier one than the lost mirror had.
            reached = 0;
            site = new MirrorSite(disk: disk, scratch: scratch, clock: clock);
            Assert.Empty(site.Store.Verify(null, default));
            if (committed > 0) CheckMirror();
        }

        static string Hash(byte[] bytes)
            => Convert.ToHexString(System.Security.Cryptography.SHA256.HashData(bytes));

        public void Dispose()
        {
            site?.Dispose();
            foreach (var app in apps) app.Dispose();
            checkpointing.Dispose();
            scratch.Dispose();
        }
    }
}
