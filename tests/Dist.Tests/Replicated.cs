using System.Diagnostics;

namespace RecoveryVfs.Dist.Tests;

/// <summary>dist/recovery, replicating plain databases of a directory until it is told to end, or killed.</summary>
internal sealed class Replicated : IDisposable
{
    static readonly string program = Path.Combine(Repository.Dist, "recovery");

    readonly Process process;
    readonly Task<string> rest;

    public Replicated(string directory, params string[] names)
    {
        process = Command.Start([], program, "replicate", "--config", Configure(directory, names));
        rest = process.StandardError.ReadToEndAsync();
    }

    static string Url(string directory) => $"file://{directory}/remote";

    static string Configure(string directory, string[] names)
    {
        var config = Path.Combine(directory, "recovery.yml");
        File.WriteAllText(config, $"remote: {Url(directory)}\nstore: {directory}/mirror\nsync-interval: 50\ndbs:\n"
            + string.Concat(names.Select(n => $"  - path: {directory}/{n}\n")));
        return config;
    }

    /// <summary>Ships everything with a process of its own that ends then.</summary>
    public static void Once(string directory, params string[] names)
        => Command.Run(program, "replicate", "--once", "--config", Configure(directory, names)).MustSucceed();

    /// <summary>Tells it to end, which it does when everything is shipped.</summary>
    public void End()
    {
        Command.Run("kill", $"{process.Id}").MustSucceed();
        Assert.True(process.WaitForExit(TimeSpan.FromMinutes(4)), "it does not end");
        Assert.True(process.ExitCode == 0, $"it ended with {process.ExitCode}\n{rest.Result}");
    }

    public void Kill()
    {
        Assert.False(process.HasExited, "it ended by itself");
        process.Kill();
        process.WaitForExit();
    }

    /// <summary>A database of the remote as a plain file; with an LSN, as of then.</summary>
    public static string Restore(string directory, string name, string? lsn = null)
    {
        var restored = Path.Combine(directory, $"restored-{Guid.NewGuid():n}-{name}");
        Command.Run(program, ["restore", Url(directory), "--database", name, "-o", restored,
            .. lsn is null ? (string[])[] : ["--lsn", lsn]]).MustSucceed();
        return restored;
    }

    /// <summary>The LSN of each commit of the remote.</summary>
    public static string[] Commits(string directory)
        => [.. Command.Run(program, "log", Url(directory), "--commits", "-n", "1000000").MustSucceed().Lines
            .Select(line => line.Trim().Split(' ')[0]).Where(first => first.All(char.IsAsciiDigit))];

    /// <summary>What the remote has is what is in the database.</summary>
    public static void MustBeRestored(string directory, string name)
    {
        string Dump(string path) => Command.Run("sqlite3", "-batch", path, ".dump").MustSucceed().Output;
        Assert.Equal(Dump(Path.Combine(directory, name)), Dump(Restore(directory, name)));
    }

    public void Dispose()
    {
        if (!process.HasExited) process.Kill();
        process.WaitForExit();
        process.Dispose();
    }
}
