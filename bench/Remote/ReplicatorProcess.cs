using System.Diagnostics;
using System.Runtime.InteropServices;
using RecoveryVfs.Replicate;

namespace RecoveryVfs.Bench;

/// <summary>
/// A replicator as a process of its own: the program as users have it, if it was made (<c>dist</c>); else the same in
/// this program's runtime.
/// </summary>
internal static class ReplicatorProcess
{
    static string Program => Path.GetFullPath(Path.Combine("dist", "recovery"));

    /// <summary>Starts it for a database; returns when that is in step.</summary>
    public static Process Start(string path, string url)
    {
        if (!File.Exists(Program)) return StartChild(path, url);
        return StartProgram(["replicate", path, url], "in step");
    }

    /// <summary>Starts it for all databases of a directory; returns when all are in step.</summary>
    public static Process StartAll(string directory, string url)
    {
        if (!File.Exists(Program)) return StartChild(directory, url);
        var config = directory + ".yml";
        File.WriteAllText(config,
            $"remote: {url}\nstore: {directory}-mirror\ndbs:\n  - dir: {directory}\n    pattern: '*.db'\n");
        return StartProgram(["replicate", "--config", config], "in step",
            Directory.EnumerateFiles(directory, "*.db").Count());
    }

    static Process StartProgram(string[] arguments, string awaited, int times = 1)
    {
        var program = Process.Start(new ProcessStartInfo(Program, arguments) { RedirectStandardError = true })!;
        while (times > 0 && program.StandardError.ReadLine() is { } line)
            if (line.Contains(awaited, StringComparison.Ordinal)) times--;
        program.BeginErrorReadLine();
        return program;
    }

    static Process StartChild(string path, string url)
    {
        var start = new ProcessStartInfo(Environment.ProcessPath!) { RedirectStandardOutput = true };
        if (Path.GetFileNameWithoutExtension(Environment.ProcessPath) == "dotnet")
            start.ArgumentList.Add(typeof(ReplicateCase).Assembly.Location);
        foreach (var each in (string[])["--child", "replicate", path, url]) start.ArgumentList.Add(each);
        var process = Process.Start(start)!;
        process.StandardOutput.ReadLine();
        return process;
    }

    /// <summary>Lets a replicator, ours or another, ship what is left, and end.</summary>
    public static void End(Process? process)
    {
        if (process is null) return;
        using (var kill = Process.Start("kill", ["-INT", $"{process.Id}"])) kill.WaitForExit();
        process.WaitForExit();
    }

    /// <summary>The child: it replicates until it is told to end.</summary>
    public static int Run(string path, string url)
    {
        using var ended = new ManualResetEventSlim();
        using var signal = PosixSignalRegistration.Create(PosixSignal.SIGINT, context =>
        {
            context.Cancel = true;
            ended.Set();
        });
        SQLitePCL.Batteries_V2.Init();
        var isMany = Directory.Exists(path);
        var replicator = SqliteReplicator.StartAsync(
            [.. isMany ? Directory.EnumerateFiles(path, "*.db").Select(p => new ReplicatedPath(p)) : [new(path)]], url,
            new() { Store = isMany ? path + "-mirror" : null }).GetAwaiter().GetResult();
        Console.WriteLine("replicating");
        ended.Wait();
        replicator.DisposeAsync().AsTask().GetAwaiter().GetResult();
        return 0;
    }
}
