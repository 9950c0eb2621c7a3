namespace RecoveryVfs.Cli.Tests;

/// <summary>Databases that others made are opened as SQLite advises for what is not trusted.</summary>
public sealed class ForeignDatabaseTests(Shipped shipped) : IClassFixture<Shipped>
{
    [Theory]
    [InlineData("trusted_schema", "0")]
    [InlineData("cell_size_check", "1")]
    public void A_plain_file_and_a_state_of_the_past_are_not_trusted(string pragma, string value)
    {
        var file = Path.GetTempFileName();
        try
        {
            using var connection = Connection.OpenForeign(file);
            Assert.Equal(value, connection.Ask($"PRAGMA {pragma}"));
        }
        finally
        {
            File.Delete(file);
        }
        Assert.Equal(value, Recover.Run("at", shipped.Remote, "--database", "a.db", "--lsn", $"{shipped.Lsns[0]}",
            "--query", $"PRAGMA {pragma}").MustEndWith(0).Output.TrimEnd());
    }
}
