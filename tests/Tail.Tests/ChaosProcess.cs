using System.Diagnostics;

namespace RecoveryVfs.Tail.Tests;

/// <summary>
/// A process of <see cref="ChaosTests"/> with what it says, line by line. It ends when its input does, or is killed.
/// </summary>
sealed class ChaosProcess : IDisposable
{
    readonly Process process;
    readonly List<string> lines = [];

    ChaosProcess(string name, Process process, Action<string>? onLine)
    {
        (Name, this.process) = (name, process);
        Output = ReadAsync(process.StandardOutput, onLine);
        Errors = process.StandardError.ReadToEndAsync();
    }

    public string Name { get; }

    /// <summary>Completes when it has ended and everything it said was taken.</summary>
    public Task Output { get; }

    public Task<string> Errors { get; }

    public bool HasExited => process.HasExited;

    public int ExitCode => process.ExitCode;

    public static ChaosProcess Start(string name, Action<string>? onLine, string program, params string[] arguments)
    {
        var assembly = Path.Combine(AppContext.BaseDirectory, program + ".dll");
        var start = new ProcessStartInfo("dotnet", [assembly, .. arguments])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true
        };
        return new ChaosProcess(name, Process.Start(start)!, onLine);
    }

    async Task ReadAsync(StreamReader output, Action<string>? onLine)
    {
        while (await output.ReadLineAsync() is { } line)
        {
            lock (lines) lines.Add(line);
            onLine?.Invoke(line);
        }
    }

    public bool Said(string start)
    {
        lock (lines) return lines.Exists(l => l.StartsWith(start, StringComparison.Ordinal));
    }

    public long Count(string start)
    {
        lock (lines) return lines.Count(l => l.StartsWith(start, StringComparison.Ordinal));
    }

    /// <summary>
    /// Waits until it has said something that begins so; an error when it ends before, or takes too long.
    /// </summary>
    public async Task SaysAsync(string start, TimeSpan? patience = null)
    {
        var began = Stopwatch.GetTimestamp();
        using var ticks = new PeriodicTimer(TimeSpan.FromMilliseconds(20));
        while (!Said(start))
        {
            if (Output.IsCompleted && !Said(start))
                throw new InvalidOperationException($"{this} ended before it said '{start}'.");
            if (Stopwatch.GetElapsedTime(began) > (patience ?? TimeSpan.FromMinutes(2)))
                throw new TimeoutException($"{this} did not say '{start}'.");
            await ticks.WaitForNextTickAsync();
        }
    }

    public void Signal(string signal)
    {
        using var kill = Process.Start("kill", [signal, $"{process.Id}"]);
        kill.WaitForExit();
    }

    /// <summary>SIGKILL; returns when it is gone and its last lines were taken.</summary>
    public async Task KillAsync()
    {
        process.Kill();
        await process.WaitForExitAsync();
        await Output;
    }

    /// <summary>Ends its input and waits for it to close what it has open.</summary>
    public async Task StopAsync()
    {
        process.StandardInput.Close();
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(2));
        await process.WaitForExitAsync(patience.Token);
        await Output;
    }

    public override string ToString()
    {
        lock (lines)
            return $"{Name} (pid {process.Id}{(process.HasExited ? $", exit code {process.ExitCode}" : "")}): "
                + $"{string.Join(" | ", lines.TakeLast(5))} {(Errors.IsCompleted ? Errors.Result : "")}";
    }

    public void Dispose()
    {
        if (!process.HasExited) process.Kill();
        process.Dispose();
    }
}
