using System.Globalization;
using System.Security.Cryptography;
using RecoveryVfs.Testing;

namespace RecoveryVfs.Cli.Tests;

/// <summary>
/// <c>restore --from-local</c>: the log on a dead machine's disk and the remote are joined, so that what reached either
/// comes back.
/// </summary>
public sealed class FromLocalTests : IDisposable
{
    const int ShippedRows = 3, LeftRows = 20;

    readonly string root = Directory.CreateTempSubdirectory("recovery-left-").FullName;

    static FromLocalTests()
    {
        SQLitePCL.Batteries_V2.Init();
        Recovery.Register();
    }

    string Place(string name) => Path.Combine(root, name);

    string Data => Place("data");

    string Remote => "file://" + Place("remote");

    /// <summary>Rows 1 to 3 are shipped; those after them are only in the directory's log, a commit each.</summary>
    public FromLocalTests()
    {
        Directory.CreateDirectory(Data);
        Do(Data, Remote, "CREATE TABLE t(id INTEGER PRIMARY KEY, v BLOB)", "PRAGMA recovery_sync");
        Write(Remote, 1, ShippedRows, "PRAGMA recovery_sync");
        Write("none", ShippedRows + 1, LeftRows);
    }

    void Write(string remote, int first, int count, string last = "SELECT 1") => Do(Data, remote,
        [.. Enumerable.Range(first, count).Select(i => $"INSERT INTO t VALUES ({i}, randomblob(3000))"), last]);

    static void Do(string directory, string remote, params string[] statements)
    {
        using var unshipped = remote == "none" ? Shipped.Unshipped(directory) : null;
        using (var connection = Shipped.Open(directory, "a.db",
            remote == "none" ? "" : "&remote=" + Uri.EscapeDataString(remote)))
            foreach (var sql in statements) Shipped.Execute(connection, sql);
        Shipped.Close();
    }

    /// <summary>Every file of a directory, and what is in it.</summary>
    static string Contents(string directory) => string.Join('\n', Directory
        .EnumerateFiles(directory, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal)
        .Select(f => Path.GetRelativePath(directory, f) + " "
            + Convert.ToHexString(SHA256.HashData(File.ReadAllBytes(f)))));

    /// <summary>A disk of which only the log could be read, and who wrote it.</summary>
    string LogOnly()
    {
        var old = Place("old");
        foreach (var file in Directory.EnumerateFiles(Path.Combine(Data, ".recovery", "log"))
            .Append(Path.Combine(Data, ".recovery", "author")))
        {
            var copy = Path.Combine(old, Path.GetRelativePath(Data, file));
            Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
            File.Copy(file, copy);
        }
        return old;
    }

    [Fact]
    public void What_only_the_dead_machines_log_has_comes_back_and_is_in_the_remote_then()
    {
        var old = LogOnly();
        var (disk, remote) = (Contents(old), Contents(Place("remote")));
        var tried = Recover.Run("restore", "--from-local", old, Remote, Place("new"), "--dry-run").MustEndWith(0);
        Assert.Contains("would come from " + old, tried.Errors);
        Assert.Equal(remote, Contents(Place("remote")));
        var report = Recover.Run("restore", "--from-local", old, Remote, Place("new"), "--json").MustEndWith(0).Json;
        var joined = report.GetProperty("from_local");
        Assert.Equal(report.GetProperty("lsn").GetUInt64(), joined.GetProperty("last_lsn").GetUInt64());
        Assert.Equal(disk, Contents(old));
        Recover.Run("verify", "--full", Remote).MustEndWith(0);
        // The restored store goes on as the remote's writer, and whoever restores needs the disk no more.
        Do(Place("new"), Remote, "INSERT INTO t(v) VALUES (1)", "PRAGMA recovery_sync");
        Recover.Run("restore", Remote, "-o", Place("file")).MustEndWith(0);
        Assert.Equal(ShippedRows + LeftRows + 1, Shipped.RowsOfPlain(Place("file")));
        Assert.Equal(ShippedRows + LeftRows + 1, Shipped.RowsOfStore(Place("new"), "a.db"));
    }

    [Fact]
    public void A_second_try_finds_nothing_more_to_send_and_each_commit_can_be_restored()
    {
        var old = LogOnly();
        Recover.Run("restore", "--from-local", old, Remote, "-o", Place("file")).MustEndWith(0);
        var again = Recover.Run("restore", "--from-local", old, Remote, "-o", Place("again")).MustEndWith(0);
        Assert.Contains("has nothing that the remote lacks", again.Errors);
        Assert.Equal(ShippedRows + LeftRows, Shipped.RowsOfPlain(Place("again")));
        var commits = Recover.Run("log", Remote, "--commits", "--last", "0", "--json").MustEndWith(0).Output;
        Assert.True(ShippedRows + LeftRows <= commits.Split("\"lsn\"").Length - 1, commits);
    }

    [Fact]
    public void A_remote_that_another_writer_has_gone_on_with_is_left_alone()
    {
        var old = LogOnly();
        Recover.Run("restore", Remote, Place("successor")).MustEndWith(0);
        Do(Place("successor"), Remote, "INSERT INTO t(v) VALUES (4)", "PRAGMA recovery_sync");
        var before = Contents(Place("remote"));
        var refused = Recover.Run("restore", "--from-local", old, Remote, Place("new"));
        Assert.NotEqual(0, refused.ExitCode);
        Assert.Contains("recovery salvage " + old, refused.Errors);
        Assert.False(Directory.Exists(Place("new")));
        Assert.Equal(before, Contents(Place("remote")));
    }

    [Fact]
    public void Directories_that_have_nothing_to_give_are_refused_by_what_they_are()
    {
        void MustSay(string old, string what)
        {
            var refused = Recover.Run("restore", "--from-local", old, Remote, Place("new"));
            Assert.NotEqual(0, refused.ExitCode);
            Assert.Contains(what, refused.Errors);
            Assert.False(Directory.Exists(Place("new")));
        }
        MustSay(Place("nowhere"), "There is no store in " + Place("nowhere"));
        Directory.CreateDirectory(Place("other"));
        Do(Place("other"), "file://" + Place("other-remote"), "CREATE TABLE t(x)", "PRAGMA recovery_sync");
        MustSay(Place("other"), "is of the log");
        Directory.CreateDirectory(Place("unshipped"));
        using (var connection = Shipped.Open(Place("unshipped"), "a.db"))
            Shipped.Execute(connection, "CREATE TABLE t(x)");
        Shipped.Close();
        MustSay(Place("unshipped"), "has never shipped");
        using (Shipped.Open(Data, "a.db")) MustSay(Data, "recovery sync --wait " + Data);
        Shipped.Close();
    }

    [Fact, Trait(Seeds.Kind, Seeds.Random)]
    public Task Of_a_damaged_log_comes_what_is_before_the_damage() => Seeds.OnceAsync(async random =>
    {
        var old = LogOnly();
        var segments = Directory.GetFiles(Path.Combine(old, ".recovery", "log"), "*.log").Order().ToArray();
        for (var i = 0; i < 8; i++)
        {
            var (remote, file) = (Place("remote-" + i), Place("file-" + i));
            Copy(Place("remote"), remote);
            var damaged = Place("damaged-" + i);
            Copy(old, damaged);
            var segment = Path.Combine(damaged, ".recovery", "log", Path.GetFileName(segments[^1]));
            var bytes = File.ReadAllBytes(segment);
            // What is used of it, less what the remote has: no damage there is of interest.
            var end = bytes.AsSpan().LastIndexOfAnyExcept((byte)0);
            var at = random.Next(end / 2, end);
            if (random.Next(2) == 0) bytes[at] ^= (byte)(1 + random.Next(255));
            else Array.Resize(ref bytes, at);
            File.WriteAllBytes(segment, bytes);
            var restored = await Recovery.RestoreFileAsync("file://" + remote, file, new() { FromLocal = damaged });
            var rows = Shipped.RowsOfPlain(file);
            Assert.InRange(rows, ShippedRows, ShippedRows + LeftRows);
            // Half of the segment is more than what was shipped; a record in front of the damage is never given up.
            var whole = await WholeBefore(old, Path.GetFileName(segment), at);
            Assert.InRange(rows, whole, ShippedRows + LeftRows);
            if (rows < ShippedRows + LeftRows) Assert.Contains(restored.Notes, n => n.Contains("damaged"));
        }
    });

    /// <summary>How many rows the log has before an offset: of a disk on which nothing is there from it on.</summary>
    async Task<long> WholeBefore(string old, string segment, int at)
    {
        var (cut, remote) = (Place("cut-" + at.ToString(CultureInfo.InvariantCulture)), Place("cut-remote-" + at));
        Copy(old, cut);
        Copy(Place("remote"), remote);
        File.Delete(Path.Combine(cut, ".recovery", "log", "durable"));
        using (var file = File.OpenWrite(Path.Combine(cut, ".recovery", "log", segment))) file.SetLength(at);
        await Recovery.RestoreFileAsync("file://" + remote, Place("whole-" + at), new() { FromLocal = cut });
        return Shipped.RowsOfPlain(Place("whole-" + at));
    }

    static void Copy(string from, string to)
    {
        foreach (var file in Directory.EnumerateFiles(from, "*", SearchOption.AllDirectories))
        {
            var copy = Path.Combine(to, Path.GetRelativePath(from, file));
            Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
            File.Copy(file, copy);
        }
    }

    public void Dispose()
    {
        Shipped.Close();
        Directory.Delete(root, recursive: true);
    }
}
