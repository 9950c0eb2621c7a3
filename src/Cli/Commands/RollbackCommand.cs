using System.CommandLine;
using System.Globalization;
using RecoveryVfs.Changes.Versions;
using RecoveryVfs.Operations;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Remote.Read;
using RecoveryVfs.Rollbacks;

namespace RecoveryVfs.Cli.Commands;

/// <summary>Takes a store's databases back to an earlier state, by commits.</summary>
internal sealed class RollbackCommand : CliCommand
{
    readonly Argument<string> directory;
    readonly Option<string?> to, database;
    readonly Option<bool> preview;

    public RollbackCommand()
        : base("rollback", "Take a store, or one of its databases, back to an earlier state, as a new commit.")
    {
        directory = Needed("DIR", "The store; it may be in use.");
        to = Taking<string?>("--to", "MOMENT",
            "A bookmark, an LSN, or a time: 14:03, 'yesterday 14:00', '10 minutes ago'.");
        database = WithDatabase("Only this database (default: every one that is there now and was there then).");
        preview = Flag("--preview", "Change nothing; count the pages, and the rows of each table, that would change.");
        About = """
            Nothing is destroyed: what the databases hold now stays in the log, followers follow, and the bookmark that
            is printed takes it back. Who has the store open commits it (through its socket, as `recovery sql --write`);
            transactions that read go on reading what they read. Which databases there are stays as it is; so do journal
            modes. `recovery log --around TIME` finds the moment. All databases go back by one commit; each of those in
            WAL mode by one of its own after it. In WAL mode all pages are written, otherwise those that differ.

            The state comes from the store itself while that reaches back so far: to the last flush of its pages, some
            tens of megabytes of commits ago. What is older comes from its remote, as far back as that keeps it.
            """;
        Examples =
        [
            "recovery rollback /data --to '10 minutes ago' --preview",
            $"recovery rollback /data --to {Bookmark.Example} --database a.db",
        ];
    }

    internal sealed record Previewed(string Database, long Pages, IReadOnlyList<string> Schema,
        IReadOnlyList<DifferenceLines.Counts> Tables);

    internal sealed record Preview(string Store, ulong ToLsn, DateTimeOffset ToTime,
        IReadOnlyList<Previewed> Databases);

    protected override async Task<int> RunAsync(ParseResult parsed, Output to, CancellationToken cancellation)
    {
        var moment = RestoreTarget.Parse(parsed.GetValue(this.to)
            ?? throw new RecoveryException(RecoveryError.Invalid,
                "To which moment? Give --to a bookmark, an LSN, or a time."));
        if (moment.TimeMs > DateTimeOffset.UtcNow.ToUnixTimeMilliseconds())
            throw new RecoveryException(RecoveryError.Invalid,
                $"{Text.Time(Text.FromMs(moment.TimeMs.Value))} is in the future (it is "
                    + $"{Text.Time(DateTimeOffset.UtcNow)} now): there is nothing to go back to.",
                "Name a moment that was.");
        SQLitePCL.Batteries_V2.Init();
        Recovery.Register();
        var store = StoreDirectory.Find(parsed.GetValue(directory)!);
        if (parsed.GetValue(preview))
        {
            await PreviewAsync(store, moment, parsed.GetValue(database), to, cancellation);
            return ExitCode.Ok;
        }
        var rollback = new Rollback(store, Progress.Begin, to.Note);
        var result = await rollback.RunAsync(moment, parsed.GetValue(database), cancellation);
        Recovery.CloseIdleStores();
        to.Result(result, Results.Json.Rollback, r => Show(to, r));
        return ExitCode.Ok;
    }

    static void Show(Output to, RollbackResult result)
    {
        foreach (var each in result.Databases)
            to.Line(each.Lsn is { } lsn
                ? $"{each.Database} is what it was at {result.To} (commit {lsn.ToString(CultureInfo.InvariantCulture)}"
                    + $"{(each.Pages is { } pages ? $", {pages} pages" : "")})."
                : $"{each.Database} was like that already.");
        if (result.Undo is { } undo) to.Line($"To undo it: recovery rollback {result.Store} --to {undo}");
    }

    static async Task PreviewAsync(StoreDirectory store, RestoreTarget moment, string? database, Output to,
        CancellationToken cancellation)
    {
        var found = new List<Previewed>();
        (ulong Lsn, DateTimeOffset Time) reached = default;
        foreach (var name in database is null ? Rollback.DatabasesNow(store) : [database])
        {
            await using var past = await PastOfAsync(store, name, moment, to, cancellation);
            await using var moments = await MomentDifference.OpenAsync(past.Source, name, RestoreTarget.Newest,
                moment, cancellation: cancellation);
            reached = (moments.To.Lsn, moments.To.Time);
            if (!moments.To.Exists)
            {
                if (database is not null)
                    throw new RecoveryException(RecoveryError.NotFound, $"{name} was not there then.");
                to.Note($"{name} was not there then; it would be left as it is.");
                continue;
            }
            var lines = new DifferenceLines(to, moments, static _ => true, null);
            found.Add(new Previewed(name, moments.CountPages(cancellation), lines.Schema, lines.TableCounts()));
        }
        to.Result(new Preview(store.Path, reached.Lsn, reached.Time, found), Results.Json.RollbackPreview,
            p => Show(to, p));
    }

    /// <summary>Where the roll back would take it from.</summary>
    static async Task<PastPlace> PastOfAsync(StoreDirectory store, string name, RestoreTarget moment, Output to,
        CancellationToken cancellation)
    {
        if (await PastPlace.TryLocalAsync(store.Path, name, moment, cancellation) is { } local) return local;
        await StoreSync.RunAsync(store, new SyncOptions(), cancellation);
        return await PastPlace.OpenAsync(store.Path, name, moment, to, cancellation);
    }

    static void Show(Output to, Preview preview)
    {
        to.Line($"Back to LSN {preview.ToLsn} ({Text.Time(preview.ToTime)}):");
        foreach (var each in preview.Databases)
        {
            to.Line($"{each.Database}: {each.Pages} pages");
            foreach (var change in each.Schema) to.Line("  " + change);
            if (each.Tables.Count > 0) DifferenceLines.Show(to, each.Tables);
        }
    }
}
