using System.CommandLine;
using RecoveryVfs.Opening;
using RecoveryVfs.Operations;
using RecoveryVfs.PageStore.Rocks;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Views;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Remote.State;

namespace RecoveryVfs.Cli.Commands;

/// <summary>Looks at everything about a local store, and says what to do about what it finds.</summary>
internal sealed class DoctorCommand : CliCommand
{
    const long SpaceLeast = 1L << 30;

    readonly Argument<string> target;
    readonly Option<bool> quick;

    public DoctorCommand()
        : base("doctor", "Look at everything about a local store, and say what to do about what is found.")
    {
        target = Needed("DIR", "The store.");
        quick = Flag("--quick", "Do not read all pages.");
        About = """
            Takes no lock and changes nothing: config, log, pages with their checksums, stubs, space, rights, what
            earlier runs left behind, and the remote as `recovery status` sees it. The exit code is 1 when something
            needs attention.
            """;
        Examples = ["recovery doctor /data", "recovery doctor /data --quick --json"];
    }

    internal sealed record Report(string Store, IReadOnlyList<Finding> Findings);

    protected override async Task<int> RunAsync(ParseResult parsed, Output to, CancellationToken cancellation)
    {
        var store = StoreDirectory.Find(parsed.GetValue(target)!);
        var findings = new List<Finding>();
        Step(findings, "open in", () => new("open in", "ok", store.Holder() ?? "no process"));
        Step(findings, "config",
            () => new("config", "ok", Text.Count(RecoveryVfs.Options.FromConfig(store.Path).Count(), "option")));
        IReadOnlyList<string> names = [];
        Step(findings, "log", () =>
        {
            var reading = new LogReading();
            var (_, end) = store.ReadLog(reading.Start, reading.Take);
            names = [.. reading.Databases.Select(d => d.Name)];
            return new("log", "ok", end is null
                ? "none yet: it begins when the store is opened for writing"
                : $"LSN {end.FirstLsn} to {end.LastLsn}, {Text.Bytes(end.SizeBytes)}");
        });
        var content = store.IsOfRocksDb ? "rocksdb" : "pages";
        if (parsed.GetValue(quick)) findings.Add(new(content, "skipped", "not asked for"));
        else if (store.IsOfRocksDb) Step(findings, content, () => RocksDb(store, cancellation));
        else Step(findings, content, () => Pages(store, cancellation));
        if (!store.IsOfRocksDb) Step(findings, "stubs", () => Stubs(store, names));
        Step(findings, "space", () => Space(store));
        Step(findings, "rights", () => Rights(store));
        Step(findings, "leftovers", () => Leftovers(store));
        await RemoteAsync(store, findings, cancellation);
        to.Result(new Report(store.Path, findings), Results.Json.Doctor, r => Finding.Show(to, r.Findings));
        return Finding.CodeOf(findings);
    }

    static void Step(List<Finding> findings, string check, Func<Finding> step)
    {
        try
        {
            findings.Add(step());
        }
        catch (Exception e) when (e is RecoveryException or IOException or UnauthorizedAccessException)
        {
            var damaged = e is RecoveryException { Error: RecoveryError.Corrupt };
            findings.Add(
                new(check, "failed", Failure.Of(e, "recovery").Message,
                damaged ? "Keep the directory as it is, and restore the newest state from the remote: recovery restore "
                    + "URL DIR2." : null));
        }
    }

    static Finding Pages(StoreDirectory store, CancellationToken cancellation)
    {
        using var view = StoreView.Open(new StoreOptions { Directory = store.Path });
        using var reader = view.Read();
        using var progress = new Progress("reading pages");
        var problems = reader.Verify(null, cancellation);
        return problems.Count == 0
            ? new("pages", "ok",
            $"{Text.Count(reader.AllDatabases.Count, "database")}: every page was read, all checksums agree")
            : new("pages", "failed", string.Join("; ", problems),
            "Keep the directory as it is, and restore the newest state from the remote: recovery restore URL DIR2.");
    }

    static Finding RocksDb(StoreDirectory store, CancellationToken cancellation)
    {
        using var progress = new Progress("reading the RocksDB");
        RocksTrial.RunAny(store.Databases, cancellation);
        return new("rocksdb", "ok", $"{store.Databases} opens, and every block was read");
    }

    static Finding Stubs(StoreDirectory store, IReadOnlyList<string> names)
    {
        var missing =
            names.Where(n => Stub.Read(Path.Combine(store.Databases, n)).Content is PathContent.Missing
            or PathContent.Empty).ToList();
        var inTheWay =
            names.Where(n => Stub.Read(Path.Combine(store.Databases, n)).Content is PathContent.PlainDatabase
            or PathContent.Foreign).ToList();
        if (inTheWay.Count > 0)
            return new("stubs", "warning", $"where their stubs belong, something else lies: {Text.Some(inTheWay)}",
                "Move these files away, and open the databases again.");
        return missing.Count == 0 ? new("stubs", "ok", Text.Count(names.Count, "database"))
            : new("stubs", "warning", $"in the store, but without a file in {store.Databases}: {Text.Some(missing)}",
            "Nobody sees these databases. Open one by its name to have its stub again, or delete it.");
    }

    static Finding Space(StoreDirectory store)
    {
        var free = new DriveInfo(store.Path).AvailableFreeSpace;
        return free >= SpaceLeast ? new("space", "ok", $"{Text.Bytes(free)} free")
            : new("space", "warning", $"only {Text.Bytes(free)} free",
            "Free some space: with none left, commits fail with SQLITE_FULL.");
    }

    static Finding Rights(StoreDirectory store)
    {
        var others = Directory.EnumerateFileSystemEntries(store.Path)
            .Where(path => OperatingSystem.IsLinux() && (File.GetUnixFileMode(path) & UnixFileMode.OtherWrite) != 0)
            .Select(path => Path.GetFileName(path)!)
            .ToList();
        return others.Count == 0 ? new("rights", "ok", "nobody else may write")
            : new("rights", "warning", $"everybody may write: {Text.Some(others)}", $"chmod -R o-w {store.Path}");
    }

    static Finding Leftovers(StoreDirectory store)
    {
        var left = Directory.EnumerateFileSystemEntries(store.Databases, ".*.restoring")
            .Concat(Directory.EnumerateDirectories(store.Path, "verifying")).ToList();
        var salvaged = SalvagedLog.List(store.SalvageDirectory).Count;
        if (salvaged > 0)
            return new("leftovers", "warning", $"{Text.Count(salvaged, "salvaged log")} of a fenced writer",
                $"See recovery salvage {store.Databases}; remove {store.SalvageDirectory} when nobody wants it.");
        return left.Count == 0 || store.Holder() is not null ? new("leftovers", "ok", "none")
            : new("leftovers", "note", string.Join(", ", left), "An earlier run was stopped. They may be removed.");
    }

    static async Task RemoteAsync(StoreDirectory store, List<Finding> findings, CancellationToken cancellation)
    {
        try
        {
            var report = await StoreLook.AtAsync(store, cancellation);
            var result = StatusCommand.CodeOf(report.State) == ExitCode.Ok
                ? report.RemoteUrl is null ? "note" : "ok" : "warning";
            findings.Add(
                new("remote", result, report.RemoteUrl
                is null ? "none: this machine alone has the commits"
                : $"{report.State}: {report.RemoteUrl}{(report.RemoteError is { } e ? ": " + e : "")}", report.Advice));
        }
        catch (RecoveryException e)
        {
            findings.Add(new("remote", "failed", e.Message));
        }
    }
}
