using Microsoft.Data.Sqlite;

namespace RecoveryVfs.Tail.Tests;

/// <summary>
/// What a remote can do to those who follow it, bring a lost store back from it, or write to it, when somebody crafted
/// its hints: nothing outside of their directories.
/// </summary>
public sealed class HostileRemoteTests : IDisposable
{
    readonly Site site = new();

    public void Dispose() => site.Dispose();

    string Victim => site.PathOf("victim");

    void Ship()
    {
        using var writer = site.Writer();
        writer.Do("CREATE TABLE t(v); INSERT INTO t VALUES (1)");
        site.Wait(writer);
    }

    void Craft(bool absolute) =>
        CraftedRemote.RenameFiles(site.PathOf("bucket"),
            f => f.Name != "IDENTITY" ? null : absolute ? Victim : "../../../victim");

    void MustBeUntouched()
    {
        Recovery.CloseIdleStores();
        Assert.Empty(Directory.GetFiles(site.PathOf("."), "victim*", SearchOption.AllDirectories));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_follower_refuses_names_that_lead_elsewhere(bool absolute)
    {
        Ship();
        Craft(absolute);
        var (code, _, errors) = await site.RunAsync(site.Url, "--into", site.PathOf("replica"), "--once");
        Assert.NotEqual(0, code);
        Assert.Contains("hints/", errors);
        MustBeUntouched();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Following_by_URI_refuses_them(bool absolute)
    {
        Ship();
        Craft(absolute);
        Directory.CreateDirectory(site.PathOf("follower"));
        Assert.Throws<SqliteException>(() =>
        {
            using var reader = site.Reader();
            reader.Do("SELECT * FROM t");
        });
        Assert.Contains("hints/", Recovery.LastError);
        MustBeUntouched();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Bringing_a_lost_store_back_refuses_them(bool absolute)
    {
        Ship();
        Recovery.CloseIdleStores();
        Directory.Delete(site.PathOf("writer"), recursive: true);
        Craft(absolute);
        Directory.CreateDirectory(site.PathOf("writer"));
        Assert.Throws<SqliteException>(() =>
        {
            using var writer =
                Site.OpenUri(
                $"file:{site.PathOf("writer/a.db")}?vfs=recovery&remote={Uri.EscapeDataString(site.Url)}"
                    + "&auto-restore=on&linger=0");
            writer.Do("SELECT * FROM t");
        });
        Assert.Contains("hints/", Recovery.LastError);
        MustBeUntouched();
        Assert.False(Directory.Exists(site.PathOf("writer/.recovery")));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_writer_that_verifies_its_remote_refuses_them(bool absolute)
    {
        using (var writer = site.Writer())
        {
            writer.Do("CREATE TABLE t(v); INSERT INTO t VALUES (1)");
            site.Wait(writer);
            Craft(absolute);
            Assert.Contains("hints/", writer.Do("PRAGMA recovery_verify=remote"));
            // The writer itself goes on.
            writer.Do("INSERT INTO t VALUES (2)");
        }
        MustBeUntouched();
    }
}
