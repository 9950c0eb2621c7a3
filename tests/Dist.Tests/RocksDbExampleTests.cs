namespace RecoveryVfs.Dist.Tests;

/// <summary>examples/rocksdb: a program of a user whose RocksDB comes back from its remote.</summary>
public sealed class RocksDbExampleTests
{
    [Fact]
    public void A_RocksDB_comes_back_from_its_remote_and_goes_on()
    {
        using var project = new ExampleProject("rocksdb");
        using var place = new StoreDirectory();
        var remote = $"file://{place.Path}/remote";
        var (first, second) = (Path.Combine(place.Path, "first"), Path.Combine(place.Path, "second"));
        project.Run([], first, remote, "a=1", "b=2");
        Directory.Delete(first, recursive: true);
        Command.Run(Path.Combine(Repository.Dist, "recovery"), "restore", remote, second).MustSucceed();
        Assert.Equal("1\n", Command.Run("ldb", $"--db={second}", "get", "a").MustSucceed().Output);
        Assert.Equal(["a=1", "b=2", "c=3"], project.Run([], second, remote, "c=3").Lines);
    }
}
