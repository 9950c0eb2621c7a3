using System.Diagnostics;
using Microsoft.Data.Sqlite;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Remote.Archives;
using RecoveryVfs.Testing;

namespace RecoveryVfs.Cli.Tests;

/// <summary><c>recovery snapshot create, restore</c> and <c>verify</c>: a state in one file.</summary>
public sealed class SnapshotFileTests : IDisposable
{
    const int OwnerOnly = 0x180; // 0600

    readonly string root = Directory.CreateTempSubdirectory("recovery-snapshot-").FullName;

    public SnapshotFileTests()
    {
        SQLitePCL.Batteries_V2.Init();
        Recovery.Register();
        Directory.CreateDirectory(Data);
    }

    public void Dispose()
    {
        Shipped.Close();
        Directory.Delete(root, recursive: true);
    }

    string Place(string name) => Path.Combine(root, name);

    string Data => Place("data");

    string Remote => "file://" + Place("remote");

    SqliteConnection Application() =>
        Shipped.Open(Data, "a.db", "&sync-interval=20&remote=" + Uri.EscapeDataString(Remote));

    const string State =
        "SELECT count(*) || ' ' || sum(length(v)) || ' ' || hex(substr(group_concat(v, ''), 1, 20)) FROM t";

    static void Fill(SqliteConnection db, int rows) =>
        Shipped.Execute(db, $"WITH n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) "
            + "INSERT INTO t(v) SELECT randomblob(3000) FROM n");

    string StateOf(string directory)
    {
        using var db = Shipped.Open(directory, "a.db", "&mode=ro");
        return Shipped.Scalar(db, State);
    }

    /// <summary>All rows are in it, and it may be written where others have put something.</summary>
    [Fact]
    public void Nobody_else_reads_one_while_it_is_made_or_piped_and_it_is_written_through_no_link()
    {
        using (var db = Application())
        {
            Shipped.Execute(db, "CREATE TABLE t(id INTEGER PRIMARY KEY, v)");
            Shipped.Execute(db, "PRAGMA recovery_sync");
        }
        File.WriteAllText(Place("precious"), "mine");
        File.CreateSymbolicLink(Place("1.partial"), Place("precious"));
        Recover.Run("snapshot", "create", Remote, "-o", Place("1")).MustEndWith(0);
        Assert.Equal("mine", File.ReadAllText(Place("precious")));
        Assert.Equal(OwnerOnly, FileNode.At(Place("1"))!.Value.Rights);
        var into = Directory.CreateDirectory(Place("into")).FullName;
        using var restoring = Process.Start(new ProcessStartInfo("dotnet",
            [Path.Combine(AppContext.BaseDirectory, "recovery.dll"), "snapshot", "restore", "-", "-o",
                Path.Combine(into, "a.db")])
        { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true })!;
        restoring.StandardInput.Write("no snapshot");
        restoring.StandardInput.Flush();
        string[] spools = [];
        Assert.True(SpinWait.SpinUntil(() => (spools = Directory.GetFiles(into, ".snapshot-*")).Length > 0,
            TimeSpan.FromMinutes(2)));
        Assert.Equal(OwnerOnly, FileNode.At(spools[0])!.Value.Rights);
        restoring.StandardInput.Close();
        var said = restoring.StandardError.ReadToEnd();
        restoring.WaitForExit();
        Assert.True(restoring.ExitCode != 0, said);
        Assert.Empty(Directory.GetFiles(into));
    }

    [Fact]
    public void A_full_one_and_those_that_go_on_from_it_bring_every_state_back()
    {
        using var db = Application();
        Shipped.Execute(db, "CREATE TABLE t(id INTEGER PRIMARY KEY, v)");
        Fill(db, 500);
        // Hints that name extents.
        Shipped.Execute(db, "PRAGMA recovery_snapshot");
        var first = Shipped.Scalar(db, State);
        var full = Recover.Run("snapshot", "create", Data, "-o", Place("1"), "--json").MustEndWith(0).Json;
        Assert.Equal("full", full.GetProperty("kind").GetString());
        Fill(db, 20);
        var second = Shipped.Scalar(db, State);
        var more = Recover.Run("snapshot", "create", Data, "-o", Place("2"), "--since", Place("1"), "--json")
            .MustEndWith(0).Json;
        Assert.Equal(full.GetProperty("identity").GetString(), more.GetProperty("base").GetString());
        Assert.InRange(more.GetProperty("bytes").GetInt64(), 1, full.GetProperty("bytes").GetInt64() / 2);
        Shipped.Execute(db, "DELETE FROM t WHERE id % 2; PRAGMA recovery_snapshot");
        var third = Shipped.Scalar(db, State);
        Recover.Run("snapshot", "create", Remote, "-o", Place("3"), "--since", Place("1"), "--since", Place("2"))
            .MustEndWith(0);
        // The remote is not needed any more.
        db.Dispose();
        Shipped.Close();
        Directory.Move(Place("remote"), Place("gone"));
        var (one, two, three) = (Place("1"), Place("2"), Place("3"));
        foreach (var (files, state) in ((string[], string)[])[([one], first), ([two, one], second),
            ([one, two, three], third)])
        {
            var place = Place("r" + files.Length);
            Recover.Run(["snapshot", "restore", .. files, place]).MustEndWith(0);
            Assert.Equal(state, StateOf(place));
        }
        Recover.Run("snapshot", "restore", one, two, "-o", Place("plain")).MustEndWith(0);
        using (var plain = new SqliteConnection($"Data Source={Place("plain")};Pooling=False"))
        {
            plain.Open();
            Assert.Equal(second, Shipped.Scalar(plain, State));
        }
        Assert.Equal("a.db", Recover.Run("snapshot", "verify", one, two, three, "--json").MustEndWith(0).Json
            .GetProperty("databases")[0].GetProperty("name").GetString());
        Assert.Contains("was not given", Recover.Run("snapshot", "verify", two).MustEndWith(2).Errors);
        Assert.Contains("was not given", Recover.Run("snapshot", "restore", one, three, Place("x")).MustEndWith(2)
            .Errors);
        Assert.Contains("not overwritten", Recover.Run("snapshot", "create", Remote, "-o", one).MustEndWith(2).Errors);
        Assert.False(Directory.Exists(Place("x")));
    }

    [Fact]
    public void It_goes_through_a_pipe_in_little_memory()
    {
        using (var db = Application())
        {
            Shipped.Execute(db, "CREATE TABLE t(id INTEGER PRIMARY KEY, v)");
            for (var i = 0; i < 3; i++) Fill(db, 4000);
            Shipped.Execute(db, "PRAGMA recovery_snapshot");
        }
        Shipped.Close();
        var state = StateOf(Data);
        var program = Path.Combine(AppContext.BaseDirectory, "recovery.dll");
        var start = new ProcessStartInfo("bash", ["-c",
            $"set -o pipefail; dotnet {program} snapshot create {Remote} -o - "
                + $"| dotnet {program} snapshot restore - {Place("r")}"])
        {
            RedirectStandardError = true
        };
        // Less than what goes through; what .NET needs itself is in it, too.
        start.Environment["DOTNET_GCHeapHardLimit"] = "0x2000000";
        using var process = Process.Start(start)!;
        var errors = process.StandardError.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0, errors);
        Assert.Equal(state, StateOf(Place("r")));
    }

    [Fact, Trait(Seeds.Kind, Seeds.Random)]
    public void No_byte_of_it_can_be_another_or_missing()
    {
        using (var db = Application())
        {
            Shipped.Execute(db, "CREATE TABLE t(id INTEGER PRIMARY KEY, v)");
            Fill(db, 30);
            Shipped.Execute(db, "PRAGMA recovery_snapshot");
        }
        Shipped.Close();
        Recover.Run("snapshot", "create", Remote, "-o", Place("1")).MustEndWith(0);
        var bytes = File.ReadAllBytes(Place("1"));
        using (ArchiveFile.Open(Place("1"))) { }
        Seeds.Run(60, random =>
        {
            var changed = bytes.ToArray();
            if (random.Next(4) == 0) changed = changed[..random.Next(bytes.Length)];
            else changed[random.Next(bytes.Length)] ^= (byte)(1 << random.Next(8));
            File.WriteAllBytes(Place("2"), changed);
            var refused = Assert.Throws<RecoveryException>(() => ArchiveFile.Open(Place("2")));
            Assert.True(refused.Error is RecoveryError.Corrupt or RecoveryError.TooNew, refused.Message);
            Assert.Contains(Place("2"), refused.Message);
        });
        Assert.Contains(Place("2"), Recover.Run("snapshot", "restore", Place("2"), Place("x")).MustEndWith(4).Errors);
        Assert.False(Directory.Exists(Place("x")));
    }
}
