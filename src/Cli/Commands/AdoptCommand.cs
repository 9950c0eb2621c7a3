using System.CommandLine;
using RecoveryVfs.Opening;
using RecoveryVfs.Operations;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.Read;
using RecoveryVfs.Replicate;

namespace RecoveryVfs.Cli.Commands;

/// <summary>Says that a copied or moved directory goes on in the place of the one that it was copied from.</summary>
internal sealed class AdoptCommand : CliCommand
{
    readonly Argument<string> target;
    readonly Option<bool> offline;

    public AdoptCommand()
        : base("adopt", "Let a copied or moved store go on in the place of the one it was copied from.")
    {
        target = Needed("DIR",
            "The store's directory, here; or a plain database whose mirror (recovery replicate) becomes its store.");
        offline = Flag("--offline", "Do not ask the remote whether it has gone on since.");
        About = """
            A store that ships to a remote remembers the directory and the machine it is on. A copy of it, or one that
            came to another machine, is opened for reading only until somebody says what it is. After `adopt` it ships
            again; should the one it was copied from still run, that one is fenced. A copy that the remote has gone
            beyond is refused: restore the newest state instead. Does no harm where there is nothing to adopt.

            Of a plain database that was replicated, the mirror beside it becomes the store at its path, without a new
            upload: stop the replicator and the application first, and open it with vfs=recovery then. The plain file is
            kept as NAME.plain; `recovery export` goes back.
            """;
        Examples = ["recovery adopt /data", "recovery adopt --offline /data",
            "recovery adopt /data/app.db      # replicated until now; vfs=recovery from now on"];
    }

    internal sealed record Report(string Store, string? Remote, ulong Lsn);

    protected override async Task<int> RunAsync(ParseResult parsed, Output to, CancellationToken cancellation)
    {
        var asked = parsed.GetValue(target)!;
        if (File.Exists(asked) && MirrorAdoption.MirrorOf(asked) is { } mirror
            && Stub.Read(Path.GetFullPath(asked)).Content != PathContent.Stub)
            return AdoptMirror(asked, mirror, to);
        var directory = StoreDirectory.Find(asked);
        if (directory.IsReplica)
            throw new RecoveryException(RecoveryError.Invalid,
                $"{directory.Path} follows another store, and has nothing to adopt.",
                $"To make it a store of its own: recovery promote {directory.Path}.")
            { Path = directory.Path };
        if (directory.Holder() is { } holder)
            throw new RecoveryException(RecoveryError.Busy,
                $"The store {directory.Path} is open in {holder}.",
                "End that process first.")
            { Path = directory.Path };
        var end = directory.ReadLog(static _ => { }, static (in Record _) => { }).End;
        var url = directory.RemoteUrl;
        if (url is not null && end is not null && !parsed.GetValue(offline))
            await ThrowIfLeftBehindAsync(directory, url, end, cancellation);
        new StoreHome(directory.Path).Adopt();
        to.Result(new Report(directory.Path, url, end?.LastLsn ?? 0), Results.Json.Adopt, r => to.Line(r.Remote is null
            ? $"{r.Store} has no remote: nothing changes."
            : $"{r.Store} ships to {r.Remote} from its next opening on. Make sure that the store it was copied from "
                + "never runs again: it would be fenced."));
        return ExitCode.Ok;
    }

    static int AdoptMirror(string database, string mirror, Output to)
    {
        SQLitePCL.Batteries_V2.Init();
        var (aside, lsn) = MirrorAdoption.Run(database, mirror);
        to.Result(new Report(mirror, new StoreHome(mirror).RemoteUrl, lsn), Results.Json.Adopt, r =>
        {
            to.Line($"{database} is in the store {r.Store} now, at LSN {r.Lsn}; the plain file is kept as {aside}.");
            to.Line($"Open it with file:{database}?vfs=recovery; it ships to {r.Remote ?? "no remote"} as before. "
                + "`recovery export` goes back.");
        });
        return ExitCode.Ok;
    }

    static async Task ThrowIfLeftBehindAsync(StoreDirectory directory, string url, LocalLogEnd end,
        CancellationToken cancellation)
    {
        await using var remote = RemoteAccess.Open(url);
        if (await remote.TryStoreAsync(cancellation) is not { } store) return;
        var (last, segment) = await remote.Context.FindEndAsync(store, cancellation);
        using (segment)
            if (last.LastLsn <= end.LastLsn && last.Epoch <= end.Epoch && (segment is null || Has(directory, segment)))
                return;
        throw new RecoveryException(RecoveryError.Fenced,
            $"{url} has gone on since {directory.Path} was copied: it ends at LSN {last.LastLsn} (epoch "
            + $"{last.Epoch}), the copy at LSN {end.LastLsn} (epoch {end.Epoch}). The copy was left as it is.",
            $"To go on from the newest state, restore it into an empty directory: recovery restore {url} DIR. "
            + "To keep this one, give it a remote of its own (another prefix), or none: `recovery remote set`.")
        { Path = url, Lsn = last.LastLsn };
    }

    /// <summary>
    /// Whether the local log has the same records, as far as it still has any: a copy that was opened has records of
    /// its own.
    /// </summary>
    static bool Has(StoreDirectory directory, RemoteSegment segment)
    {
        var theirs = new Dictionary<ulong, (RecordKind, long, uint)>();
        using (var records = segment.OpenRecords())
            while (records.TryRead(out var record)) theirs[record.Lsn] = Of(record);
        var differs = false;
        directory.ReadLog(_ => differs = false,
            (in Record record) => differs |= theirs.TryGetValue(record.Lsn, out var other) && other != Of(record));
        return !differs;
    }

    static (RecordKind, long, uint) Of(in Record record)
        => (record.Kind, record.UnixTimeMs, Crc32C.Compute(record.Body));
}
