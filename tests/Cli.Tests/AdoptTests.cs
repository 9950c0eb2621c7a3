using System.Diagnostics;
using static RecoveryVfs.Cli.Tests.Shipped;

namespace RecoveryVfs.Cli.Tests;

/// <summary>A store's directory that was copied, as its owner meets it.</summary>
public sealed class AdoptTests : IDisposable
{
    readonly string root = Directory.CreateTempSubdirectory("recovery-adopt-").FullName;

    public AdoptTests()
    {
        SQLitePCL.Batteries_V2.Init();
        Recovery.Register();
    }

    public void Dispose()
    {
        Close();
        Directory.Delete(root, recursive: true);
    }

    string Place(string name) => Path.Combine(root, name);

    string Remote => "file://" + Place("remote");

    static void Copy(string from, string to)
    {
        using var copying = Process.Start("cp", ["-a", from, to]);
        copying.WaitForExit();
        Assert.Equal(0, copying.ExitCode);
    }

    [Theory]
    [InlineData("DELETE")]
    [InlineData("WAL")]
    public void A_copy_is_read_does_not_fence_and_is_adopted(string mode)
    {
        Directory.CreateDirectory(Place("data"));
        using (var live = Open(Place("data"), "a.db", "&remote=" + Remote))
        {
            Execute(live,
                $"PRAGMA journal_mode={mode}; CREATE TABLE t(id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1); "
                    + "PRAGMA recovery_sync");
            Copy(Place("data"), Place("copy"));
            using (var copy = Open(Place("copy"), "a.db"))
            {
                Assert.Equal("1", Scalar(copy, "SELECT count(*) FROM t"));
                Assert.Throws<Microsoft.Data.Sqlite.SqliteException>(() => Execute(copy, "INSERT INTO t VALUES (99)"));
                Assert.Throws<Microsoft.Data.Sqlite.SqliteException>(() => Scalar(copy, "PRAGMA recovery_sync"));
                Assert.Equal("1", Scalar(copy, "SELECT count(*) FROM t"));
            }
            Recover.Run("delete", Path.Combine(Place("copy"), "a.db")).MustEndWith(1);
            var status = Recover.Run("status", Place("copy"), "--json").MustEndWith(1).Json;
            Assert.Equal("copy", status.GetProperty("state").GetString());
            Assert.Contains("recovery adopt", status.GetProperty("advice").GetString());
            Execute(live, "INSERT INTO t VALUES (2); PRAGMA recovery_sync");
            // The remote has gone on.
            Recover.Run("adopt", Place("copy")).MustEndWith(5);
        }
        Close();
        Copy(Place("data"), Place("moved"));
        Recover.Run("adopt", Place("moved")).MustEndWith(0);
        using (var moved = Open(Place("moved"), "a.db"))
        {
            Execute(moved, "INSERT INTO t VALUES (3); PRAGMA recovery_sync");
            Assert.Equal("3", Scalar(moved, "SELECT count(*) FROM t"));
        }
        Close();
        Assert.Equal("ok", Recover.Run("status", Place("moved"), "--json").MustEndWith(0).Json.GetProperty("state")
            .GetString());
    }
}
