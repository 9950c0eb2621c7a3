using System.Diagnostics;
using System.Net;
using System.Text.Json;
using RecoveryVfs.TestServers;

namespace RecoveryVfs.Replicate.Tests;

/// <summary>What <c>recovery replicate --listen</c> answers and logs while things go wrong around it.</summary>
public sealed class ListenTests : IDisposable
{
    readonly ProgramSite site = new();
    readonly HttpClient client = new();
    readonly int port = S3Server.FreePort();

    public void Dispose()
    {
        client.Dispose();
        site.Dispose();
    }

    async Task<(HttpStatusCode Code, string Text)> AskAsync(string path)
    {
        try
        {
            using var answer = await client.GetAsync($"http://127.0.0.1:{port}/{path}");
            return (answer.StatusCode, await answer.Content.ReadAsStringAsync());
        }
        catch (HttpRequestException e)
        {
            return (0, e.Message); // It does not listen yet.
        }
    }

    async Task UntilReadySaysAsync(HttpStatusCode code, string text)
    {
        for (var started = Stopwatch.GetTimestamp(); ;)
        {
            var now = await AskAsync("ready");
            if (now.Code == code && now.Text.Contains(text, StringComparison.Ordinal)) return;
            Assert.True(Stopwatch.GetElapsedTime(started) < TimeSpan.FromMinutes(3), $"{text}: {now}");
            await Task.Delay(20); // Another process: there is nothing to wait on.
        }
    }

    [Fact]
    public async Task Readiness_says_what_is_not_seen_or_not_shipped_and_metrics_and_log_lines_have_it()
    {
        var (scratch, remote) = (site.Scratch, site.Scratch.At("remote"));
        using var app = scratch.Open("app.db", "PRAGMA journal_mode=DELETE", "CREATE TABLE t(a)");
        File.WriteAllText(scratch.At("recovery.yml"), $"""
            remote: file://{remote}
            store: {scratch.At("mirror")}
            sync-interval: 50
            ready-bound: 500ms
            log-format: json
            listen: 127.0.0.1:{port}
            dbs:
              - path: {scratch.At("app.db")}
            """);
        using var process = site.Start("replicate", "--config", "recovery.yml");
        var said = process.StandardError.ReadToEndAsync();
        await UntilReadySaysAsync(HttpStatusCode.OK, "in step");
        var (_, metrics) = await AskAsync("metrics");
        Assert.Contains($"recovery_replicator_ready{{store=\"{scratch.At("mirror")}\"}} 1\n", metrics,
            StringComparison.Ordinal);
        Assert.Contains($"recovery_replicator_in_step{{database=\"{scratch.At("app.db")}\"}} 1\n", metrics,
            StringComparison.Ordinal);

        Directory.Move(remote, remote + "-away");
        File.WriteAllText(remote, "");
        app.Run("INSERT INTO t VALUES (1)");
        await UntilReadySaysAsync(HttpStatusCode.ServiceUnavailable, "only this machine has");
        File.Delete(remote);
        Directory.Move(remote + "-away", remote);
        await UntilReadySaysAsync(HttpStatusCode.OK, "in step");

        using (var other = scratch.StartPython($"""
            import sqlite3, sys
            c = sqlite3.connect('{scratch.At("app.db")}', isolation_level=None)
            c.execute('BEGIN EXCLUSIVE')
            c.execute('INSERT INTO t VALUES (2)')
            print('locked', flush=True)
            sys.stdin.read()
            c.execute('COMMIT')
            """))
        {
            Assert.Equal("locked", other.StandardOutput.ReadLine());
            await UntilReadySaysAsync(HttpStatusCode.ServiceUnavailable, "is locked");
            other.StandardInput.Close();
            other.WaitForExit();
        }
        await UntilReadySaysAsync(HttpStatusCode.OK, "in step");
        Assert.Equal(HttpStatusCode.OK, (await AskAsync("health")).Code);

        using (var kill = Process.Start("kill", [$"{process.Id}"])) kill.WaitForExit();
        Assert.True(process.WaitForExit(TimeSpan.FromMinutes(2)));
        Assert.True(process.ExitCode == 0, await said);
        var events = (await said).Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Select(line => JsonDocument.Parse(line).RootElement)
            .Select(line => (line.GetProperty("level").GetString(), line.GetProperty("event").GetString())).ToList();
        Assert.Contains(("info", "in_step"), events);
        Assert.Contains(("warning", "behind"), events);
    }
}
