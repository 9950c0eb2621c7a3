using System.Diagnostics;
using RecoveryVfs.Cli.Replicate;
using RecoveryVfs.TestServers;

namespace RecoveryVfs.Replicate.Tests;

/// <summary>The program <c>recovery replicate</c> as operators run it.</summary>
[Collection(S3Collection.Name)]
public sealed class ProgramTests(S3Server server) : IDisposable
{
    readonly Scratch scratch = new();

    public void Dispose() => scratch.Dispose();

    (int Code, string Output, string Errors) Recover(params string[] arguments)
    {
        using var process = Start(arguments);
        var errors = process.StandardError.ReadToEndAsync();
        var output = process.StandardOutput.ReadToEnd();
        Assert.True(process.WaitForExit(TimeSpan.FromMinutes(3)));
        return (process.ExitCode, output, errors.Result);
    }

    Process Start(params string[] arguments)
    {
        var start = new ProcessStartInfo("dotnet",
            [Path.Combine(AppContext.BaseDirectory, "recovery.dll"), .. arguments])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
            WorkingDirectory = scratch.Directory,
        };
        start.Environment.Remove("RECOVERY_REMOTE");
        foreach (var (name, value) in server.Environment) start.Environment[name] = value;
        return Process.Start(start)!;
    }

    [Fact]
    public async Task The_program_it_runs_gets_signals_and_its_exit_code_and_last_commit_are_kept_on_S3()
    {
        var url = $"s3://{await server.NewBucketAsync()}/app";
        File.WriteAllText(scratch.At("app.py"), """
            import signal, sqlite3, sys
            c = sqlite3.connect('app.db')
            c.execute('PRAGMA journal_mode=WAL')
            c.execute('CREATE TABLE IF NOT EXISTS t(a)')
            def end(number, frame):
                c.execute('INSERT INTO t VALUES (?)', (number,))
                c.commit()
                sys.exit(42)
            signal.signal(signal.SIGTERM, end)
            print('running', flush=True)
            while True: signal.pause()
            """);
        using (var process =
            Start("replicate", "app.db", url, "--restore-if-db-not-exists", "--exec", "python3 app.py", "--log-format",
            "json"))
        {
            var errors = process.StandardError.ReadToEndAsync();
            Assert.Equal("running", process.StandardOutput.ReadLine());
            using (var kill = Process.Start("kill", [$"{process.Id}"])) kill.WaitForExit();
            Assert.True(process.WaitForExit(TimeSpan.FromMinutes(2)));
            Assert.True(process.ExitCode == 42, await errors);
        }
        var restored = Recover("restore", url, "--database", "app.db", "-o", "restored.db");
        Assert.True(restored.Code == 0, restored.Errors);
        using var connection = scratch.Open("restored.db");
        Assert.Equal("15", connection.Text("SELECT a FROM t"));
    }

    [Fact]
    public void A_second_replicator_says_who_has_the_mirror_and_the_first_ends_well_when_it_is_told_to()
    {
        using (scratch.Open("app.db", "PRAGMA journal_mode=WAL", "CREATE TABLE t(a)")) { }
        var url = "file://" + scratch.At("remote");
        using var first = Start("replicate", "app.db", url);
        string? line;
        do line = first.StandardError.ReadLine();
        while (line?.Contains("in step", StringComparison.Ordinal) == false);
        Assert.NotNull(line);
        var second = Recover("replicate", "app.db", url, "--once");
        Assert.Equal(5, second.Code);
        Assert.Contains($"pid {first.Id}", second.Errors, StringComparison.Ordinal);
        using (var kill = Process.Start("kill", [$"{first.Id}"])) kill.WaitForExit();
        Assert.True(first.WaitForExit(TimeSpan.FromMinutes(2)));
        Assert.Equal(0, first.ExitCode);
        Assert.Equal(0, Recover("replicate", "app.db", url, "--once").Code);
    }

    [Fact]
    public void The_example_config_is_read()
    {
        var settings = ConfigFile.Read(Path.Combine(AppContext.BaseDirectory, "example-recovery.yml"), expand: true);
        Assert.Equal("s3://my-bucket/my-app", Assert.Single(settings.Groups).Url);
    }
}
