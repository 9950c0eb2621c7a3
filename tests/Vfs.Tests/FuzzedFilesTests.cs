using System.Text;
using Microsoft.Data.Sqlite;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.Rollbacks;

namespace RecoveryVfs.Tests;

/// <summary>
/// The small text files of a store, changed at random, and opened as an application does: the right data, or an error
/// with a message; no crash, no hang, no memory out of proportion. ./build.sh soak gives each a minute or more.
/// </summary>
public sealed class FuzzedFilesTests : IDisposable
{
    const long AllocatedMax = 64 << 20;
    const double Seconds = 3, SoakTimes = 5;

    readonly TestStore store = new("linger=0");
    readonly Dictionary<string, byte[]> originals = [];

    public FuzzedFilesTests()
    {
        store.Open(options: "remote=" + Uri.EscapeDataString("file://" + store.PathOf("remote")))
            .Do("CREATE TABLE t(v); INSERT INTO t VALUES (7); PRAGMA recovery_sync=remote");
        store.Close();
        File.WriteAllText(store.PathOf(".recovery/config"),
            "isolation = snapshot\npage-cache = 8M\nsync-interval = 100\n# remote = none\njournal = auto\n");
        foreach (var name in (string[])["a.db", ".recovery/config", ".recovery/author"])
            originals[name] = File.ReadAllBytes(store.PathOf(name));
    }

    public void Dispose() => store.Dispose();

    [Theory]
    [InlineData("a.db")]
    [InlineData(".recovery/config")]
    [InlineData(".recovery/author")]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void A_changed_file_is_understood_or_refused_with_a_message(string name) => Seeds.RunFor(Seconds, 1,
        (seed, _) =>
    {
        foreach (var (each, bytes) in originals) File.WriteAllBytes(store.PathOf(each), bytes);
        File.WriteAllBytes(store.PathOf(name), Changed(originals[name], new Random(seed)));
        // This thread's: other tests run beside.
        var before = GC.GetAllocatedBytesForCurrentThread();
        try
        {
            var answer = store.Open().Try("SELECT v FROM t");
            // A stub that was changed may name a new database, or none.
            Assert.True(answer == "7" || answer.StartsWith('!'), answer);
        }
        catch (SqliteException)
        {
            Assert.NotEqual("", Recovery.LastError ?? "");
        }
        store.Close();
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, AllocatedMax);
    }, SoakTimes, name);

    /// <summary>What is no line of the list is passed over, and the others stay.</summary>
    [Fact]
    [Trait(Seeds.Kind, Seeds.Random)]
    public void The_list_of_roll_backs_is_read_whatever_is_in_it()
    {
        var (path, list) = (store.PathOf(".recovery/rollbacks"), new RollbackList(store.PathOf(".recovery")));
        var to = Bookmark.Parse(Bookmark.Example);
        list.Begin("a.db", DateTimeOffset.UnixEpoch, to);
        list.Done(new RollbackEntry("a.db", DateTimeOffset.UnixEpoch, to.ToString(), to.ToString(), 7));
        var whole = File.ReadAllBytes(path);
        Assert.Single(list.Read());
        foreach (var line in (string[])["{}", "null", "[1]", "{\"database\":null,\"at\":\"1970-01-01\",\"to\":null}",
            "{\"database\":\"a.db\",\"at\":\"1970-01-01\",\"to\":\"/etc\"}", new string('[', 100_000)])
        {
            File.WriteAllText(path, line + "\n");
            Assert.Empty(list.Read());
        }
        Seeds.RunFor(Seconds / 3, 1, (seed, _) =>
        {
            File.WriteAllBytes(path, Changed(whole, new Random(seed)));
            Assert.All(list.Read(), e => Assert.NotNull(Bookmark.TryParse(e.To)));
        }, SoakTimes, "rollbacks");
    }

    static byte[] Changed(byte[] bytes, Random random)
    {
        // Nothing that would lead to another place: what is made there stays when the test has ended.
        string[] words =
            ["\n", "\r\n", "=", "\0", "database: ", "999999999999999999999G", "-1", "\ud83d\ude00", "page-cache = 1",
            new string('x', 5000), "#"];
        for (var n = random.Next(1, 4); n > 0; n--)
        {
            var at = random.Next(bytes.Length + 1);
            switch (random.Next(5))
            {
                case 0 when at < bytes.Length:
                    bytes = [.. bytes[..at], (byte)random.Next(256), .. bytes[(at + 1)..]];
                    break;
                case 1: bytes = bytes[..at]; break;
                case 2: bytes = [.. bytes[..at], .. bytes[Math.Min(bytes.Length, at + random.Next(20))..]]; break;
                case 3: bytes = [.. bytes, .. bytes]; break;
                default:
                    bytes =
                        [.. bytes[..at], .. Encoding.UTF8.GetBytes(words[random.Next(words.Length)]), .. bytes[at..]];
                    break;
            }
        }
        return bytes;
    }
}
