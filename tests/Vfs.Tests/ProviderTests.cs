using System.Diagnostics;

namespace RecoveryVfs.Tests;

/// <summary>
/// The VFS registers with the SQLite that SQLitePCLRaw uses, whatever its provider binds; never with a second copy
/// unnoticed.
/// </summary>
public sealed class ProviderTests
{
    [Theory]
    [InlineData("bundle", "3.53.4"), InlineData("system", "3.40.1"), InlineData("dynamic", "3.40.1")]
    public void The_SQLite_of_SQLitePCLRaws_provider_is_the_one(string provider, string version)
    {
        using var store = new TestStore();
        Assert.Equal((0, $"{version}\n1 ok\n"), Run(provider, store.PathOf("a.db")));
        Assert.Equal((0, $"{version}\n2 ok\n"), Run(provider, store.PathOf("a.db")));
    }

    [Fact]
    public void Two_SQLites_in_one_process_are_refused_with_the_way_out()
    {
        using var store = new TestStore();
        var (code, message) = Run("two", store.PathOf("a.db"));
        Assert.Equal(1, code);
        Assert.Contains("Two SQLites are in this process", message);
        Assert.Contains("'e_sqlite3', 3.53.4", message);
        Assert.False(File.Exists(store.PathOf("a.db")));
    }

    [Theory]
    [InlineData("bundle", false), InlineData("system", true)]
    public void A_SQLite_that_loses_WAL_commits_is_named_once_in_its_error_log(string provider, bool loses)
    {
        using var store = new TestStore();
        var (code, output) = Run(provider, store.PathOf("a.db"), "wal");
        Assert.True(code == 0, output);
        Assert.Equal(loses ? 1 : 0, output.Split('\n')
            .Count(line => line.StartsWith("log 27: SQLite 3.40.1 itself loses commits in WAL mode",
            StringComparison.Ordinal)));
    }

    static (int Code, string Output) Run(string provider, string database, params string[] more)
    {
        using var process =
            Process.Start(
            new ProcessStartInfo("dotnet",
            [typeof(OtherSqlite).Assembly.Location, OtherSqlite.Word, provider, database,
            .. more])
            { RedirectStandardOutput = true })
            !;
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output);
    }
}
