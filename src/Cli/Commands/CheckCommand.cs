using System.CommandLine;
using System.Security.Cryptography;
using RecoveryVfs.Operations;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Remote.Read;
using RecoveryVfs.RecoveryLog.Remote.Write;

namespace RecoveryVfs.Cli.Commands;

/// <summary>Finds out whether a place can be a remote, with these credentials, before anybody relies on it.</summary>
internal sealed class CheckCommand : CliCommand
{
    // S3 refuses requests whose clock is a quarter of an hour off; retention and lag are wrong long before.
    static readonly TimeSpan SkewMost = TimeSpan.FromSeconds(30);

    readonly Argument<string?> target;
    readonly Option<bool> readOnly;

    public CheckCommand()
        : base("check",
        "Find out whether a place can be a remote: reach, rights, conditional create, clock, and what is in it.")
    {
        target = WithPlace();
        readOnly = Flag("--read-only", "Create nothing there: leave out what needs the right to write.");
        About = """
            Lists the prefix, creates some objects of a few bytes under probe/ and removes them again, and compares the
            object store's clock with this machine's. A store that ignores If-None-Match is named: two writers could
            overwrite each other there. For a follower or a restore, --read-only is enough. The exit code is 1 when
            something needs attention.
            """;
        Examples = ["recovery check s3://bucket/app", "recovery check s3://bucket/app --read-only --json"];
    }

    internal sealed record Report(string Url, IReadOnlyList<Finding> Findings);

    protected override async Task<int> RunAsync(ParseResult parsed, Output to, CancellationToken cancellation)
    {
        var findings = new List<Finding>();
        string url;
        await using (var remote = RemoteAccess.Open(parsed.GetValue(target)))
        {
            url = remote.Url;
            if (await StepAsync(findings, "reach", async () => await ReachAsync(remote, cancellation)))
                await StepAsync(findings, "contents", async () => await ContentsAsync(remote, cancellation));
        }
        if (findings[0].Result == "failed" || parsed.GetValue(readOnly))
            findings.Add(
                new("write", "skipped", findings[0].Result == "failed" ? "it cannot be reached" : "not asked for"));
        else await StepAsync(findings, "write", async () => await WriteAsync(url, findings, cancellation));
        to.Result(new Report(url, findings), Results.Json.Check, r => Finding.Show(to, r.Findings));
        return Finding.CodeOf(findings);
    }

    static async Task<bool> StepAsync(List<Finding> findings, string check, Func<Task<Finding>> step)
    {
        try
        {
            findings.Add(await step());
            return true;
        }
        catch (Exception e) when (e is RecoveryException or ObjectStoreException)
        {
            var error = e as RecoveryException ?? ((ObjectStoreException)e).ToRecoveryException();
            findings.Add(new(check, "failed", error.Message));
            return false;
        }
    }

    static async Task<Finding> ReachAsync(RemoteAccess remote, CancellationToken cancellation)
    {
        var started = System.Diagnostics.Stopwatch.GetTimestamp();
        await remote.Context.ListAsync("", null, cancellation, most: 1);
        return new("reach", "ok",
            $"answered a listing in {Text.Duration(System.Diagnostics.Stopwatch.GetElapsedTime(started))}");
    }

    static async Task<Finding> ContentsAsync(RemoteAccess remote, CancellationToken cancellation)
    {
        if (await remote.TryStoreAsync(cancellation) is not { } store)
        {
            var other = await remote.Context.ListAsync("", null, cancellation, most: 1);
            return other.Count == 0 ? new("contents", "ok", "empty: a writer may begin a remote here")
                : new("contents", "warning", $"no remote, but other objects, such as {other[0].Name}",
                "Use a prefix of its own: what else lies there confuses people, and lifecycle rules.");
        }
        var (end, last) = await remote.Context.FindEndAsync(store, cancellation);
        last?.Dispose();
        var hints = await remote.ListHintsAsync(cancellation);
        return new("contents", hints.Count > 0 ? "ok" : "warning",
            $"a remote of log {store.LogId}: LSN {end.LastLsn}, epoch {end.Epoch}, {Text.Count(hints.Count, "set")} "
                + "of hints",
            hints.Count > 0
                ? null
                : "Nothing can be restored before its writer publishes hints: recovery sync --wait DIR.");
    }

    static async Task<Finding> WriteAsync(string url, List<Finding> findings, CancellationToken cancellation)
    {
        await using var objects = RemoteUrl.Parse(url).Open(readOnly: false);
        await RemoteProbe.CheckAsync(objects, Random.Shared, cancellation);
        findings.Add(await ClockAsync(objects, cancellation));
        return new("write", "ok", "creates, refuses to overwrite (If-None-Match: *), reads back and deletes");
    }

    static async Task<Finding> ClockAsync(IObjectStore objects, CancellationToken cancellation)
    {
        var name = "probe/" + Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(16));
        var before = DateTimeOffset.UtcNow;
        await objects.CreateAsync(name, "the time"u8.ToArray(), cancellation);
        var after = DateTimeOffset.UtcNow;
        var info = await objects.HeadAsync(name, cancellation);
        await objects.DeleteAsync([name], cancellation);
        if (info is not { } found) return new("clock", "failed", "an object is not found right after it was created");
        // Object stores know seconds.
        var skew = found.Modified < before.AddSeconds(-1)
            ? before - found.Modified : found.Modified > after.AddSeconds(1) ? found.Modified - after : TimeSpan.Zero;
        return skew <= SkewMost
            ? new("clock", "ok", skew == TimeSpan.Zero ? "the same as here" : $"{Text.Duration(skew)} apart")
            : new("clock", "warning", $"the object store's clock and this machine's are {Text.Duration(skew)} apart",
            "Set this machine's clock (chrony, systemd-timesyncd): times of commits are its own.");
    }
}
