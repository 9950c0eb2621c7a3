using RecoveryVfs.PageStore.Stores;

namespace RecoveryVfs.Replicate.Tests;

/// <summary>
/// A database that is larger than the mirror's log may ever be: it is copied in pieces, and seen when it is whole.
/// </summary>
public sealed class FirstCopyTests
{
    const string Fill = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) "
        + "INSERT INTO t SELECT NULL, randomblob(4000) FROM n";

    static MirrorSite NewSite() => new(maxLocalLogBytes: 4 << 20);

    [Theory]
    [InlineData("wal")]
    [InlineData("delete")]
    public void A_database_larger_than_the_log_is_copied_in_pieces_and_is_there_when_it_is_whole(string mode)
    {
        using var site = NewSite();
        using var app = site.Open($"PRAGMA journal_mode={mode}", "CREATE TABLE t(a INTEGER PRIMARY KEY, b)", Fill,
            Fill);
        List<string> names = [];
        site.Told = e =>
        {
            if (e.Kind == ReplicationEventKind.Copying) names.AddRange(site.Store.Databases.Select(d => d.Name));
        };
        site.LookAndCompare();
        Assert.True(new FileInfo(site.Scratch.At("app.db")).Length > 20 << 20);
        // Nobody could take a part of it for the database.
        Assert.NotEmpty(names);
        Assert.DoesNotContain("app.db", names);
        Assert.Equal("app.db", Assert.Single(site.Store.Databases).Name);
        app.Run("INSERT INTO t VALUES (NULL, 1)");
        site.LookAndCompare();
        Assert.Equal(1, site.Watched.Joins);
    }

    [Theory]
    [InlineData("wal")]
    [InlineData("delete")]
    public void A_copy_that_was_broken_off_goes_on_where_it_was(string mode)
    {
        using var site = NewSite();
        using var app = site.Open($"PRAGMA journal_mode={mode}", "CREATE TABLE t(a INTEGER PRIMARY KEY, b)", Fill);
        site.Told = e =>
        {
            if (e.Kind == ReplicationEventKind.Copying && e.Message.Contains("50 %", StringComparison.Ordinal))
                throw new IOException("broken off");
        };
        Assert.Throws<IOException>(site.Watched.Look);
        Assert.Null(site.Store.Find("app.db"));
        site.Told = null;
        site.Restart();
        app.Run("UPDATE t SET b = 1 WHERE a < 10");
        site.LookAndCompare();
        Assert.Equal("app.db", Assert.Single(site.Store.Databases).Name);
    }

    [Theory]
    [InlineData("wal")]
    [InlineData("delete")]
    public void A_transaction_larger_than_the_log_is_copied_too_and_the_state_before_stays_until_then(string mode)
    {
        using var site = NewSite();
        using var app = site.Open($"PRAGMA journal_mode={mode}", "CREATE TABLE t(a INTEGER PRIMARY KEY, b)");
        site.LookAndCompare();
        app.Run(Fill);
        site.LookUntilInStep();
        site.LookAndCompare();
        Assert.Equal("app.db", Assert.Single(site.Store.Databases).Name);
        app.Run("INSERT INTO t VALUES (NULL, 1)");
        site.LookAndCompare();
    }
}
