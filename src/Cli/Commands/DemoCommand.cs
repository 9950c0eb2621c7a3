using System.CommandLine;
using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.Cli.Commands;

/// <summary>
/// The demo of <c>./build.sh demo</c>: a writer that is killed, a machine that is lost, and what comes back.
/// </summary>
internal sealed class DemoCommand : CliCommand
{
    const int CommitsBeforeKill = 3000;
    const string Child = "--write-until-killed";

    readonly Argument<string?> place;
    readonly Option<bool> child;

    public DemoCommand() : base("demo", "Show what this is for: kill a writer, lose the machine, get everything back.")
    {
        Hidden = true;
        place = Optional("DIR",
            "Where to play (default: a temporary directory). DIR/data and DIR/remote are replaced.");
        child = With(new Option<bool>(Child) { Hidden = true });
        Examples = ["recovery demo"];
    }

    internal sealed record Report(long Acknowledged, long Found, long Restored, bool Whole);

    protected override Task<int> RunAsync(ParseResult parsed, Output to, CancellationToken cancellation)
    {
        SQLitePCL.Batteries_V2.Init();
        Recovery.Register();
        var given = parsed.GetValue(place);
        var directory =
            Path.GetFullPath(given
            ?? Path.Combine(Path.GetTempPath(), "recovery-demo-" + Guid.NewGuid().ToString("N")[..8]));
        if (parsed.GetValue(child)) WriteUntilKilled(directory);
        try
        {
            return Task.FromResult(Play(to, directory));
        }
        finally
        {
            Recovery.CloseIdleStores();
            if (given is null) Remove(directory);
        }
    }

    static string Data(string directory) => Path.Combine(directory, "data");
    static string Remote(string directory) => new Uri(Path.Combine(directory, "remote")).AbsoluteUri;

    static int Play(Output to, string directory)
    {
        Remove(Data(directory));
        Remove(Path.Combine(directory, "remote"));
        Directory.CreateDirectory(Data(directory));
        to.Note($"A process writes to {Data(directory)}/app.db through vfs=recovery, one commit a row;");
        to.Note($"its log ships to {Remote(directory)}.");
        var acknowledged = KillAWriter(directory);
        to.Note($"Killed it with SIGKILL: {acknowledged:N0} commits had returned.");
        var (found, before) = Look(directory, "PRAGMA recovery_sync");
        to.Note($"Opened the database again: {found:N0} commits are there, integrity_check says ok"
            + (found == acknowledged ? "." : " (one was under way)."));
        Recovery.CloseIdleStores();
        Remove(Data(directory));
        to.Note($"Deleted {Data(directory)}: the machine is lost.");
        var (code, said) = Run("restore", Remote(directory), Data(directory));
        foreach (var line in said.Split('\n', StringSplitOptions.RemoveEmptyEntries))
            to.Note("  $ recovery restore: " + line);
        if (code != 0) return ExitCode.Failure;
        var (restored, after) = Look(directory, null);
        to.Note($"Opened what was restored: {restored:N0} commits, "
            + (before == after ? "byte for byte the same." : "BUT NOT THE SAME."));
        var whole = (found == acknowledged || found == acknowledged + 1) && restored == found && before == after;
        to.Result(new Report(acknowledged, found, restored, whole), Results.Json.Demo, r =>
            to.Line(r.Whole
                ? $"demo: ok ({r.Acknowledged:N0} acknowledged, {r.Found:N0} found after the kill, {r.Restored:N0} "
                    + "restored)"
                : "demo: FAILED"));
        return whole ? ExitCode.Ok : ExitCode.Failure;
    }

    static Connection Open(string directory)
        => new($"file:{Data(directory)}/app.db?vfs=recovery&remote={Remote(directory)}");

    /// <summary>In the process that dies: says the number of each commit once it has returned.</summary>
    static void WriteUntilKilled(string directory)
    {
        using var connection = Open(directory);
        connection.Ask("CREATE TABLE account(id INTEGER PRIMARY KEY, owner TEXT, balance INTEGER)");
        using var commits = new StreamWriter(Console.OpenStandardOutput()) { AutoFlush = true };
        for (var number = 1L; ; number++)
        {
            connection.Ask(string.Create(CultureInfo.InvariantCulture,
                $"INSERT INTO account(owner, balance) VALUES ('owner {number} of {number * 7919 % 1000}', "
                    + $"{number * 37 % 10007})"));
            commits.WriteLine(number.ToString(CultureInfo.InvariantCulture));
        }
    }

    static long KillAWriter(string directory)
    {
        using var writer = Process.Start(Ourselves("demo", directory, Child))!;
        var last = 0L;
        while (writer.StandardOutput.ReadLine() is { } line)
        {
            last = long.Parse(line, CultureInfo.InvariantCulture);
            if (last == CommitsBeforeKill) writer.Kill();
        }
        writer.WaitForExit();
        return last < CommitsBeforeKill
            ? throw new RecoveryLog.RecoveryException(RecoveryLog.RecoveryError.IoWrite,
            $"The writer ended by itself after {last} commits: {writer.StandardError.ReadToEnd()}")
            : last;
    }

    /// <summary>How many commits are there, and a hash of all that is in them.</summary>
    static (long Commits, string Hash) Look(string directory, string? pragma)
    {
        using var connection = Open(directory);
        if (pragma is not null) connection.Ask(pragma);
        if (connection.Ask("PRAGMA integrity_check") != "ok") return (-1, "");
        using var sha = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var count = 0L;
        foreach (var row in connection.Rows("SELECT id || '|' || owner || '|' || balance FROM account ORDER BY id"))
        {
            sha.AppendData(Encoding.UTF8.GetBytes(row!));
            count++;
        }
        return (count, Convert.ToHexString(sha.GetHashAndReset()));
    }

    static (int Code, string Said) Run(params string[] arguments)
    {
        using var process = Process.Start(Ourselves(arguments))!;
        var errors = process.StandardError.ReadToEndAsync();
        var said = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, said + errors.Result);
    }

    static ProcessStartInfo Ourselves(params string[] arguments)
    {
        var program = Environment.ProcessPath!;
        string[] all = Path.GetFileNameWithoutExtension(program) == "dotnet"
            ? [Path.Combine(AppContext.BaseDirectory, "recovery.dll"), .. arguments]
            : arguments;
        return new ProcessStartInfo(program, all) { RedirectStandardOutput = true, RedirectStandardError = true };
    }

    static void Remove(string directory)
    {
        if (Directory.Exists(directory)) Directory.Delete(directory, recursive: true);
    }
}
