using System.CommandLine;
using RecoveryVfs.Changes.Versions;
using RecoveryVfs.Opening;
using RecoveryVfs.Operations;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.RecoveryLog.Remote.Read;

namespace RecoveryVfs.Cli.Commands;

/// <summary>Asks a past state of a database: any SELECT.</summary>
internal sealed class AtCommand : CliCommand
{
    readonly Argument<string?> target;
    readonly Option<string?> database, query;
    readonly MomentOptions moment;
    readonly Option<bool> csv, header;

    public AtCommand() : base("at", "Run a SELECT on a database as it was at some moment.")
    {
        target = WithPlace();
        database = WithDatabase();
        moment = new MomentOptions(this);
        query = Taking<string?>("--query", "SQL", "The statement.", "-q");
        csv = Flag("--csv", "Rows as CSV.");
        header = Flag("--header", "Begin with the columns' names.");
        About = """
            A store's directory answers itself, as far back as its pages and its log reach, without a remote: the
            database as it was is copied aside. What lies before, and a URL: the remote's state is restored aside. It is
            opened read-only with trusted_schema off, and removed again. Rows come as the sqlite3 shell prints them:
            values with | between them; with --csv as CSV, with --json as an array of objects.
            """;
        Examples = ["recovery at s3://bucket/app --database a.db --timestamp 'yesterday 14:00' --query 'SELECT * FROM "
            + "customers WHERE id = 42'"];
    }

    protected override async Task<int> RunAsync(ParseResult parsed, Output to, CancellationToken cancellation)
    {
        var sql = parsed.GetValue(query)
            ?? throw new RecoveryException(RecoveryError.Invalid, "What is asked? Give --query SQL.");
        if (!moment.IsGiven(parsed))
            throw new RecoveryException(RecoveryError.Invalid,
                "At which moment? Give --lsn, --timestamp, --bookmark or --snapshot.");
        Staging.SweepLeft(Path.GetTempPath(), Prefix);
        if (moment.FindAlone(parsed) is { } at && await PastPlace.TryLocalAsync(parsed.GetValue(target),
            parsed.GetValue(database), at, cancellation) is { } local)
        {
            await using (local) return await AskLocalAsync(parsed, local, at, sql, to, cancellation);
        }
        await using var remote = RemoteAccess.Open(parsed.GetValue(target));
        var plan = await RestorePlanner.PlanAsync(remote.Context,
            await moment.FindAsync(parsed, remote, cancellation), null, cancellation);
        await using var pin = await remote.PinAsync(plan, to.Note, cancellation);
        using var staging = new Staging(Path.GetTempPath(), Prefix + Path.GetRandomFileName());
        var restored =
            await RestoredStore.RestoreAsync(plan, staging.Path("store"), Parallelism, Progress.Begin, cancellation);
        var name = Restoring.Choose(parsed.GetValue(database), restored.Databases, restored.Lsn);
        using var connection = Open(staging, name);
        return Ask(parsed, connection, sql, to);
    }

    async Task<int> AskLocalAsync(ParseResult parsed, PastPlace place, RestoreTarget at, string sql, Output to,
        CancellationToken cancellation)
    {
        using var staging = new Staging(Path.GetTempPath(), Prefix + Path.GetRandomFileName());
        LocalDisk.Instance.CreateDirectory(staging.Path("copy"), Private);
        var copy = Path.Combine(staging.Path("copy"), "database");
        await using (var past = await place.Source.OpenAsync(at, cancellation: cancellation))
        {
            using var version = past.Pin(place.Database)
                ?? throw MomentDifference.Unknown(place.Database, past.Databases, place.Source.Location);
            VersionCopy.Write(version, copy, static _ => { }, cancellation);
        }
        SQLitePCL.Batteries_V2.Init();
        using var connection = Connection.OpenPlainReadOnly(copy);
        return Ask(parsed, connection, sql, to);
    }

    int Ask(ParseResult parsed, Connection connection, string sql, Output to)
    {
        using var rows = connection.Query(sql);
        new RowsOutput(to, parsed.GetValue(csv), parsed.GetValue(header)).Write(rows);
        return ExitCode.Ok;
    }

    const int Parallelism = 8, Private = 0x1C0; // 0700

    // What a killed run left of that name, the next one removes.
    const string Prefix = "recovery-at-";

    static Connection Open(Staging staging, string name)
    {
        SQLitePCL.Batteries_V2.Init();
        Recovery.Register();
        DatabaseName.Check(name);
        var stub = Path.Combine(Directory.CreateDirectory(staging.Path("databases")).FullName, name);
        Stub.Write(stub, staging.Path("store"), name);
        return Connection.OpenReadOnly(stub, staging.Path("store"));
    }
}
