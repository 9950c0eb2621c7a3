namespace RecoveryVfs.Dist.Tests;

/// <summary>The programs under examples/, as a user runs them, on one store in turn.</summary>
public sealed class ExampleTests
{
    [Fact]
    public void The_same_database_is_used_by_shell_python_node_C_and_Go_in_turn()
    {
        using var store = new StoreDirectory();
        var programs = new (string Name, Func<Outcome> Run)[]
        {
            ("c", () => Command.Run(Repository.HostProgram("app"), Repository.Extension, store.Path)),
            ("go", () => Command.RunWith(new() { ["RECOVERY_EXTENSION"] = Repository.Extension },
                GoExample.Program("app"), store.Path)),
            ("node", () => Command.Run("node", NodeExample.Script, store.Path)),
            ("python", ()
                => Command.Run("/usr/bin/python3", Path.Combine(Repository.Examples, "python.py"), store.Path)),
            ("shell", () => Command.Run(Path.Combine(Repository.Examples, "shell.sh"), store.Path)),
        };
        for (var round = 1; round <= 2; round++)
            for (var turn = 0; turn < programs.Length; turn++)
            {
                var lines = programs[turn].Run().MustSucceed().Lines;
                var expected = programs.Select((p, i) => $"{p.Name} {(i <= turn ? round : round - 1)}")
                    .Where(line => !line.EndsWith(" 0"));
                Assert.Equal(expected, lines);
            }
    }

    [Fact]
    public void A_database_is_a_readable_file_that_says_what_it_is()
    {
        using var store = new StoreDirectory();
        Command.Run("/usr/bin/python3", Path.Combine(Repository.Examples, "python.py"), store.Path).MustSucceed();
        var stub = File.ReadAllText(Path.Combine(store.Path, "app.db"));
        Assert.Contains("recovery", stub, StringComparison.OrdinalIgnoreCase);
        var plain = Command.Run("sqlite3", "-batch", Path.Combine(store.Path, "app.db"), "SELECT count(*) FROM visits");
        Assert.NotEqual(0, plain.ExitCode);
        Assert.Contains("not a database", plain.Errors);
    }
}
