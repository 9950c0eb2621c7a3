using System.Diagnostics;
using System.Text.Json;

namespace RecoveryVfs.Cli.Tests;

/// <summary>How the program ended and what it said.</summary>
internal sealed record Outcome(string Command, int ExitCode, string Output, string Errors)
{
    public Outcome MustEndWith(int code)
    {
        Assert.True(ExitCode == code, $"{Command} ended with {ExitCode}, not {code}\n{Output}\n{Errors}");
        Assert.DoesNotContain("   at ", Errors);
        return this;
    }

    /// <summary>Standard output, which must be JSON and nothing else.</summary>
    public JsonElement Json => JsonDocument.Parse(Output).RootElement;
}

/// <summary>Runs <c>recovery</c> as a process of its own.</summary>
internal static class Recover
{
    static readonly TimeSpan Limit = TimeSpan.FromMinutes(5);

    public static Outcome Run(params string[] arguments) => RunWith([], arguments);

    public static Outcome RunWith(Dictionary<string, string> environment, params string[] arguments)
        => RunProgram("recovery", environment, arguments);

    /// <summary>Runs <c>recovery-tail</c>.</summary>
    public static Outcome TailWith(Dictionary<string, string> environment, params string[] arguments)
        => RunProgram("recovery-tail", environment, arguments);

    static Outcome RunProgram(string name, Dictionary<string, string> environment, string[] arguments)
    {
        var program = Path.Combine(AppContext.BaseDirectory, name + ".dll");
        var start = new ProcessStartInfo("dotnet", [program, .. arguments])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true
        };
        start.Environment.Remove("RECOVERY_REMOTE");
        foreach (var (variable, value) in environment) start.Environment[variable] = value;
        using var process = Process.Start(start)!;
        var output = process.StandardOutput.ReadToEndAsync();
        var errors = process.StandardError.ReadToEndAsync();
        if (!process.WaitForExit(Limit))
        {
            process.Kill(entireProcessTree: true);
            Assert.Fail($"{name} {string.Join(' ', arguments)} did not end within {Limit}");
        }
        return new Outcome(name + " " + string.Join(' ', arguments), process.ExitCode, output.Result, errors.Result);
    }
}
