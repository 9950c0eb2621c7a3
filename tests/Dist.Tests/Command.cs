using System.Diagnostics;

namespace RecoveryVfs.Dist.Tests;

/// <summary>How a program ended and what it said.</summary>
internal sealed record Outcome(string Program, int ExitCode, string Output, string Errors)
{
    public Outcome MustSucceed()
    {
        Assert.True(ExitCode == 0, $"{Program} ended with {ExitCode}\n{Output}\n{Errors}");
        return this;
    }

    /// <summary>The output's lines.</summary>
    public string[] Lines => Output.Split('\n', StringSplitOptions.RemoveEmptyEntries);
}

/// <summary>Runs other programs: the hosts of the extension.</summary>
internal static class Command
{
    static readonly TimeSpan limit = TimeSpan.FromMinutes(10);

    public static Outcome Run(string program, params string[] arguments) => RunWith([], program, arguments);

    public static Outcome RunWith(Dictionary<string, string> environment, string program, params string[] arguments)
    {
        using var process = Start(environment, program, arguments);
        process.StandardInput.Close();
        var output = process.StandardOutput.ReadToEndAsync();
        var errors = process.StandardError.ReadToEndAsync();
        if (!process.WaitForExit(limit))
        {
            process.Kill(entireProcessTree: true);
            Assert.Fail($"{program} did not end within {limit}");
        }
        return new Outcome($"{program} {string.Join(' ', arguments)}", process.ExitCode, output.Result, errors.Result);
    }

    /// <summary>Starts a program whose input and output the caller drives.</summary>
    public static Process Start(Dictionary<string, string> environment, string program, params string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments)
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        // What a user's shell may have set must not be what makes it work.
        start.Environment.Remove("LD_LIBRARY_PATH");
        foreach (var (name, value) in environment)
            start.Environment[name] = value;
        return Process.Start(start)!;
    }
}
