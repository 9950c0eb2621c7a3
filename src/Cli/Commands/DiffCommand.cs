using System.CommandLine;
using System.IO.Enumeration;
using RecoveryVfs.Changes.Versions;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Remote.Read;
using RecoveryVfs.Rows;

namespace RecoveryVfs.Cli.Commands;

/// <summary>
/// Shows what changed in a database between two moments, row by row, or as SQL that does it or takes it back.
/// </summary>
internal sealed class DiffCommand : CliCommand
{
    readonly Argument<string?> target;
    readonly Option<string?> database, from, to, table, whereKey;
    readonly Option<bool> stat, sql, undoSql;

    const string Teaching = """
        A store's directory answers itself, as far back as its pages and its log reach, with nothing shipped and
        without a remote. What lies before, and a URL: the remote's state at the earlier moment is restored aside
        and the log between both applied to it: that takes the fetch, and what changed. Rows are told apart by their
        primary key; where a table has none, by the rowid (and the answer says so). With --json each change is a
        JSON object on a line of its own, as recovery-tail --rows writes it.

        --sql and --undo-sql write one transaction for `sqlite3 FILE`: it deals only with rows that changed, foreign
        keys may be on, and triggers of the tables that it touches are taken away meanwhile. A patch with --table or
        --where-key leaves the schema alone.
        """;

    public DiffCommand()
        : base("diff",
        "Show which rows changed between two moments; or write SQL that does it again, or takes it back.")
    {
        target = WithPlace();
        database = WithDatabase();
        from = Taking<string?>("--from", "MOMENT",
            "The first moment: an LSN, or a time: 2026-01-31T15:04:05Z, '2026-01-31 15:04', 14:03, 'yesterday "
                + "14:00', '10 minutes ago'.");
        to = Taking<string?>("--to", "MOMENT", "The second moment (default: now).");
        table = Taking<string?>("--table", "GLOB", "Only tables whose names match.");
        whereKey = Taking<string?>("--where-key", "KEY",
            "Only the row with this key; of a key of several columns a JSON array. Needs --table.");
        stat = Flag("--stat", "Only count, a table a line.");
        sql = Flag("--sql", "Write SQL: what makes the state at --from that at --to.");
        undoSql = Flag("--undo-sql", "Write SQL that takes it back: what makes the state at --to that at --from.");
        About = Teaching;
        Examples =
        [
            "recovery diff s3://bucket/app --database a.db --from 'today 12:00'",
            "recovery diff /data --database a.db --from 4711 --to 4712 --table orders --undo-sql > undo.sql",
        ];
    }

    protected override async Task<int> RunAsync(ParseResult parsed, Output to, CancellationToken cancellation)
    {
        var shapes = new[] { stat, sql, undoSql }.Count(o => parsed.GetValue(o));
        if (shapes > 1)
            throw new RecoveryException(RecoveryError.Invalid,
                "--stat, --sql and --undo-sql are three answers: give one of them.");
        if (IsJson(parsed) && (parsed.GetValue(sql) || parsed.GetValue(undoSql)))
            throw new RecoveryException(RecoveryError.Invalid,
                "--sql and --undo-sql write SQL, and --json writes JSON: give one of them.");
        var first = RestoreTarget.Parse(parsed.GetValue(from)
            ?? throw new RecoveryException(RecoveryError.Invalid,
            "From which moment? Give --from LSN or --from TIME."));
        if (parsed.GetValue(whereKey) is not null && parsed.GetValue(table) is null)
            throw new RecoveryException(RecoveryError.Invalid, "--where-key needs --table: keys are those of a table.");
        var second = RestoreTarget.Parse(parsed.GetValue(this.to) ?? "now");
        await using var past = await PastPlace.OpenAsync(parsed.GetValue(target), parsed.GetValue(database), first, to,
            cancellation);
        await using var moments = await MomentDifference.OpenAsync(past.Source, past.Database, first, second,
            cancellation: cancellation);
        RequireTable(parsed, moments, past.Database);
        var lines = new DifferenceLines(to, moments, t => IsWanted(parsed, t), Filter(parsed));
        if (parsed.GetValue(sql)) lines.WritePatch(moments.Difference);
        else if (parsed.GetValue(undoSql)) lines.WritePatch(moments.Reverse());
        else if (parsed.GetValue(stat)) lines.WriteCounts();
        else lines.Write();
        return ExitCode.Ok;
    }

    /// <summary>That nothing changed must not be the answer to a name that no table has.</summary>
    void RequireTable(ParseResult parsed, MomentDifference moments, string database)
    {
        var there = moments.From.Rows.Schema.Entries.Concat(moments.To.Rows.Schema.Entries)
            .Where(e => e.Kind is SchemaKind.Table or SchemaKind.VirtualTable).Select(e => e.Name)
            .Distinct(StringComparer.OrdinalIgnoreCase).Order(StringComparer.Ordinal).ToList();
        if (parsed.GetValue(table) is { } glob && !there.Any(name => IsWanted(parsed, name)))
            throw PastDatabase.NoTable(glob, database, there);
    }

    bool IsWanted(ParseResult parsed, string name) =>
        parsed.GetValue(table) is not { } glob || FileSystemName.MatchesSimpleExpression(glob, name, ignoreCase: true);

    Predicate<RowChange>? Filter(ParseResult parsed)
    {
        if (parsed.GetValue(table) is null) return null;
        if (parsed.GetValue(whereKey) is not { } key) return c => IsWanted(parsed, (c.After ?? c.Before)!.Table.Name);
        var keys = new Dictionary<Table, IReadOnlyList<object?>>();
        bool Has(Row? row) => row is not null
            && row.HasKey(keys.TryGetValue(row.Table, out var known)
            ? known
            : keys[row.Table] = KeyText.Parse(row.Table, key));
        return c => IsWanted(parsed, (c.After ?? c.Before)!.Table.Name) && (Has(c.Before) || Has(c.After));
    }
}
