namespace RecoveryVfs.Dist.Tests;

/// <summary>Following with what dist/ holds: the program, and examples/follow, a host that keeps a follower.</summary>
public sealed class FollowTests
{
    [Fact]
    public void A_host_and_the_program_follow_what_a_python_program_wrote()
    {
        using var project = new ExampleProject("follow");
        using var store = new StoreDirectory();
        using var other = new StoreDirectory();
        var remote = $"file://{other.Path}/remote";
        Command.Run("/usr/bin/python3", "-c", $"""
            import sqlite3
            loader = sqlite3.connect(':memory:')
            loader.enable_load_extension(True)
            loader.load_extension('{Repository.Extension}')
            db = sqlite3.connect('{store.Uri}&remote={remote}', uri=True)
            db.execute('CREATE TABLE t(a)')
            db.commit()
            db.execute('PRAGMA recovery_sync').fetchall()
            db.close()
            """).MustSucceed();
        var lines = project.Run([], remote, Path.Combine(other.Path, "replica"), "1").Lines;
        Assert.Contains(": 1 tables at LSN ", lines[0]);
        var caughtUp =
            Command.Run(Path.Combine(Repository.Dist, "recovery-tail"), remote, "--into",
            Path.Combine(other.Path, "second"), "--once").MustSucceed();
        Assert.StartsWith("caught up at LSN ", caughtUp.Output);
    }
}
