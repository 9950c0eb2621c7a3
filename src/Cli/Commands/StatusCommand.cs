using System.CommandLine;
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
            These need attention, and the exit code is then 1: unshipped (commits that no process is about to ship), unreachable (the remote), failed (it refuses), not-restorable (no hints were published yet),
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
        int Salvaged, ulong? LagRecords, double? LagSeconds, VerificationReport? Verification, string? RemoteUrl, string? RemoteError, RemoteReport? Remote)
    {
        /// <summary>Commits that only this directory has.</summary>
        public int UnshippedCommits { get; init; }

        /// <summary>What to do; null when nothing.</summary>
        public string? Advice { get; init; }
    }

    /// <summary>What a look at the remote found: what it has, the newest LSN that it shares with the store, and why it could not be looked at.</summary>
    sealed record Look(RemoteReport? Remote, ulong? SharedLsn, string? Error, bool IsRefused = false, bool IsFenced = false);

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

    internal static int CodeOf(string state) => state is "unreachable" or "failed" or "unshipped" or "not-restorable" or "damaged" or "fenced" or "behind" or "copy" ? ExitCode.Failure : ExitCode.Ok;

    static async Task<int> OfStoreAsync(StoreDirectory store, Output to, CancellationToken cancellation)
    {
        var report = await ReportOnAsync(store, cancellation);
        to.Result(report, Results.Json.StatusOfStore, r => Show(to, r));
        return CodeOf(report.State);
    }

    /// <summary>How a store is.</summary>
    internal static async Task<StoreReport> ReportOnAsync(StoreDirectory store, CancellationToken cancellation)
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
        var look = await TryLookAsync(store, url, end, cancellation);
        var remote = look.Remote;
        ulong? lag = look.SharedLsn is not { } shared ? null : lsn > shared ? lsn - shared : 0;
        var oldest = times.FirstOrDefault(t => t.Lsn > look.SharedLsn);
        var unshipped = lag is null ? 0 : reading.Commits.Count(c => c.Lsn > look.SharedLsn);
        var verification = VerificationOf(store, url);
        var state = StateOf(store, end is not null, lsn, url, look, lag, unshipped, verification);
        return new StoreReport(state, store.Path, store.Holder(), end?.LogId ?? hints?.LogId, lsn, reading.LastTime, hints?.Lsn,
            end?.SizeBytes ?? 0, reading.Databases.Count(), SalvagedLog.List(store.SalvageDirectory).Count, lag,
            lag is null ? null : lag == 0 || oldest.Lsn == 0 ? 0 : Math.Max(0, (DateTimeOffset.UtcNow - oldest.Time).TotalSeconds), verification, url, look.Error, remote)
        {
            UnshippedCommits = unshipped,
            Advice = state == "copy" ? new StoreHome(store.Path).WhyNotOwner(url)!.Message : AdviceOn(state, store, url, unshipped),
        };
    }

    static VerificationReport? VerificationOf(StoreDirectory store, string? url) =>
        RemoteVerification.Load(store.Path) is { } v && v.Remote == url
            ? new(v.Result, v.At, v.ProvedAt, v.ProvedAt is { } at ? (DateTimeOffset.UtcNow - at).TotalSeconds : null, v.ProvedLsn, v.Problem) : null;

    static async Task<Look> TryLookAsync(StoreDirectory store, string? url, LocalLogEnd? end, CancellationToken cancellation)
    {
        if (url is null) return new(null, null, null);
        try
        {
            var found = await LookAsync(url, cancellation);
            var isFenced = end is not null && !store.IsReplica && found.Epoch > 0 && found.AuthorId != store.Author;
            if (!isFenced) return new(found, found.LastLsn, null);
            await using var remote = RemoteAccess.Open(url);
            return new(found, await Divergence.SharedLsnAsync(remote, end!.Epoch, store.Author, cancellation) ?? found.LastLsn, null, IsFenced: true);
        }
        // Nothing is there yet, and nothing was: the store has not reached it.
        catch (RecoveryException e) when (e.Error == RecoveryError.NotFound && !new StoreHome(store.Path).RemoteUrls.Contains(url)) { return new(null, 0, null); }
        catch (RecoveryException e) { return new(null, null, e.Message, IsRefused: e.Error != RecoveryError.Remote); }
        catch (ObjectStoreException e) { return new(null, null, e.ToRecoveryException().Message); }
    }

    static string StateOf(StoreDirectory store, bool hasLog, ulong lsn, string? url, Look look, ulong? lag, int unshipped, VerificationReport? verification)
    {
        if (store.IsReplica) return "replica";
        if (new StoreHome(store.Path).WhyNotOwner(url) is not null) return "copy";
        if (url is null) return hasLog ? "no-remote" : "restored";
        if (look.Error is not null) return look.IsRefused ? "failed" : "unreachable";
        if (!hasLog) return "restored";
        if (look.IsFenced) return "fenced";
        if (look.Remote?.LastLsn > lsn) return "behind";
        if (unshipped > 0 && store.Holder() is null) return "unshipped";
        if (look.Remote is { } remote && (remote.HintsLsn is null || new StoreHome(store.Path).IsRestarting)) return "not-restorable";
        if (verification?.Result == "damaged") return "damaged";
        return lag == 0 || (unshipped == 0 && store.Holder() is null) ? "ok" : "shipping";
    }

    static string? AdviceOn(string state, StoreDirectory store, string? url, int unshipped) => state switch
    {
        "unshipped" => $"unshipped: {Text.Count(unshipped, "commit")}; run recovery sync {store.Databases}",
        "fenced" when unshipped > 0 => $"{Text.Count(unshipped, "commit")} {(unshipped == 1 ? "is" : "are")} in this directory only: see recovery salvage {store.Databases}; "
            + $"for the newest state, recovery restore {url} into another directory",
        "fenced" => $"another writer has the remote, and nothing is lost: recovery restore {url} into another directory, or follow it",
        "unreachable" => "commits go on locally; see that the remote can be reached: recovery check " + url,
        "failed" => "see what the remote says: recovery check " + url,
        "not-restorable" => $"publish hints: recovery sync --wait {store.Databases}",
        "damaged" => $"see what is damaged: recovery verify {url}; then ship to a new prefix",
        "behind" => $"this is an older copy of the store; restore the newest state: recovery restore {url} into another directory",
        _ => null,
    };

    static void Show(Output to, StoreReport r)
    {
        to.Pairs(
            ("state", r.State), ("to do", r.Advice), ("store", r.Store), ("open in", r.OpenIn ?? "no process"), ("log", r.LogId),
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
