namespace RecoveryVfs.Dist.Tests;

/// <summary>
/// What .NET programs use SQLite through, in the versions that are in use, on the packages of dist/:
/// Microsoft.Data.Sqlite, Dapper, and EF Core with EnsureCreated, migrations that rebuild a table, concurrency tokens
/// and async queries.
/// </summary>
public sealed class MatrixTests
{
    [Theory]
    [InlineData("10.0.15", "2.1.11", "Microsoft.Data.Sqlite 10.0, SQLite 3.49.1"),
        InlineData("11.0.0", "3.0.5", "Microsoft.Data.Sqlite 11.0, SQLite 3.53.4")]
    public void Dapper_and_EF_Core_work_on_it(string dataSqlite, string bundle, string versions)
    {
        using var store = new StoreDirectory();
        using var project = new ExampleProject(Path.Combine(Repository.Root, "tests", "Dist.Tests", "host"), "matrix")
        { Properties = [$"-p:DataSqlite={dataSqlite}", $"-p:Bundle={bundle}"] };
        Assert.Equal([versions, "dapper", "created", "migrated", "conflict"], project.Run([], store.Path).Lines);
        if (dataSqlite[..2] == "11") BesideAReplicator(project);
    }

    /// <summary>The same EF Core on stock SQLite, with `recovery replicate` beside it.</summary>
    static void BesideAReplicator(ExampleProject project)
    {
        using var plain = new StoreDirectory();
        string[] names = ["created.db", "migrated.db"];
        using (var replicated = new Replicated(plain.Path, names))
        {
            Assert.Equal(["created", "migrated", "conflict"], project.Run([], plain.Path, "plain").Lines);
            replicated.Kill();
        }
        Replicated.Once(plain.Path, names);
        foreach (var name in names) Replicated.MustBeRestored(plain.Path, name);
    }
}
