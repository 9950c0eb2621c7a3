using System.Diagnostics;
using System.Runtime.InteropServices;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.Tail;

/// <summary>
/// <c>--exec</c>: a program that runs beside the follower. It gets our signals, and its exit code is ours.
/// </summary>
static partial class Companion
{
    const int Interrupt = 2, Hangup = 1, Terminate = 15;

    public static async Task<int> RunAsync(IReadOnlyList<string> command, CancellationToken stop)
    {
        using var process = Start(command);
        using var interrupt = Pass(process, PosixSignal.SIGINT, Interrupt);
        using var hangup = Pass(process, PosixSignal.SIGHUP, Hangup);
        using var terminate = Pass(process, PosixSignal.SIGTERM, Terminate);
        // Whoever cancels without a signal wants the end too.
        using var cancelled = stop.Register(() => Send(process, Terminate));
        await process.WaitForExitAsync(CancellationToken.None);
        return process.ExitCode;
    }

    static Process Start(IReadOnlyList<string> command)
    {
        try
        {
            return Process.Start(new ProcessStartInfo(command[0], command.Skip(1)) { UseShellExecute = false })!;
        }
        catch (System.ComponentModel.Win32Exception e)
        {
            throw new RecoveryException(RecoveryError.Invalid,
                $"{command[0]} cannot be run: {e.Message}.",
                "Give --exec a command that is there.", e);
        }
    }

    static PosixSignalRegistration Pass(Process process, PosixSignal signal,
        int number) => PosixSignalRegistration.Create(signal, context =>
    {
        context.Cancel = true;
        Send(process, number);
    });

    static void Send(Process process, int signal)
    {
        try
        {
            if (!process.HasExited) _ = Kill(process.Id, signal);
        }
        catch (InvalidOperationException)
        {
            // It ended this moment.
        }
    }

    [LibraryImport("libc", EntryPoint = "kill", SetLastError = true)]
    private static partial int Kill(int process, int signal);
}
