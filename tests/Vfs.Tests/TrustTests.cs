using System.Diagnostics;
using Microsoft.Data.Sqlite;
using RecoveryVfs.Opening;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Writing;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;
using SQLitePCL;

namespace RecoveryVfs.Tests;

/// <summary>
/// What lies where a database, its stub or its store is expected, and is not ours: never obeyed, never overwritten,
/// never waited for.
/// </summary>
public sealed class TrustTests : IDisposable
{
    const uint Nobody = 65534;

    readonly TestStore store = new();

    public void Dispose() => store.Dispose();

    void Refused(string name = "a.db", string options = "", string? because = null)
    {
        var opening = Task.Run(() =>
        {
            Assert.ThrowsAny<Exception>(() => store.Open(name, options)
                .Do("CREATE TABLE t(x); INSERT INTO t VALUES(1)"));
            return Recovery.LastError;
        });
        Assert.True(opening.Wait(TimeSpan.FromMinutes(1)), "opening hangs");
        if (because is not null) Assert.Contains(because, opening.Result);
    }

    static void Run(string program, params string[] arguments)
    {
        using var process = Process.Start(program, arguments);
        process.WaitForExit();
        Assert.Equal(0, process.ExitCode);
    }

    static void RequireRoot() => Assert.True(FileNode.At("/proc/self") is { Owner: 0 }, "needs root");

    [Fact]
    public void A_pipe_is_refused_and_not_waited_for()
    {
        Run("mkfifo", store.PathOf("a.db"));
        Refused(because: "a named pipe");
        Refused(options: "mode=ro", because: "");
        Assert.False(Directory.Exists(store.PathOf(".recovery")));
        Assert.Equal("a named pipe", FileNode.At(store.PathOf("a.db"))!.Value.Kind);
    }

    [Fact]
    public void A_device_is_refused_and_stays()
    {
        RequireRoot();
        Run("mknod", store.PathOf("null"), "c", "1", "3");
        Refused("null", because: "a device");
        Assert.Equal("a device", FileNode.At(store.PathOf("null"))!.Value.Kind);
        Assert.Single(Directory.GetFileSystemEntries(store.Directory));
    }

    [Fact]
    public void A_directory_is_refused()
    {
        Directory.CreateDirectory(store.PathOf("a.db"));
        Refused(because: "a directory");
    }

    [Fact]
    public void A_config_that_is_a_pipe_or_a_link_is_refused()
    {
        Directory.CreateDirectory(store.PathOf(".recovery"));
        Run("mkfifo", store.PathOf(".recovery/config"));
        Refused(because: "a named pipe");
        File.Delete(store.PathOf(".recovery/config"));
        File.WriteAllText(store.PathOf("theirs"), $"remote = file://{store.PathOf("thief")}\n");
        File.CreateSymbolicLink(store.PathOf(".recovery/config"), store.PathOf("theirs"));
        Refused(because: "symbolic link");
        Assert.False(Directory.Exists(store.PathOf("thief")));
    }

    [Theory, InlineData(0), InlineData(Nobody)]
    public void An_existing_empty_file_keeps_its_owner_and_mode(uint owner)
    {
        File.WriteAllText(store.PathOf("a.db"), "");
        Run("chmod", "640", store.PathOf("a.db"));
        if (owner != 0)
        {
            RequireRoot();
            Run("chown", $"{owner}:{owner}", store.PathOf("a.db"));
        }
        store.Open().Do("CREATE TABLE t(x)");
        var node = FileNode.At(store.PathOf("a.db"))!.Value;
        Assert.StartsWith("This is a RecoveryVfs database.", File.ReadAllText(store.PathOf("a.db")));
        Assert.Equal((owner == 0 ? FileNode.At(store.Directory)!.Value.Owner : owner, 0x1A0),
            (node.Owner, node.Rights));
        store.Close();
        Assert.Equal("0", store.Open().Do("SELECT count(*) FROM t"));
    }

    [Theory]
    [InlineData("600", "700")]
    [InlineData("640", "750")]
    [InlineData("644", "755")]
    public void A_store_is_as_private_as_its_database(string file, string directory)
    {
        File.WriteAllText(store.PathOf("a.db"), "");
        Run("chmod", file, store.PathOf("a.db"));
        store.Open().Do("CREATE TABLE t(x); INSERT INTO t VALUES(zeroblob(100000)); PRAGMA recovery_checkpoint");
        Assert.Equal(directory, Convert.ToString(FileNode.At(store.PathOf(".recovery"))!.Value.Rights, 8));
        Assert.Equal(directory, Convert.ToString(FileNode.At(store.PathOf(".recovery/pages"))!.Value.Rights, 8));
        foreach (var made in (string[])[.. Directory.GetFiles(store.PathOf(".recovery/log")),
            .. Directory.GetFiles(store.PathOf(".recovery/pages"))])
            Assert.Equal((made, file), (made, Convert.ToString(FileNode.At(made)!.Value.Rights, 8)));
    }

    [Fact]
    public void The_umask_decides_for_a_new_database()
    {
        var shell = $"umask 077; exec dotnet '{typeof(Opener).Assembly.Location}' open '{store.UriOf("a.db")}' "
            + "'CREATE TABLE t(x)'";
        Run("sh", "-c", shell);
        Assert.Equal("600", Convert.ToString(FileNode.At(store.PathOf("a.db"))!.Value.Rights, 8));
        Assert.Equal("700", Convert.ToString(FileNode.At(store.PathOf(".recovery"))!.Value.Rights, 8));
    }

    [Fact]
    public void A_store_that_is_wider_than_a_database_in_it_is_mended_and_said()
    {
        store.Open().Do("CREATE TABLE t(x)");
        store.Close();
        Run("chmod", "755", store.PathOf(".recovery"));
        Run("chmod", "600", store.PathOf("a.db"));
        store.Open().Do("SELECT * FROM t");
        Assert.Contains("it cannot any more", Recovery.LastError);
        Assert.Equal("700", Convert.ToString(FileNode.At(store.PathOf(".recovery"))!.Value.Rights, 8));
    }

    /// <summary>Earlier versions made files with 0644, behind whatever directory.</summary>
    [Theory]
    [InlineData("600", "700", "600")]
    [InlineData("640", "750", "640")]
    [InlineData("644", "755", "644")]
    public void The_files_of_an_older_store_get_what_its_directory_allows_and_no_more(string database, string directory,
        string file)
    {
        store.Open().Do("PRAGMA journal_mode=WAL; CREATE TABLE t(x); PRAGMA recovery_checkpoint");
        store.Close();
        Run("chmod", database, store.PathOf("a.db"));
        foreach (var path in Directory.GetFileSystemEntries(store.PathOf(".recovery"), "*",
            SearchOption.AllDirectories))
            Run("chmod", Directory.Exists(path) ? "755" : "644", path);
        Run("chmod", "600", store.PathOf(".recovery/stubs"));
        Run("ln", "-s", store.PathOf("elsewhere"), store.PathOf(".recovery/link"));
        File.WriteAllText(store.PathOf("elsewhere"), "");
        Run("chmod", "644", store.PathOf("elsewhere"));
        store.Open().Do("SELECT * FROM t");
        string Rights(string path) => Convert.ToString(FileNode.At(path)!.Value.Rights, 8);
        Assert.Equal(directory, Rights(store.PathOf(".recovery")));
        foreach (var path in Directory.GetDirectories(store.PathOf(".recovery")))
            Assert.Equal((path, directory), (path, Rights(path)));
        foreach (var path in Directory.GetFiles(store.PathOf(".recovery"), "*", SearchOption.AllDirectories))
            if (FileNode.At(path) is { IsRegular: true })
                Assert.Equal((path, path.EndsWith("/stubs", StringComparison.Ordinal) ? "600" : file),
                    (path, Rights(path)));
        Assert.Equal("644", Rights(store.PathOf("elsewhere")));
    }

    [Theory, InlineData("a.db", "666"), InlineData(".recovery", "777"), InlineData(".recovery/config", "666")]
    public void What_everybody_may_write_is_refused_by_name(string name, string mode)
    {
        Directory.CreateDirectory(store.PathOf(".recovery"));
        File.WriteAllText(store.PathOf(".recovery/config"), "isolation = locking\n");
        store.Open().Do("CREATE TABLE t(x)");
        store.Close();
        Run("chmod", mode, store.PathOf(name));
        Refused(because: "chmod go-w " + store.PathOf(name));
        if (name == ".recovery")
            Assert.Throws<RecoveryException>(() => Store.Open(new StoreOptions { Directory = store.PathOf(name) })
                .Dispose());
    }

    [Fact]
    public void A_store_that_somebody_else_has_planted_is_not_obeyed()
    {
        RequireRoot();
        Directory.CreateDirectory(store.PathOf(".recovery"));
        File.WriteAllText(store.PathOf(".recovery/config"), $"remote = file://{store.PathOf("thief")}\n");
        File.WriteAllText(store.PathOf("precious"), "precious");
        File.CreateSymbolicLink(store.PathOf(".recovery/LOCK"), store.PathOf("precious"));
        Run("chown", "-hR", $"{Nobody}", store.PathOf(".recovery"));
        Refused(because: $"belongs to the user {Nobody}");
        Assert.Equal("precious", File.ReadAllText(store.PathOf("precious")));
        Assert.False(Directory.Exists(store.PathOf("thief")));
    }

    [Fact]
    public void Links_in_a_store_are_not_followed()
    {
        store.Open().Do("CREATE TABLE t(x)");
        store.Close();
        File.WriteAllText(store.PathOf("precious"), "precious");
        File.Delete(store.PathOf(".recovery/LOCK"));
        File.CreateSymbolicLink(store.PathOf(".recovery/LOCK"), store.PathOf("precious"));
        Refused();
        Assert.Equal("precious", File.ReadAllText(store.PathOf("precious")));
        Assert.Throws<RecoveryException>(()
            => LocalDisk.Instance.Open(store.PathOf(".recovery/LOCK"), LogFileMode.Create));
    }

    [Fact]
    public void A_stub_leads_out_of_its_directory_only_when_somebody_else_says_so()
    {
        Directory.CreateDirectory(store.PathOf("srv"));
        store.Open("srv/s.db").Do("CREATE TABLE t(x); INSERT INTO t VALUES('theirs')");
        store.Close();
        Directory.CreateDirectory(store.PathOf("uploads"));
        Stub.Write(store.PathOf("uploads/u.db"), store.PathOf("srv/.recovery"), "s.db");
        foreach (var options in (string[])["", "mode=ro"])
            Refused("uploads/u.db", options, "outside of its own directory");
        Assert.Throws<RecoveryException>(() => Recovery.Delete(store.PathOf("uploads/u.db")));
        Assert.Throws<RecoveryException>(() => Recovery.Export(store.PathOf("uploads/u.db"), store.PathOf("out.db")));
        Assert.Equal("theirs", store.Open("uploads/u.db", "store=" + store.PathOf("srv/.recovery"))
            .Do("SELECT x FROM t"));
    }

    [Fact]
    public void A_stub_is_not_written_through_a_link()
    {
        File.WriteAllText(store.PathOf("precious"), "precious");
        File.CreateSymbolicLink(store.PathOf("a.db.recovery-stub"), store.PathOf("precious"));
        store.Open().Do("CREATE TABLE t(x)");
        File.CreateSymbolicLink(store.PathOf("b.db"), store.PathOf("precious"));
        Stub.Write(store.PathOf("b.db"), store.PathOf(".recovery"), "b.db");
        Assert.Equal("precious", File.ReadAllText(store.PathOf("precious")));
        Assert.Equal(["a.db", "a.db.recovery-stub", "b.db", "precious"],
            Directory.GetFiles(store.Directory).Select(Path.GetFileName).Order(StringComparer.Ordinal));
    }

    [Fact]
    public void A_database_that_another_SQLite_made_meanwhile_is_not_overwritten()
    {
        var ours = store.Open("e.db");
        using (var plain = new SqliteConnection($"Data Source={store.PathOf("e.db")};Pooling=false"))
        {
            plain.Open();
            plain.Do("CREATE TABLE theirs(x); INSERT INTO theirs VALUES(1)");
        }
        Assert.StartsWith("!", ours.Try("CREATE TABLE ours(x)"));
        Assert.Contains("another program's by now", Recovery.LastError);
        // The last moment, too: whatever was looked at before.
        Stub.Write(store.PathOf("e.db"), store.PathOf(".recovery"), "e.db");
        using var again = new SqliteConnection($"Data Source={store.PathOf("e.db")};Pooling=false");
        again.Open();
        Assert.Equal("1", again.Do("SELECT x FROM theirs"));
    }

    [Fact]
    public void A_file_that_another_SQLite_is_about_to_write_is_left_to_it()
    {
        File.WriteAllText(store.PathOf("e.db"), "");
        using var plain = new SqliteConnection($"Data Source={store.PathOf("e.db")};Pooling=false");
        plain.Open();
        plain.Do("BEGIN IMMEDIATE; CREATE TABLE theirs(x)");
        Stub.Write(store.PathOf("e.db"), store.PathOf(".recovery"), "e.db");
        Assert.Contains("left as it is", Recovery.LastError);
        plain.Do("INSERT INTO theirs VALUES(1); COMMIT");
        Assert.Equal("1", plain.Do("SELECT x FROM theirs"));
        Assert.True(File.ReadAllBytes(store.PathOf("e.db")).AsSpan().StartsWith("SQLite format 3\0"u8));
    }

    [Theory]
    [InlineData("a%FF.db", "UTF-8")]
    [InlineData("a%0Ab.db", "control character")]
    [InlineData("a%0D", "control character")]
    [InlineData("a%01.db", "control character")]
    [InlineData("a%1B[31m.db", "control character")]
    public void A_name_that_a_stub_or_a_terminal_could_not_carry_is_refused_at_the_first_open(string name,
        string because)
    {
        foreach (var options in (string[])["", "mode=ro"])
        {
            var code = raw.sqlite3_open_v2($"file:{store.Directory}/{name}?vfs=recovery&{options}", out var db,
                raw.SQLITE_OPEN_READWRITE | raw.SQLITE_OPEN_CREATE | 0x40, null);
            if (code == 0) code = raw.sqlite3_exec(db, "CREATE TABLE t(x)");
            db.Dispose();
            Assert.Equal(raw.SQLITE_CANTOPEN, code);
            Assert.Contains(because, Recovery.LastError);
        }
        Assert.Empty(Directory.GetFileSystemEntries(store.Directory));
    }
}
