using System.Diagnostics;
using System.Text.Json;

namespace RecoveryVfs.Testing;

/// <summary>How a program ended and what it said.</summary>
internal sealed record Outcome(string Command, int ExitCode, string Output, string Errors)
{
    public Outcome MustEndWith(int code)
    {
        Assert.True(ExitCode == code, $"{Command} ended with {ExitCode}, not {code}\n{Output}\n{Errors}");
        Assert.DoesNotContain("   at ", Errors, StringComparison.Ordinal);
        return this;
    }

    /// <summary>Standard output, which must be JSON and nothing else.</summary>
    public JsonElement Json => JsonDocument.Parse(Output).RootElement;
}

/// <summary>Runs <c>recovery</c> and <c>recovery-tail</c> as processes of their own.</summary>
internal static class Programs
{
    static readonly TimeSpan Limit = TimeSpan.FromMinutes(5);

    public static Outcome Recovery(params string[] arguments) => Run("recovery", arguments);

    public static Outcome Tail(params string[] arguments) => Run("recovery-tail", arguments);

    /// <summary>How one is started.</summary>
    public static ProcessStartInfo Start(string name, params string[] arguments)
    {
        var program = Path.Combine(AppContext.BaseDirectory, name + ".dll");
        var start = new ProcessStartInfo("dotnet", [program, .. arguments])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment.Remove("RECOVERY_REMOTE");
        return start;
    }

    static Outcome Run(string name, string[] arguments)
    {
        using var process = Process.Start(Start(name, arguments))!;
        var output = process.StandardOutput.ReadToEndAsync();
        var errors = process.StandardError.ReadToEndAsync();
        if (!process.WaitForExit(Limit))
        {
            process.Kill(entireProcessTree: true);
            Assert.Fail($"{name} {string.Join(' ', arguments)} did not end within {Limit}");
        }
        return new Outcome($"{name} {string.Join(' ', arguments)}", process.ExitCode, output.Result, errors.Result);
    }
}
