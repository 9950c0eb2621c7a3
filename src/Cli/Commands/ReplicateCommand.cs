using System.CommandLine;
using System.Runtime.InteropServices;
using RecoveryVfs.Cli.Replicate;
using RecoveryVfs.Operations;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Watch;
using RecoveryVfs.Replicate;

namespace RecoveryVfs.Cli.Commands;

/// <summary>Replicates plain SQLite databases whose applications know nothing of it.</summary>
internal sealed class ReplicateCommand : CliCommand
{
    static readonly TimeSpan LastSyncPatience = TimeSpan.FromSeconds(60);

    readonly Argument<string?> database, url;
    readonly Option<string?> config, exec, listen, store;
    readonly Option<bool> once, restore, takeOver, noExpand;
    readonly Option<LogFormat?> logFormat;
    readonly Option<string[]> options;

    internal enum LogFormat { Text, Json }

    const string Teaching = """
        Watches the database's WAL (or, in rollback modes, its file) and brings each transaction into a mirror: a
        store of its own beside the database, which ships to the remote. Every commit can be restored: recovery
        restore URL --database app.db -o app.db. The application is neither changed nor held up.

        Whatever may have been missed (the replicator was away, the file was replaced) is found by comparing every
        page with the mirror, and becomes one commit. Until then /ready answers 503. `recovery status DATABASE`
        tells how the mirror stands to the database, from outside: in-step, behind by how much, not-certain,
        missing, stopped; all but in-step with exit code 1. A first copy, and more than an eighth of max-local-log
        at once, is made in pieces, and can be restored when it is whole.

        One replicator has a mirror at a time; a remote belongs to one mirror. When both the mirror and the database
        are gone, --restore-if-db-not-exists brings them back.
        """;

    public ReplicateCommand() : base("replicate", "Replicate plain SQLite databases, their applications untouched.")
    {
        database = Optional("DATABASE", "The database, as /data/app.db.");
        url = Optional("URL", "Where to (default: RECOVERY_REMOTE, else where its mirror has shipped before).");
        config = Taking<string?>("--config", "FILE",
            "Read databases and options from a file: recovery.yml, or litestream's as it is.");
        once = Flag("--once", "Bring what was committed into the remote, and end.");
        exec = Taking<string?>("--exec", "COMMAND",
            "Run a program, pass signals on to it, ship what it committed last, and end with its exit code.");
        restore = Flag("--restore-if-db-not-exists", "Restore a database that does not exist from the remote first.");
        takeOver = Flag("--take-over",
            "Take over a remote that another mirror has shipped to; whoever wrote there is fenced.");
        listen = Taking<string?>("--listen", "ADDRESS",
            "Serve /health, /ready and /metrics, as :9090 (this machine only).");
        store = Taking<string?>("--store", "DIR",
            "The mirror's directory (default: .NAME-recovery beside the database).");
        options = With(
            new Option<string[]>("--option", "-o")
            {
                HelpName = "NAME=VALUE",
                Description = "Any option of a store by its name, as sync-interval=500.",
                AllowMultipleArgumentsPerToken = false
            });
        logFormat = Taking<LogFormat?>("--log-format", "text|json",
            "How events are told, a line each, on standard error.");
        noExpand = Flag("--no-expand-env", "Leave ${NAME} in the config file as it is.");
        About = Teaching;
        Examples =
        [
            "recovery replicate /data/app.db s3://bucket/app",
            "recovery replicate --config /etc/recovery.yml",
            "recovery replicate /data/app.db s3://bucket/app --restore-if-db-not-exists --exec 'python app.py'",
            "recovery replicate /data/app.db file:///mnt/backup --once",
        ];
    }

    protected override async Task<int> RunAsync(ParseResult parsed, Output to, CancellationToken cancellation)
    {
        SQLitePCL.Batteries_V2.Init();
        var settings = Settings(parsed);
        var log = new EventLines(settings.JsonLogs, Console.Error, TimeProvider.System);
        foreach (var warning in settings.Warnings) log.Write("warning", "config", null, warning);
        using var stopping = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        GuardedProgram? program = null;
        void Stop(PosixSignalContext context)
        {
            context.Cancel = true;
            if (program is { } running) running.Signal(context.Signal);
            else stopping.Cancel();
        }
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, Stop);
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, Stop);
        using var hangUp = PosixSignalRegistration.Create(PosixSignal.SIGHUP, Stop);
        using var quit = PosixSignalRegistration.Create(PosixSignal.SIGQUIT, Stop);
        await using var run =
            await ReplicaRun.StartAsync(settings.Groups, log, waitForLook: settings.Exec is null, stopping.Token);
        using var health = settings.Listen is { } address
            ? HealthServer.Start(address, () => ReplicatorHealth.Of(run.Status))
            : null;
        if (parsed.GetValue(once)) return await OnceAsync(run, log, to, stopping.Token);
        if (settings.Exec is null) return await UntilStoppedAsync(run, log, stopping.Token);
        using (program = GuardedProgram.Start(settings.Exec))
        {
            var code = await program.EndAsync();
            log.Write("info", "program_ended", null,
                $"the program ended with exit code {code}; what it committed last is shipped");
            return await LastSyncAsync(run, log) || code != 0 ? code : ExitCode.Failure;
        }
    }

    /// <summary>What --once leaves: a mirror, and what of it is in its remote.</summary>
    internal sealed record Report(string Store, string? Remote, ulong Lsn, ulong ShippedLsn, List<string> Databases);

    static async Task<int> OnceAsync(ReplicaRun run, EventLines log, Output to, CancellationToken cancellation)
    {
        await run.FlushAsync(cancellation);
        // What else there is was shipped; but nobody may take this for a backup.
        var databases = run.Status.SelectMany(s => s.Databases);
        if (databases.FirstOrDefault(d => d.Phase == ReplicationPhase.Missing) is { } gone)
            throw new RecoveryException(RecoveryError.NotFound, $"There is no database at {gone.Path}.",
                "Check the path.")
            { Path = gone.Path };
        List<Report> reports = [.. run.Status.Select(s =>
            new Report(s.Store, s.Remote, s.Lsn, s.ShippedLsn, [.. s.Databases.Select(d => d.Path)]))];
        foreach (var each in reports)
            log.Write("info", "shipped", null, $"everything is in {each.Remote ?? each.Store}, up to LSN {each.Lsn}");
        // People have just read it.
        to.Result(reports, Results.Json.Replicated, static _ => { });
        return ExitCode.Ok;
    }

    /// <summary>
    /// Until a signal comes, or nothing goes on any more by itself: then whoever started it may start it again.
    /// </summary>
    static async Task<int> UntilStoppedAsync(ReplicaRun run, EventLines log, CancellationToken stop)
    {
        while (!stop.IsCancellationRequested)
        {
            await Task.Delay(TimeSpan.FromSeconds(1), stop).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            if (run.Status.Select(s => s.Failed).FirstOrDefault(f => f is not null) is not { } failed) continue;
            log.Write("error", "failed", null, failed);
            return ExitCode.Busy;
        }
        return await LastSyncAsync(run, log) ? ExitCode.Ok : ExitCode.Failure;
    }

    /// <summary>
    /// What was committed last; false, with a word, when it cannot be shipped now. It stays in the mirror.
    /// </summary>
    static async Task<bool> LastSyncAsync(ReplicaRun run, EventLines log)
    {
        try
        {
            await run.FlushAsync().WaitAsync(LastSyncPatience);
            return true;
        }
        catch (Exception e) when (e is RecoveryException or TimeoutException)
        {
            log.Write("error", "not_shipped", null,
                $"What was committed last is not in the remote: {e.Message} It stays in the mirror, and is shipped "
                    + "by the next run.");
            return false;
        }
    }

    ReplicateSettings Settings(ParseResult parsed)
    {
        var (path, to) = (parsed.GetValue(database), parsed.GetValue(url) ?? RemoteAccess.Default);
        if (path is null == parsed.GetValue(config) is null)
            throw new RecoveryException(RecoveryError.Invalid,
                path is null ? "Which database? Give DATABASE and URL, or --config FILE."
                : "DATABASE and --config each say what to replicate: give one of them.");
        var settings = parsed.GetValue(config) is { } file ? ConfigFile.Read(file, !parsed.GetValue(noExpand))
            : new ReplicateSettings
            {
                Groups = [new() { Url = to, Databases = [new(path!)],
            Options = new ReplicatorOptions { Store = parsed.GetValue(store),
            Recovery = ConfigFile.FromEnvironment } }]
            };
        if (parsed.GetValue(once) && (parsed.GetValue(exec) ?? settings.Exec) is not null)
            throw new RecoveryException(RecoveryError.Invalid,
                "--once ends when everything is shipped, and --exec when the program does: give one of them.");
        return settings with
        {
            Exec = parsed.GetValue(exec) ?? settings.Exec,
            Listen = parsed.GetValue(listen) ?? settings.Listen,
            JsonLogs = parsed.GetValue(logFormat) is { } format
                ? format == LogFormat.Json
                : settings.JsonLogs || IsJson(parsed),
            Groups = [.. settings.Groups.Select(g => g with { Url = g.Url ?? to, Options = With(g.Options, parsed) })],
        };
    }

    ReplicatorOptions With(ReplicatorOptions given, ParseResult parsed)
    {
        var recovery = given.Recovery;
        foreach (var text in parsed.GetValue(options) ?? [])
        {
            var at = text.IndexOf('=', StringComparison.Ordinal);
            if (at < 0 || !RecoveryVfs.Options.Names.Contains(text[..at])
                || text[..at] is "remote" or "store" or "follow")
                throw new RecoveryException(RecoveryError.Invalid,
                    $"--option {text}: give NAME=VALUE, with a name of: "
                        + $"{string.Join(", ", RecoveryVfs.Options.Names.Except(["remote", "store", "follow"]))}."
                        + Suggestions.For(at < 0 ? text : text[..at], RecoveryVfs.Options.Names));
            recovery = recovery.With(text[..at], text[(at + 1)..]);
        }
        return given with
        {
            Recovery = recovery,
            RestoreIfMissing = given.RestoreIfMissing || parsed.GetValue(restore),
            TakeOver = given.TakeOver || parsed.GetValue(takeOver),
        };
    }
}
