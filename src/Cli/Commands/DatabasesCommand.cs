using System.CommandLine;
using System.Globalization;
using RecoveryVfs.Operations;
using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Views;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Remote.Read;

namespace RecoveryVfs.Cli.Commands;

/// <summary>Lists the databases of a store or a remote.</summary>
internal sealed class DatabasesCommand : CliCommand
{
    readonly Argument<string?> target;
    readonly Option<bool> deleted;

    public DatabasesCommand() : base("databases", "List the databases of a store or a remote.")
    {
        target = Optional("DIR|URL", "A store or a remote (default: RECOVERY_REMOTE).");
        deleted = Flag("--deleted", "List those whose file was removed; `recovery undelete` brings them back.");
        About = "Of a remote, the hints and the log after them are read, and no pages: size, time and checksum are "
            + "shown of databases committed to since the hints.\nA store in use by another process can be listed, too.";
        Examples = ["recovery databases /data", "recovery databases s3://bucket/app --json"];
    }

    /// <summary>
    /// The log since the hints does not tell of databases that nobody has written to since; the pages do.
    /// </summary>
    static void FillIn(StoreDirectory store, LogReading reading)
    {
        if (reading.Databases.All(d => d.Lsn is not null)) return;
        try
        {
            using var view = StoreView.Open(new StoreOptions { Directory = store.Path });
            using var reader = view.Read();
            foreach (var database in reader.Known) reading.Fill(database.Name, database.Current);
        }
        catch (RecoveryException)
        {
            // What cannot be read now is shown as not known.
        }
    }

    internal sealed record Report(string Target, ulong Lsn, IReadOnlyList<LoggedDatabase> Databases);

    protected override async Task<int> RunAsync(ParseResult parsed, Output to, CancellationToken cancellation)
    {
        var name = parsed.GetValue(target);
        var reading = new LogReading();
        ulong lsn;
        string where;
        if (name is not null && !RemoteAccess.IsUrl(name))
        {
            var store = StoreDirectory.Find(name);
            store.ThrowUnlessDatabases();
            var (hints, end) = store.ReadLog(reading.Start, reading.Take);
            FillIn(store, reading);
            (lsn, where) = (end?.LastLsn ?? hints?.Lsn ?? 0, store.Path);
        }
        else
        {
            await using var remote = RemoteAccess.Open(name);
            var plan = await RestorePlanner.PlanAsync(remote.Context, RestoreTarget.Newest, null, cancellation);
            plan.Store.ThrowUnlessDatabases(plan.Location);
            reading.Start(plan.Hints.Hints);
            using var progress = new Progress("reading the log", plan.Segments.Sum(s => s.SizeBytes));
            (lsn, _) = await plan.ReplayAsync(reading.Take, progress.Add, cancellation);
            where = remote.Url;
        }
        to.Result(new Report(where, lsn,
            [.. reading.Databases.Where(d => DeletedName.Is(d.Name) == parsed.GetValue(deleted))]),
            Results.Json.Databases, r => to.Table(["DATABASE", "SIZE>", "PAGE>", "LSN>", "LAST COMMIT", "CHECKSUM"],
            r.Databases.Select(d => new[]
            {
                d.Name, d.SizeBytes is { } size
                    ? Text.Bytes(size)
                    : "-", d.PageSize?.ToString(CultureInfo.InvariantCulture) ?? "-",
                d.Lsn?.ToString(CultureInfo.InvariantCulture) ?? "-", d.Time is { } time
                    ? Text.Time(time)
                    : "-", d.Checksum ?? "-",
            })));
        return ExitCode.Ok;
    }
}
