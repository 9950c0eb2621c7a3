using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.Cli.Replicate;

/// <summary>The program that --exec runs: it gets the signals that come here, and its exit code is ours.</summary>
internal sealed partial class GuardedProgram : IDisposable
{
    readonly Process process;

    GuardedProgram(Process process) => this.process = process;

    public static GuardedProgram Start(string command)
    {
        var words = Split(command);
        if (words.Count == 0) throw new RecoveryException(RecoveryError.Invalid, "--exec names no program.");
        var start = new ProcessStartInfo(words[0]) { UseShellExecute = false };
        foreach (var word in words.Skip(1)) start.ArgumentList.Add(word);
        try
        {
            return new(Process.Start(start)!);
        }
        catch (System.ComponentModel.Win32Exception e)
        {
            throw new RecoveryException(RecoveryError.NotFound,
                $"--exec: {words[0]} cannot be run: {e.Message}. Give a program on the PATH, or its whole path; for a "
                    + "shell's own words, sh -c '...'.", e);
        }
    }

    /// <summary>Passes a signal on. What a terminal sends, the program has got by itself.</summary>
    public void Signal(PosixSignal signal)
    {
        if (signal == PosixSignal.SIGINT && !Console.IsInputRedirected) return;
        var number = signal switch
        {
            PosixSignal.SIGHUP => 1,
            PosixSignal.SIGINT => 2,
            PosixSignal.SIGQUIT => 3,
            PosixSignal.SIGTERM => 15,
            _ => (int)signal
        };
        if (!process.HasExited) _ = kill(process.Id, number);
    }

    /// <summary>Waits for its end; returns its exit code, 128 and the signal's number when a signal ended it.</summary>
    public async Task<int> EndAsync()
    {
        await process.WaitForExitAsync();
        return process.ExitCode;
    }

    /// <summary>
    /// Words as a shell splits them: by blanks, but for quotes and backslashes. Nothing else is a shell's.
    /// </summary>
    internal static List<string> Split(string command)
    {
        var (words, word, quote, isWord) = (new List<string>(), new StringBuilder(), '\0', false);
        for (var i = 0; i < command.Length; i++)
        {
            var c = command[i];
            if (c == '\\' && quote != '\'' && i + 1 < command.Length) (isWord, c) = (true, command[++i]);
            else if (quote == '\0' && c is '\'' or '"')
            {
                (quote, isWord) = (c, true);
                continue;
            }
            else if (c == quote && quote != '\0')
            {
                quote = '\0';
                continue;
            }
            else if (quote == '\0' && char.IsWhiteSpace(c))
            {
                if (isWord) words.Add(word.ToString());
                word.Clear();
                isWord = false;
                continue;
            }
            isWord = true;
            word.Append(c);
        }
        if (quote != '\0')
            throw new RecoveryException(RecoveryError.Invalid, $"--exec: the quote {quote} is not closed.");
        if (isWord) words.Add(word.ToString());
        return words;
    }

    public void Dispose() => process.Dispose();

    [LibraryImport("libc")]
    private static partial int kill(int process, int signal);
}
