using System.CommandLine;
using RecoveryVfs.Cli.Sql;
using RecoveryVfs.Interop;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.Statements;

namespace RecoveryVfs.Cli.Commands;

/// <summary>Runs SQL on a database of a store that another process may have open.</summary>
internal sealed class SqlCommand : CliCommand
{
    readonly Argument<string> database;
    readonly Argument<string?> statements;
    readonly Option<bool> write, csv, box, list, header;
    readonly Option<string> timeout;

    const string Teaching = """
        Without --write it reads as any process does with mode=ro: beside the application, which knows nothing of
        it, or with none there. With --write the process that has the store open runs the statements, in a
        connection of their own: a transaction may go over several; an error ends the rest and rolls an open
        transaction back. It listens on a socket in the store's directory that only its user can reach
        (sql-socket=off turns that off). When nobody has the store open, it is opened here. Functions and collations
        of the application are not known there. --json prints an array of objects for each statement that gives
        rows; blobs are x'..' in all formats.
        """;

    public SqlCommand() : base("sql", "Run SQL on a database, beside the process that has it open.")
    {
        database = Needed("DATABASE", "The database, as /data/a.db.");
        statements = Optional("SQL", "Statements (default: from standard input; on a terminal, a prompt).");
        write = Flag("--write",
            "Statements may write: they run in the process that has the store open, or here when nobody has.");
        list = Flag("--list", "Values with | between them, a row a line (default).");
        csv = Flag("--csv", "Comma-separated values (RFC 4180).");
        box = Flag("--box", "A table.");
        header = Flag("--header", "Names of columns first, in lists and CSV.");
        timeout = Usually("--timeout", "TIME", $"{SqlSession.UsualSeconds}s",
            $"How long the statements, or a transaction, may take (default {SqlSession.UsualSeconds}s, at most 1h).");
        About = Teaching;
        Examples =
        [
            "recovery sql /data/app.db 'SELECT count(*) FROM orders'",
            "recovery sql /data/app.db --csv --header 'SELECT * FROM orders' > orders.csv",
            "recovery sql /data/app.db --write \"UPDATE orders SET state = 'paid' WHERE id = 4711\"",
            "recovery sql /data/app.db --write < repair.sql",
            "recovery sql /data/app.db",
        ];
    }

    protected override async Task<int> RunAsync(ParseResult parsed, Output to, CancellationToken cancellation)
    {
        var style = StyleOf(parsed);
        var limit = TimeText.ParseDuration(parsed.GetValue(timeout)!);
        if (limit <= TimeSpan.Zero || limit > TimeSpan.FromSeconds(SqlSession.SecondsMax))
            throw new RecoveryException(RecoveryError.Invalid, "--timeout is more than nothing, and 1h at most.");
        var sql = parsed.GetValue(statements);
        if (sql is null && Console.IsInputRedirected) sql = await Console.In.ReadToEndAsync(cancellation);
        // Rows come in thousands: the console's own writer would write each by itself.
        await using var rows = new StreamWriter(Console.OpenStandardOutput(), bufferSize: 64 << 10);
        var format = new SqlFormat(rows, style, parsed.GetValue(header), !Console.IsOutputRedirected);
        try
        {
            using var place = SqlPlace.Open(parsed.GetValue(database)!, parsed.GetValue(write), limit);
            if (sql is not null) Run(place, sql, format, to, cancellation);
            else Prompt(place, format, parsed.GetValue(write), to, rows, cancellation);
            return ExitCode.Ok;
        }
        catch (SqlFailure e)
        {
            cancellation.ThrowIfCancellationRequested();
            await rows.FlushAsync(CancellationToken.None);
            var failure = SqlFailures.Of(e);
            to.Error(failure);
            return failure.Code;
        }
    }

    static void Run(SqlPlace place, string sql, SqlFormat format, Output to, CancellationToken cancellation)
    {
        place.Run(sql, format, cancellation);
        if (place.IsInTransaction) to.Warning("The statements left a transaction open (no COMMIT): it is rolled back.");
    }

    static void Prompt(SqlPlace place, SqlFormat format, bool write, Output to, StreamWriter rows,
        CancellationToken cancellation)
    {
        rows.AutoFlush = true;
        to.Note($"{(write ? $"Statements run in {place.Name}" : "Reading only; --write writes")}. .help says what "
            + "there is.");
        new SqlPrompt(place, format, Console.In, Console.Out, to).Run(cancellation);
    }

    SqlStyle StyleOf(ParseResult parsed)
    {
        var chosen = new List<SqlStyle>();
        if (parsed.GetValue(list)) chosen.Add(SqlStyle.List);
        if (parsed.GetValue(csv)) chosen.Add(SqlStyle.Csv);
        if (parsed.GetValue(box)) chosen.Add(SqlStyle.Box);
        if (IsJson(parsed)) chosen.Add(SqlStyle.Json);
        if (chosen.Count > 1)
            throw new RecoveryException(RecoveryError.Invalid, "--list, --csv, --box and --json: one of them.");
        return chosen is [var only] ? only : SqlStyle.List;
    }
}
