using System.Diagnostics;
using System.Globalization;
using Xunit.Abstractions;

namespace RecoveryVfs.Dist.Tests;

/// <summary>One store, used by programs of every language in turn, and by two at once.</summary>
public sealed class LanguageTests(ITestOutputHelper output)
{
    static readonly string[] languages = ["shell", "python", "node", "dotnet", "c", "go"];

    /// <summary>
    /// A process that commits rows into n and prints the number of each; it first says its SQLite's version.
    /// </summary>
    static Process Start(string language, StoreDirectory store, int count = 1_000_000, Dictionary<string,
        string>? environment = null)
    {
        environment ??= [];
        var number = count.ToString(CultureInfo.InvariantCulture);
        return language switch
        {
            "c" => Command.Start(environment, Repository.HostProgram("commits"), Repository.Extension, store.Uri,
                number),
            "python" => Command.Start(environment, "/usr/bin/python3",
                Path.Combine(Repository.Root, "tests", "Dist.Tests", "host", "commits.py"), Repository.Extension,
                store.Path, number),
            "node" => Command.Start(environment, "node", NodeExample.HostProgram("commits.js"), Repository.Extension,
                store.Path, number),
            "go" => Command.Start(environment, GoExample.Program("commits"), Repository.Extension, store.Path, number),
            "dotnet" => Command.Start(environment, DotnetHost.Program, store.Path, number),
            _ => StartShell(store, count),
        };
    }

    /// <summary>The sqlite3 shell with the statements coming down its input.</summary>
    static Process StartShell(StoreDirectory store, int count)
    {
        // stdbuf: the shell would keep what it prints until it ends.
        var shell = Command.Start([], "stdbuf", "-oL", "sqlite3", "-batch", "-bail", "-cmd",
            ".load " + Repository.Extension, "-cmd", $".open '{store.Uri}'", ":memory:");
        _ = Task.Run(() =>
        {
            try
            {
                shell.StandardInput.WriteLine(
                    "SELECT 'version ' || sqlite_version(); CREATE TABLE IF NOT EXISTS n(x INTEGER PRIMARY KEY, "
                        + "filler);");
                for (var i = 0; i < count; i++)
                    shell.StandardInput.WriteLine(
                        $"INSERT INTO n(filler) VALUES(randomblob({10 + i % 3000})); SELECT last_insert_rowid();");
            }
            catch (IOException)
            {
                // It was killed: that is what it is for.
            }
        });
        return shell;
    }

    [Fact]
    public async Task Shell_python_node_dotnet_C_and_Go_take_over_from_each_other_after_kill_9()
    {
        using var store = new StoreDirectory();
        var returned = 0L;
        foreach (var language in languages.Concat(languages))
        {
            using var writer = Start(language, store);
            var errors = writer.StandardError.ReadToEndAsync();
            var commits = 0;
            while (await writer.StandardOutput.ReadLineAsync() is { } line)
            {
                if (line.StartsWith("version", StringComparison.Ordinal))
                {
                    output.WriteLine($"{language}: SQLite {line}, after row {returned}");
                    continue;
                }
                var row = long.Parse(line, CultureInfo.InvariantCulture);
                // The one before may have had a commit in flight when it was killed.
                Assert.InRange(row, returned + 1, returned + (commits == 0 && returned > 0 ? 2 : 1));
                returned = row;
                if (++commits == 150) writer.Kill();
            }
            await writer.WaitForExitAsync();
            Assert.True(commits >= 150, $"{language} ended after {commits} commits: {await errors}");
        }
        var found = store.Shell(
            "SELECT max(x) FROM n; SELECT count(*) FROM n; PRAGMA integrity_check; PRAGMA recovery_verify")
            .MustSucceed().Lines;
        Assert.InRange(long.Parse(found[0], CultureInfo.InvariantCulture), returned, returned + 1);
        Assert.Equal([found[0], "ok", "ok"], found[1..]);
    }

    [Theory]
    [InlineData("python", "node"), InlineData("node", "dotnet"), InlineData("dotnet", "python")]
    public async Task Of_two_processes_one_writes_and_the_other_is_told_so_until_the_first_is_killed(string one,
        string other)
    {
        using var store = new StoreDirectory();
        using var holder = Start(one, store);
        var row = 0L;
        while (row < 20) row = Row(await holder.StandardOutput.ReadLineAsync()) ?? row;
        for (var attempt = 0; attempt < 3; attempt++)
        {
            using var second = Start(other, store, environment: new() { ["RECOVERY_LOCK_TIMEOUT"] = "300" });
            var (said, complained) = (second.StandardOutput.ReadToEndAsync(), second.StandardError.ReadToEndAsync());
            second.StandardInput.Close();
            await second.WaitForExitAsync();
            Assert.NotEqual(0, second.ExitCode);
            Assert.DoesNotContain((await said).Split('\n'), line => Row(line) is not null);
            Assert.Contains("database is locked", await complained);
        }
        holder.Kill();
        while (await holder.StandardOutput.ReadLineAsync() is { } line) row = Row(line) ?? row;
        await holder.WaitForExitAsync();

        using var next = Start(other, store, 10);
        long? first = null;
        while (first is null)
            first = Row(await next.StandardOutput.ReadLineAsync()
                ?? throw new InvalidOperationException(await next.StandardError.ReadToEndAsync()));
        Assert.InRange(first.Value, row + 1, row + 2);
        next.StandardInput.Close();
        while (await next.StandardOutput.ReadLineAsync() is not null) { }
        await next.WaitForExitAsync();
        Assert.Equal(0, next.ExitCode);
        Assert.Equal("ok", store.Shell("PRAGMA integrity_check").MustSucceed().Output.Trim());
    }

    static long? Row(string? line) => long.TryParse(line, NumberStyles.None, CultureInfo.InvariantCulture, out var row)
        ? row
        : null;
}
