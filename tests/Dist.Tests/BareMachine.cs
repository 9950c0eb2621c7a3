using System.Diagnostics;
using System.Text.Json;

namespace RecoveryVfs.Dist.Tests;

/// <summary>
/// The programs of dist/ with the libraries they bring, copied into a directory of their own, and run as on a machine
/// where nothing else was ever installed or set: no .NET to be found, no home, no variables but those given.
/// </summary>
internal sealed class BareMachine : IDisposable
{
    readonly StoreDirectory programs = new();
    readonly string[] environment;
    readonly HashSet<string> commands = [];

    public BareMachine(Dictionary<string, string>? environment = null)
    {
        foreach (var file in Directory.EnumerateFiles(Repository.Dist)
            .Where(f => Path.GetFileName(f) is "recovery" or "recovery-tail"
            || Path.GetFileName(f).StartsWith("lib", StringComparison.Ordinal)))
            File.Copy(file, Path.Combine(programs.Path, Path.GetFileName(file)));
        // A directory that is there and holds no .NET: a program that needs one looks nowhere else then, and fails.
        this.environment =
            ["-i", "PATH=/usr/bin:/bin", "DOTNET_ROOT=" + programs.Path,
            .. (environment ?? []).Select(v => $"{v.Key}={v.Value}")];
    }

    /// <summary>The commands of <c>recovery</c> that gave a result as JSON.</summary>
    public IReadOnlySet<string> Commands => commands;

    public Outcome Run(string program, params string[] arguments)
        => Command.Run("/usr/bin/env", [.. environment, Path.Combine(programs.Path, program), .. arguments]);

    /// <summary>Starts a program whose output the caller reads; signals reach it.</summary>
    public Process Start(string program, params string[] arguments)
        => Command.Start([], "/usr/bin/env", [.. environment, Path.Combine(programs.Path, program), .. arguments]);

    /// <summary>The result of a command of <c>recovery</c>, which must succeed.</summary>
    public JsonElement Json(params string[] arguments)
    {
        var result = JsonDocument.Parse(Run("recovery", [.. arguments, "--json"]).MustSucceed().Output).RootElement;
        commands.Add(arguments[0]);
        return result;
    }

    public void Dispose() => programs.Dispose();
}
