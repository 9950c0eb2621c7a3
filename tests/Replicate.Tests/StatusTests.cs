using System.Diagnostics;
using System.Text.Json;

namespace RecoveryVfs.Replicate.Tests;

/// <summary>What <c>recovery status</c> says of a mirror: nothing that replicates nothing looks healthy.</summary>
public sealed class StatusTests : IDisposable
{
    readonly ProgramSite site = new();

    public void Dispose() => site.Dispose();

    string Url => "file://" + site.Scratch.At("remote");

    (int Code, JsonElement Status) Status(string target)
    {
        var (code, output, errors) = site.Run("status", target, "--json");
        Assert.True(output.StartsWith('{'), errors);
        return (code, JsonDocument.Parse(output).RootElement.Clone());
    }

    static (string?, string?, long?) Database(JsonElement status)
    {
        var database = status.GetProperty("replicated")[0];
        return (database.GetProperty("state").GetString(), database.TryGetProperty("why", out var why)
            ? why.GetString() : null, database.TryGetProperty("behind_bytes", out var bytes)
            && bytes.ValueKind == JsonValueKind.Number ? bytes.GetInt64() : null);
    }

    [Fact]
    public void A_running_replicator_is_in_step_a_stopped_one_behind_by_what_was_written_since()
    {
        using var app = site.Scratch.Open("app.db", "PRAGMA journal_mode=WAL", "CREATE TABLE t(a)");
        using (var replicator = site.Start("replicate", "app.db", Url, "-o", "sync-interval=50"))
        {
            ProgramSite.UntilInStep(replicator);
            app.Run("INSERT INTO t VALUES (1)");
            var (code, running) = Status("app.db");
            Assert.Equal(("in-step", null, 0), Database(running));
            // Until its first hints are published it is not restorable, and says so.
            for (var started = Stopwatch.GetTimestamp(); code != 0; (code, running) = Status("app.db"))
                Assert.True(Stopwatch.GetElapsedTime(started) < TimeSpan.FromMinutes(2), running.ToString());
            ProgramSite.Terminate(replicator);
        }
        var (stoppedCode, stopped) = Status(".app.db-recovery");
        Assert.Equal((1, "stopped"), (stoppedCode, stopped.GetProperty("state").GetString()));
        Assert.Equal(("stopped", "no process replicates it", 0), Database(stopped));
        app.Run("INSERT INTO t VALUES (2)");
        var (_, behind) = Status("app.db");
        var (state, why, bytes) = Database(behind);
        Assert.Equal("stopped", state);
        Assert.Contains("frames of its WAL", why, StringComparison.Ordinal);
        Assert.True(bytes >= 4096 + 24, $"{bytes}");
    }

    [Fact]
    public void A_database_that_is_locked_or_gone_is_said_to_be()
    {
        using var app = site.Scratch.Open("app.db", "CREATE TABLE t(a)", "INSERT INTO t VALUES (1)");
        using var replicator = site.Start("replicate", "app.db", Url, "-o", "sync-interval=50");
        ProgramSite.UntilInStep(replicator);
        app.Run("PRAGMA locking_mode=EXCLUSIVE");
        app.Run("INSERT INTO t VALUES (2)");
        ProgramSite.Until(replicator, "warning");
        var (code, locked) = Status("app.db");
        Assert.Equal((1, "behind"), (code, Database(locked).Item1));
        app.Run("PRAGMA locking_mode=NORMAL");
        app.Text("SELECT count(*) FROM t");
        app.Run("INSERT INTO t VALUES (3)");
        ProgramSite.UntilInStep(replicator);
        File.Delete(site.Scratch.At("app.db"));
        ProgramSite.Until(replicator, "There is no database");
        var (goneCode, gone) = Status(".app.db-recovery");
        Assert.Equal((1, "missing"), (goneCode, Database(gone).Item1));
        Assert.Contains("there is no file", Database(gone).Item2, StringComparison.Ordinal);
        ProgramSite.Terminate(replicator);
    }
}

/// <summary>The program <c>recovery</c>, run in a directory of a test's own.</summary>
internal sealed class ProgramSite(IReadOnlyDictionary<string, string>? environment = null) : IDisposable
{
    readonly List<Process> processes = [];

    public Scratch Scratch { get; } = new();

    public (int Code, string Output, string Errors) Run(params string[] arguments)
    {
        using var process = Start(arguments);
        var errors = process.StandardError.ReadToEndAsync();
        var output = process.StandardOutput.ReadToEnd();
        Assert.True(process.WaitForExit(TimeSpan.FromMinutes(3)));
        return (process.ExitCode, output, errors.Result);
    }

    public Process Start(params string[] arguments)
    {
        var start = new ProcessStartInfo("dotnet",
            [Path.Combine(AppContext.BaseDirectory, "recovery.dll"), .. arguments])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
            WorkingDirectory = Scratch.Directory,
        };
        start.Environment.Remove("RECOVERY_REMOTE");
        foreach (var (name, value) in environment ?? new Dictionary<string, string>()) start.Environment[name] = value;
        var process = Process.Start(start)!;
        processes.Add(process);
        return process;
    }

    /// <summary>Reads what it says until there is a line with a text in it.</summary>
    public static void Until(Process process, string text)
    {
        List<string> said = [];
        while (process.StandardError.ReadLine() is { } line)
        {
            said.Add(line);
            if (line.Contains(text, StringComparison.Ordinal)) return;
        }
        Assert.Fail($"it ended, and never said '{text}':\n{string.Join('\n', said)}");
    }

    public static void UntilInStep(Process process) => Until(process, "in step");

    /// <summary>Tells it to end; it must do so with a code.</summary>
    public static void Terminate(Process process, int code = 0)
    {
        using (var kill = Process.Start("kill", [$"{process.Id}"])) kill.WaitForExit();
        var errors = process.StandardError.ReadToEndAsync();
        Assert.True(process.WaitForExit(TimeSpan.FromMinutes(2)));
        Assert.True(process.ExitCode == code, $"{process.ExitCode}: {errors.Result}");
    }

    public void Dispose()
    {
        foreach (var process in processes)
        {
            try
            {
                process.Kill();
                process.WaitForExit();
            }
            catch (InvalidOperationException)
            {
                // It was let go of when it had ended.
            }
        }
        Scratch.Dispose();
    }
}
