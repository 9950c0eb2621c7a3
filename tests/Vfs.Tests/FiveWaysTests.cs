using System.Diagnostics;
using System.Globalization;
using Microsoft.Data.Sqlite;
using RecoveryVfs.Opening;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Remote.Collect;
using RecoveryVfs.Settings;
using RecoveryVfs.Testing;
using Xunit.Abstractions;

namespace RecoveryVfs.Tests;

/// <summary>
/// One question, asked in many ways: of the live database, a restored one, a follower, one that fetches what is read, a
/// branch, a store made of its files, and the past. At random LSNs of random histories of a process that is killed
/// again and again, with collections between, the answers are the same, and are those of one commit.
/// </summary>
public sealed class FiveWaysTests(ITestOutputHelper output) : IDisposable
{
    static readonly Retention nothing = new()
    {
        Keep = TimeSpan.Zero,
        KeepHints = 1,
        ReaderGrace = TimeSpan.Zero
    };

    static readonly TimeSpan Limit = TimeSpan.FromMinutes(2);

    readonly TestStore store = new();
    int files;

    public void Dispose() => store.Dispose();

    [Fact, Trait(Seeds.Kind, Seeds.Random)]
    public Task Every_way_gives_one_answer() => Seeds.OnceAsync(RunAsync);

    async Task RunAsync(Random random)
    {
        var remote = "file://" + store.PathOf("remote");
        var options = "sync-interval=10&hints-bytes=60000&remote=" + Uri.EscapeDataString(remote);
        var (least, compared, collected) = (0UL, 0, 0);
        for (var round = 0; round < (Seeds.Soaking ? 12 : 2); round++)
        {
            // All pages in memory, or not: each goes on where the other was killed.
            WriteAndKill(random, options + Kind(random));
            using var live = store.Open(options: options + "&linger=0" + Kind(random));
            var number = RandomWriter.Check(live);
            await Recovery.SyncAsync(store.Directory);
            var newest = ulong.Parse(live.Do("PRAGMA recovery_lsn"), CultureInfo.InvariantCulture);
            if (least == 0) least = newest;
            Assert.Equal(number, Followed(remote, newest));
            Assert.Equal(number, Followed(remote, newest, "&fetch=lazy"));
            Assert.Equal(number, await RestoredAsync(remote, newest));
            Assert.Equal(number, await BranchedAsync(remote, newest));
            Assert.Equal(number, await SiblingAsync());
            var promised = least;
            if (random.Next(2) == 0) promised = await CollectAsync(live);
            if (promised != least) collected++;
            for (var i = 0; i < 2; i++)
            {
                var lsn = (ulong)random.NextInt64((long)least, (long)newest + 1);
                try
                {
                    var restored = await RestoredAsync(remote, lsn);
                    Assert.Equal(restored, await BranchedAsync(remote, lsn));
                    Assert.Equal(restored, Asked(live, lsn));
                    Assert.Equal(restored, Shown(remote, lsn));
                    compared++;
                }
                catch (RecoveryException e) when (lsn < promised)
                {
                    // Collected; then it is missing for everybody, and nobody makes something up.
                    Assert.True(e.Error is RecoveryError.NotFound or RecoveryError.Corrupt, e.Message);
                }
            }
            live.Dispose();
            store.Close();
        }
        output.WriteLine($"{compared} moments compared, {collected} collections");
    }

    static string Kind(Random random) => random.Next(2) == 0 ? "" : "&pages=memory";

    void WriteAndKill(Random random, string options)
    {
        using var counted = RandomWriter.Counter(store.PathOf("counter"));
        using var counter = counted.CreateViewAccessor();
        var before = counter.ReadInt64(0);
        using var writer = Process.Start(new ProcessStartInfo("dotnet",
            [typeof(RandomWriter).Assembly.Location, store.Directory,
            random.Next(1, 1 << 20).ToString(CultureInfo.InvariantCulture), store.PathOf("counter"), options])
        { RedirectStandardOutput = true })!;
        try
        {
            Assert.Equal("ready", writer.StandardOutput.ReadLine());
            var wanted = before + random.Next(5, 60);
            Assert.True(SpinWait.SpinUntil(() => counter.ReadInt64(0) >= wanted || writer.HasExited, Limit));
            Assert.False(writer.HasExited, "the writer failed");
        }
        finally
        {
            writer.Kill();
            writer.WaitForExit();
        }
    }

    /// <summary>Keeps the newest hints only; returns from where on everything is promised.</summary>
    async Task<ulong> CollectAsync(SqliteConnection live)
    {
        var promised = ulong.Parse(live.Do("PRAGMA recovery_snapshot"), CultureInfo.InvariantCulture);
        var directory = store.PathOf(".recovery");
        var open = StoreRegistry.Acquire(directory, StoreSettings.Of(directory));
        try
        {
            await open.Store.Remote!.CollectAsync(nothing);
        }
        finally
        {
            StoreRegistry.Release(open);
        }
        return promised;
    }

    long Followed(string remote, ulong lsn, string fetch = "")
    {
        using var follower =
            store.Open($"follower{files++}/a.db", "mode=ro&follow=" + Uri.EscapeDataString(remote) + fetch);
        Assert.True(SpinWait.SpinUntil(
            () => !follower.Try($"PRAGMA recovery_wait_lsn={lsn}").StartsWith('!'), Limit));
        return RandomWriter.Check(follower);
    }

    /// <summary>Of a follower that stays at a moment, and fetches what is read.</summary>
    long Shown(string remote, ulong lsn)
    {
        using var moment = store.Open($"follower{files++}/a.db",
            $"mode=ro&fetch=lazy&lsn={lsn}&follow=" + Uri.EscapeDataString(remote));
        return RandomWriter.Check(moment);
    }

    async Task<long> RestoredAsync(string remote, ulong lsn)
    {
        var file = store.PathOf($"restored{files++}");
        await Recovery.RestoreFileAsync(remote, file, new RestoreOptions { Lsn = lsn, Database = "a.db" });
        using var plain = new SqliteConnection($"Data Source={file};Pooling=false");
        plain.Open();
        return RandomWriter.Check(plain);
    }

    async Task<long> BranchedAsync(string remote, ulong lsn)
    {
        var branch = "file://" + store.PathOf($"branch{files++}");
        var made = await Recovery.BranchAsync(remote, branch, lsn.ToString(CultureInfo.InvariantCulture));
        var number = await RestoredAsync(branch, made.Lsn);
        await Recovery.DeleteBranchAsync(branch);
        return number;
    }

    /// <summary>A store made of the live one's files.</summary>
    async Task<long> SiblingAsync()
    {
        var directory = $"sibling{files++}";
        await Recovery.BranchAsync(store.Directory, store.PathOf(directory));
        using var sibling = store.Open($"{directory}/a.db", "linger=0");
        return RandomWriter.Check(sibling);
    }

    /// <summary>In SQL, of the live database.</summary>
    static long Asked(SqliteConnection live, ulong lsn)
    {
        var state = live.Do($"SELECT row ->> 'n', row ->> 'sums' FROM recovery_at('state', {lsn})").Split(' ', 2);
        var rows = live.Do($"SELECT count(*) || ' ' || ifnull(sum(row ->> 'v'), 0) FROM recovery_at('t', {lsn})");
        Assert.Equal(string.Join(' ', state[1].Split(' ')[..2]), rows);
        return long.Parse(state[0], CultureInfo.InvariantCulture);
    }
}
