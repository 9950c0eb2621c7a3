using System.CommandLine;
using System.Text.Json;
using System.Text.Json.Nodes;
using RecoveryVfs.Operations;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.Read;
using RecoveryVfs.RecoveryLog.Remote.State;
using RecoveryVfs.RecoveryLog.Remote.Write;
using RecoveryVfs.Replicate;

namespace RecoveryVfs.Cli.Commands;

/// <summary>Tells how a store and its remote are.</summary>
internal sealed class StatusCommand : CliCommand
{
    readonly Argument<string?> target;

    public StatusCommand()
        : base("status", "Tell how a store and its remote are: newest LSNs, lag, hints, sizes, who writes.")
    {
        target = Optional("DIR|URL", "A store or a remote (default: the store here, else RECOVERY_REMOTE).");
        About = """
            Takes no lock and changes nothing, so it may be asked while the store is in use. `PRAGMA recovery_status`
            tells more from inside.

            State: ok; shipping (the remote lacks the newest records; see lag); no-remote; replica; restored (not opened
            since it was restored). These need attention, and the exit code is then 1: unshipped (commits that no
            process is about to ship), unreachable (the remote), failed (it refuses), not-restorable (no hints were
            published yet), stopped, behind, not-certain, missing (of a mirror: nobody replicates its database, or not
            all of it is in the mirror; see below), damaged (the newest verification found the remote so), fenced
            (another writer has the remote), behind (the remote has more of this writer than the store: an old copy).

            Of the mirror of a plain database (recovery replicate), named by its directory or by the database, it also
            tells how it stands to the database itself: in-step; behind, with the frames and bytes of the WAL that the
            mirror lacks; not-certain (it is being compared or copied); missing (no such file); stopped (no process
            replicates it). All but in-step end with 1.
            """;
        Examples = ["recovery status /data", "recovery status s3://bucket/app --json",
            "recovery status /data --json | jq .lag_records"];
    }

    internal sealed record RemoteOnly(string State, RemoteStatus Remote);

    protected override async Task<int> RunAsync(ParseResult parsed, Output to, CancellationToken cancellation)
    {
        var name = parsed.GetValue(target);
        if (name is null && Directory.Exists(StoreDirectory.Within("."))) name = ".";
        if (name is not null && !RemoteAccess.IsUrl(name))
            return await OfStoreAsync(StoreDirectory.Find(MirrorAdoption.MirrorOf(name) ?? name), to, cancellation);
        var remote = await StoreLook.AtRemoteAsync(name, cancellation);
        var report = new RemoteOnly(remote.HintsLsn is null ? StoreState.NotRestorable : StoreState.Ok, remote);
        to.Result(report, Results.Json.StatusOfRemote, r =>
        {
            to.Pairs(("state", r.State));
            Show(to, r.Remote);
        });
        return CodeOf(report.State);
    }

    internal static int CodeOf(string state) => StoreState.NeedsSomebody(state) ? ExitCode.Failure : ExitCode.Ok;

    static async Task<int> OfStoreAsync(StoreDirectory store, Output to, CancellationToken cancellation)
    {
        var report = await StoreLook.AtAsync(store, cancellation);
        if (MirrorLook.IsMirror(store.Path)) return await OfMirrorAsync(store, report, to, cancellation);
        to.Result(report, Results.Json.StatusOfStore, r => Show(to, r));
        return CodeOf(report.State);
    }

    /// <summary>A mirror that ships well and mirrors nothing is not well.</summary>
    static async Task<int> OfMirrorAsync(StoreDirectory store, StoreStatus report, Output to,
        CancellationToken cancellation)
    {
        var databases = await MirrorLook.AtAsync(store.Path, () => store.Holder() is not null, cancellation);
        if (!StoreState.NeedsSomebody(report.State))
            report = report with
            {
                State = databases.Select(d => d.State).FirstOrDefault(s => s != "in-step")
                ?? (store.Holder() is null ? "stopped" : report.State)
            };
        var json = JsonSerializer.SerializeToNode(report, Results.Json.StatusOfStore)!.AsObject();
        json["replicated"] = JsonSerializer.SerializeToNode([.. databases], Results.Json.Mirrored);
        to.Result(json, Results.Json.JsonObject, _ =>
        {
            Show(to, report);
            foreach (var d in databases)
                to.Pairs((d.Path, d.State + (d.Why is null ? "" : $": {d.Why}")),
                    ("since", d.Since is { } since ? Text.Time(since) : null),
                    ("in step at", d.InStepAt is { } at && d.State != "in-step" ? Text.Time(at) : null));
        });
        return report.State is "stopped" or "missing" or "not-certain" ? ExitCode.Failure : CodeOf(report.State);
    }

    static void Show(Output to, StoreStatus r)
    {
        to.Pairs(
            ("state", r.State), ("to do", r.Advice), ("store", r.Store), ("open in", r.OpenIn ?? "no process"),
                ("log", r.LogId),
            ("lsn", r.Time is { } time ? $"{r.Lsn} ({Text.Time(time)})" : r.Lsn), ("local hints", r.HintsLsn),
                ("local log", Text.Bytes(r.LogBytes)),
                ("holds", HeldIn(r.Holds)), ("databases", r.Holds is null ? r.Databases : null),
            ("fetched", r.Fetched is { } f
                ? $"{Text.Bytes(f.BytesHere)} of {Text.Bytes(f.Bytes)}, {f.FilesHere} of {f.Files} files" : null),
            ("salvaged", r.Salvaged == 0 ? null : $"{r.Salvaged} (see `recovery salvage`)"),
            ("lag", r.LagRecords
                is { } lag ? $"{Text.Count((long)lag, "record")}, "
                    + $"{Text.Duration(TimeSpan.FromSeconds(r.LagSeconds ?? 0))}" : null),
            ("verified", Verified(r)), ("remote", r.RemoteUrl ?? "none"), ("remote error", r.RemoteError));
        if (r.Remote is not null) Show(to, r.Remote, isNamed: true);
    }

    static string? HeldIn(string? holds) => holds == StoreObject.RocksDb ? "the files of a RocksDB" : holds;

    static string? Verified(StoreStatus r) => r.RemoteUrl is null ? null
        : r.Verification is not { } v ? "never (see verify-interval, or run `recovery verify`)"
        : (v.Problem is null ? "" : $"{v.Result} at {Text.Time(v.At)}: {v.Problem} Before: ")
            + (v.ProvedAt
            is null ? "never"
            : $"LSN {v.ProvedLsn}, {Text.Duration(TimeSpan.FromSeconds(v.ProvedAgeSeconds ?? 0))} ago");

    static void Show(Output to, RemoteStatus r, bool isNamed = false) => to.Pairs(
        ("remote", isNamed ? null : r.Url), ("holds", isNamed ? null : HeldIn(r.Holds)), ("remote log", r.LogId),
            ("remote lsn", r.LastTime is { } time ? $"{r.LastLsn} ({Text.Time(time)})" : r.LastLsn),
        ("writer", r.Author is null ? "none yet" : $"{r.Author}, epoch {r.Epoch}"),
        ("hints", r.HintsLsn is { } lsn
            ? $"{r.Hints}, newest of LSN {lsn} ({Text.Time(r.HintsPublished!.Value)})"
            : "none published yet"),
        ("segments", $"{r.Segments}, {Text.Bytes(r.SegmentBytes)}"),
            ("extents", $"{r.Extents}, {Text.Bytes(r.ExtentBytes)}"), ("pins", r.Pins));
}
