using System.CommandLine;
using RecoveryVfs.PageStore.Shipping;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.Read;
using RecoveryVfs.RecoveryLog.Remote.State;
using RecoveryVfs.RecoveryLog.Remote.Write;

namespace RecoveryVfs.Cli.Commands;

/// <summary>Tells how a store and its remote are.</summary>
internal sealed class StatusCommand : CliCommand
{
    readonly Argument<string?> target;

    public StatusCommand() : base("status", "Tell how a store and its remote are: newest LSNs, lag, hints, sizes, who writes.")
    {
        target = With(new Argument<string?>("DIR|URL") { Description = "A store or a remote (default: the store here, else RECOVERY_REMOTE).", Arity = ArgumentArity.ZeroOrOne });
        About = """
            Takes no lock and changes nothing, so it may be asked while the store is in use. `PRAGMA recovery_status` tells more from inside.

            State: ok; shipping (the remote lacks the newest records; see lag); no-remote; replica; restored (not opened since it was restored).
            These need attention, and the exit code is then 1: unreachable (the remote), not-restorable (no hints were published yet),
            damaged (the newest verification found the remote so), fenced (another writer has the remote), behind (the remote has more of this writer than the store: an old copy).
            """;
        Examples = ["recovery status /data", "recovery status s3://bucket/app --json", "recovery status /data --json | jq .lag_records"];
    }

    internal sealed record RemoteReport(string Url, Guid LogId, ulong FirstLsn, ulong LastLsn, DateTimeOffset? LastTime, ulong Epoch, string? Author, ulong? HintsLsn,
        DateTimeOffset? HintsPublished, int Hints, int Segments, long SegmentBytes, int Extents, long ExtentBytes, int Pins)
    {
        internal ulong AuthorId { get; init; }
    }

    internal sealed record StoreReport(string State, string Store, string? OpenIn, Guid? LogId, ulong Lsn, DateTimeOffset? Time, ulong? HintsLsn, long LogBytes, int Databases,
        int Salvaged, ulong? LagRecords, double? LagSeconds, VerificationReport? Verification, string? RemoteUrl, string? RemoteError, RemoteReport? Remote);

    /// <summary>What the store's own verification (verify-interval) found.</summary>
    internal sealed record VerificationReport(string Result, DateTimeOffset At, DateTimeOffset? ProvedAt, double? ProvedAgeSeconds, ulong ProvedLsn, string? Problem);

    internal sealed record RemoteOnly(string State, RemoteReport Remote);

    protected override async Task<int> RunAsync(ParseResult parsed, Output to, CancellationToken cancellation)
    {
        var name = parsed.GetValue(target);
        if (name is null && Directory.Exists(StoreDirectory.Within("."))) name = ".";
        if (name is not null && !RemoteAccess.IsUrl(name)) return await OfStoreAsync(StoreDirectory.Find(name), to, cancellation);
        var remote = await LookAsync(name, cancellation);
        var report = new RemoteOnly(remote.HintsLsn is null ? "not-restorable" : "ok", remote);
        to.Result(report, Results.Json.StatusOfRemote, r =>
        {
            to.Pairs(("state", r.State));
            Show(to, r.Remote);
        });
        return CodeOf(report.State);
    }

    static int CodeOf(string state) => state is "unreachable" or "not-restorable" or "damaged" or "fenced" or "behind" ? ExitCode.Failure : ExitCode.Ok;

    async Task<int> OfStoreAsync(StoreDirectory store, Output to, CancellationToken cancellation)
    {
        var reading = new LogReading();
        var times = new List<(ulong Lsn, DateTimeOffset Time)>();
        var (hints, end) = store.ReadLog(h =>
        {
            times.Clear();
            reading.Start(h);
        }, (in Record record) =>
        {
            reading.Take(record);
            times.Add((record.Lsn, reading.LastTime!.Value));
        });
        var lsn = end?.LastLsn ?? hints?.Lsn ?? 0;
        var url = store.RemoteUrl ?? RemoteAccess.Default;
        RemoteReport? remote = null;
        string? error = null;
        if (url is not null)
        {
            try { remote = await LookAsync(url, cancellation); }
            catch (RecoveryException e) { error = e.Message; }
        }
        ulong? lag = remote is null ? null : lsn > remote.LastLsn ? lsn - remote.LastLsn : 0;
        var oldest = times.FirstOrDefault(t => t.Lsn > remote?.LastLsn);
        var verification = VerificationOf(store, url);
        var report = new StoreReport(StateOf(store, end is not null, lsn, url, remote, lag, verification), store.Path, store.Holder(), end?.LogId ?? hints?.LogId, lsn, reading.LastTime, hints?.Lsn,
            end?.SizeBytes ?? 0, reading.Databases.Count(), SalvagedLog.List(store.SalvageDirectory).Count, lag,
            lag is null ? null : lag == 0 || oldest.Lsn == 0 ? 0 : Math.Max(0, (DateTimeOffset.UtcNow - oldest.Time).TotalSeconds), verification, url, error, remote);
        to.Result(report, Results.Json.StatusOfStore, r => Show(to, r));
        return CodeOf(report.State);
    }

    static VerificationReport? VerificationOf(StoreDirectory store, string? url) =>
        RemoteVerification.Load(store.Path) is { } v && v.Remote == url
            ? new(v.Result, v.At, v.ProvedAt, v.ProvedAt is { } at ? (DateTimeOffset.UtcNow - at).TotalSeconds : null, v.ProvedLsn, v.Problem) : null;

    static string StateOf(StoreDirectory store, bool hasLog, ulong lsn, string? url, RemoteReport? remote, ulong? lag, VerificationReport? verification)
    {
        if (store.IsReplica) return "replica";
        if (url is null) return hasLog ? "no-remote" : "restored";
        if (remote is null) return "unreachable";
        if (!hasLog) return "restored";
        if (remote.Epoch > 0 && remote.AuthorId != store.Author) return "fenced";
        if (remote.LastLsn > lsn) return "behind";
        if (remote.HintsLsn is null || new RemoteMark(store.Path).IsRestarting) return "not-restorable";
        if (verification?.Result == "damaged") return "damaged";
        return lag == 0 ? "ok" : "shipping";
    }

    static void Show(Output to, StoreReport r)
    {
        to.Pairs(
            ("state", r.State), ("store", r.Store), ("open in", r.OpenIn ?? "no process"), ("log", r.LogId),
            ("lsn", r.Time is { } time ? $"{r.Lsn} ({Text.Time(time)})" : r.Lsn), ("local hints", r.HintsLsn), ("local log", Text.Bytes(r.LogBytes)), ("databases", r.Databases),
            ("salvaged", r.Salvaged == 0 ? null : $"{r.Salvaged} (see `recovery salvage`)"),
            ("lag", r.LagRecords is { } lag ? $"{Text.Count((long)lag, "record")}, {Text.Duration(TimeSpan.FromSeconds(r.LagSeconds ?? 0))}" : null),
            ("verified", Verified(r)), ("remote", r.RemoteUrl ?? "none"), ("remote error", r.RemoteError));
        if (r.Remote is not null) Show(to, r.Remote, isNamed: true);
    }

    static string? Verified(StoreReport r) => r.RemoteUrl is null ? null
        : r.Verification is not { } v ? "never (see verify-interval, or run `recovery verify`)"
        : (v.Problem is null ? "" : $"{v.Result} at {Text.Time(v.At)}: {v.Problem} Before: ")
            + (v.ProvedAt is null ? "never" : $"LSN {v.ProvedLsn}, {Text.Duration(TimeSpan.FromSeconds(v.ProvedAgeSeconds ?? 0))} ago");

    static void Show(Output to, RemoteReport r, bool isNamed = false) => to.Pairs(
        ("remote", isNamed ? null : r.Url), ("remote log", r.LogId), ("remote lsn", r.LastTime is { } time ? $"{r.LastLsn} ({Text.Time(time)})" : r.LastLsn),
        ("writer", r.Author is null ? "none yet" : $"{r.Author}, epoch {r.Epoch}"),
        ("hints", r.HintsLsn is { } lsn ? $"{r.Hints}, newest of LSN {lsn} ({Text.Time(r.HintsPublished!.Value)})" : "none published yet"),
        ("segments", $"{r.Segments}, {Text.Bytes(r.SegmentBytes)}"), ("extents", $"{r.Extents}, {Text.Bytes(r.ExtentBytes)}"), ("pins", r.Pins));

    static async Task<RemoteReport> LookAsync(string? url, CancellationToken cancellation)
    {
        await using var remote = RemoteAccess.Open(url);
        var store = await remote.StoreAsync(cancellation);
        var (end, last) = await remote.Context.FindEndAsync(store, cancellation);
        var lastTime = last?.Header.LastTimeMs;
        last?.Dispose();
        var hints = await remote.ListHintsAsync(cancellation);
        var segments = await remote.ListSegmentsAsync(cancellation);
        var extents = await remote.Context.ListAsync(RemoteNames.Extents, null, cancellation);
        var pins = await remote.Context.ListAsync(RemoteNames.Pins, null, cancellation);
        return new RemoteReport(remote.Url, store.LogId, store.FirstLsn, end.LastLsn, lastTime is { } ms ? Text.FromMs(ms) : null, end.Epoch,
            end.Epoch == 0 ? null : end.Author.ToString("x16"), hints.Count > 0 ? hints[0].Lsn : null, hints.Count > 0 ? hints[0].Object.Modified : null, hints.Count,
            segments.Count, segments.Sum(s => s.Object.SizeBytes), extents.Count, extents.Sum(e => e.SizeBytes), pins.Count)
        { AuthorId = end.Author };
    }
}
