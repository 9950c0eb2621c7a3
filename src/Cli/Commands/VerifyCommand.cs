using System.CommandLine;
using System.Globalization;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.RecoveryLog.Remote.Collect;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.Read;
using RecoveryVfs.RecoveryLog.Remote.Write;

namespace RecoveryVfs.Cli.Commands;

/// <summary>Proves that a remote can be restored: by restoring it, and by checking everything else in it.</summary>
internal sealed class VerifyCommand : CliCommand
{
    const int SampledExtents = 8;

    readonly Argument<string?> target;
    readonly Option<bool> sample;
    readonly Option<string?> temporary;
    readonly Option<int> parallelism;

    public VerifyCommand() : base("verify", "Prove that a remote can be restored: fetch and check everything.")
    {
        target = With(new Argument<string?>("URL|DIR") { Description = "A remote, or a store that has one (default: RECOVERY_REMOTE).", Arity = ArgumentArity.ZeroOrOne });
        sample = With(new Option<bool>("--sample") { Description = "Cheaper: the newest hints, the log after them, and a random few of their extents; no restore." });
        temporary = With(new Option<string?>("--temp-dir") { HelpName = "DIR", Description = "Where to restore to for the while (default: the system's temporary directory)." });
        parallelism = With(new Option<int>("--parallelism") { HelpName = "N", Description = "Objects fetched at a time (default 8).", DefaultValueFactory = _ => 8 });
        About = """
            Restores the newest state into a temporary directory, reads every page back and compares with the checksums that the writer logged; then
            fetches the extents of all older hints, and follows the log from there, or from its beginning, to its end. Needs as much disk as a restore.
            The checksums printed are those of `PRAGMA recovery_verify` and `recovery databases` at the same LSN.
            """;
        Examples = ["recovery verify s3://bucket/app", "recovery verify file:///backup/app --sample"];
    }

    internal sealed record Report(string Remote, bool Sampled, ulong Lsn, DateTimeOffset Time, int Hints, int Extents, long ExtentBytes, int Segments, long Records,
        IReadOnlyList<RestoredDatabase>? Databases);

    protected override async Task<int> RunAsync(ParseResult parsed, Output to, CancellationToken cancellation)
    {
        if (parsed.GetValue(parallelism) is < 1 or > 256) throw new RecoveryException(RecoveryError.Invalid, "--parallelism is from 1 to 256.");
        await using var remote = RemoteAccess.Open(parsed.GetValue(target));
        var plan = await RestorePlanner.PlanAsync(remote.Context, RestoreTarget.Newest, null, cancellation);
        await using var pin = await remote.PinAsync(plan, to, cancellation);
        var directory = Path.Combine(Path.GetFullPath(parsed.GetValue(temporary) ?? Path.GetTempPath()), "recovery-verify-" + Guid.NewGuid().ToString("N"));
        Report report;
        try
        {
            report = parsed.GetValue(sample)
                ? await SampleAsync(remote, plan, directory, parsed.GetValue(parallelism), cancellation)
                : await EverythingAsync(to, remote, plan, directory, parsed.GetValue(parallelism), cancellation);
        }
        finally
        {
            if (Directory.Exists(directory)) Directory.Delete(directory, recursive: true);
        }
        to.Result(report, Results.Json.Verify, r =>
        {
            to.Line($"{(r.Sampled ? "A sample verifies" : "Everything verifies")}: LSN {r.Lsn} ({Text.Time(r.Time)}) can be restored from {r.Remote}");
            to.Line($"Checked {Text.Count(r.Hints, "set")} of hints, {Text.Count(r.Extents, "extent")} ({Text.Bytes(r.ExtentBytes)}), {Text.Count(r.Segments, "segment")} with {Text.Count(r.Records, "record")}");
            if (r.Databases is not null)
                to.Table(["DATABASE", "SIZE>", "PAGE>", "LSN>", "CHECKSUM"], r.Databases.Select(d => new[]
                {
                    d.Name, Text.Bytes(d.SizeBytes), d.PageSize.ToString(CultureInfo.InvariantCulture), d.Lsn.ToString(CultureInfo.InvariantCulture), d.Checksum,
                }));
        });
        return ExitCode.Ok;
    }

    static async Task<Report> SampleAsync(RemoteAccess remote, RestorePlan plan, string directory, int parallelism, CancellationToken cancellation)
    {
        var chosen = plan.Extents.ToArray();
        Random.Shared.Shuffle(chosen);
        chosen = chosen[..Math.Min(SampledExtents, chosen.Length)];
        var bytes = await FetchAsync(remote, chosen, directory, parallelism, cancellation);
        var records = 0L;
        using var progress = new Progress("reading the log", plan.Segments.Sum(s => s.SizeBytes));
        var (lsn, timeMs) = await plan.ReplayAsync((in Record _) => records++, progress.Add, cancellation);
        return new Report(remote.Url, true, lsn, Text.FromMs(timeMs), 1, chosen.Length, bytes, plan.Segments.Count, records, null);
    }

    static async Task<Report> EverythingAsync(Output to, RemoteAccess remote, RestorePlan plan, string directory, int parallelism, CancellationToken cancellation)
    {
        var result = await RestoredStore.RestoreAsync(plan, Path.Combine(directory, "store"), parallelism, cancellation);
        var databases = RestoredStore.Verify(Path.Combine(directory, "store"), cancellation);
        Directory.Delete(Path.Combine(directory, "store"), recursive: true);
        var known = plan.Extents.Select(e => e.Name).ToHashSet();
        var others = new Dictionary<string, Extent>();
        var (oldest, hints, records) = (plan, 0, 0L);
        var pins = (await Pin.ListAsync(remote.Context, cancellation)).Values.Where(p => !p.Onward).Select(p => p.Lsn).ToList();
        var newer = ulong.MaxValue;
        foreach (var (lsn, _) in await remote.ListHintsAsync(cancellation))
        {
            // A fenced writer may have left newer ones, which never counted: the plan passed them over.
            if (lsn > plan.Hints.Header.Lsn) continue;
            hints++;
            var each = await RestorePlanner.PlanAsync(remote.Context, RestoreTarget.Newest, lsn, cancellation);
            foreach (var extent in each.Extents)
                if (!known.Contains(extent.Name)) others[extent.Name] = extent;
            // Of hints that a pin keeps, the log may have been collected beyond the pinned state: that state is what is promised.
            var pinned = pins.Where(p => lsn <= p && p < newer).ToList();
            foreach (var pin in pinned)
            {
                var state = await RestorePlanner.PlanAsync(remote.Context, RestoreTarget.At(pin), lsn, cancellation);
                await state.ReplayAsync((in Record _) => records++, null, cancellation);
            }
            if (pinned.Count == 0) oldest = each;
            newer = lsn;
        }
        try
        {
            oldest = await RestorePlanner.PlanAsync(remote.Context, RestoreTarget.Newest, 0, cancellation);
        }
        catch (RecoveryException e) when (e.Error == RecoveryError.NotFound)
        {
            // The log's beginning was collected.
        }
        var bytes = await FetchAsync(remote, [.. others.Values], directory, parallelism, cancellation);
        using (var progress = new Progress("reading the log", oldest.Segments.Sum(s => s.SizeBytes)))
        {
            try
            {
                await oldest.ReplayAsync((in Record _) => records++, progress.Add, cancellation);
            }
            catch (RecoveryException e) when (e.Error == RecoveryError.NotFound)
            {
                // A gap that was left on purpose is no damage.
                to.Note(e.Message);
            }
        }
        return new Report(remote.Url, false, result.Lsn, Text.FromMs(result.UnixTimeMs), hints, known.Count + others.Count,
            bytes + plan.Extents.Sum(e => e.SizeBytes), oldest.Segments.Count, records, databases);
    }

    static async Task<long> FetchAsync(RemoteAccess remote, Extent[] extents, string directory, int parallelism, CancellationToken cancellation)
    {
        Directory.CreateDirectory(directory);
        using var progress = new Progress("checking extents", extents.Sum(e => e.SizeBytes));
        var fetcher = new Extents(remote.Context);
        await Parallel.ForEachAsync(extents, new ParallelOptions { MaxDegreeOfParallelism = parallelism, CancellationToken = cancellation }, async (extent, token) =>
        {
            var path = Path.Combine(directory, $"{extent.Fnode:x16}-{extent.Epoch:x16}-{extent.Hash.Prefix:x16}");
            await fetcher.FetchAsync(extent, path, progress.Add, token);
            File.Delete(path);
        });
        return extents.Sum(e => e.SizeBytes);
    }
}
