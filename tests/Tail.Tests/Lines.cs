using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.PageStore.Tails;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.Write;

namespace RecoveryVfs.Tail.Tests;

/// <summary>What the program prints, and how it ends.</summary>
public sealed class Lines : IDisposable
{
    readonly Site site = new();

    public void Dispose() => site.Dispose();

    [Fact]
    public async Task Every_commit_is_one_line_that_parses()
    {
        using (var writer = site.Writer())
        using (var other = site.Writer("b.db"))
        {
            // After the first hints, so that collection has been by.
            writer.Do("CREATE TABLE s(a)");
            site.Wait(writer);
            var from = writer.Do("PRAGMA recovery_lsn");
            writer.Do("CREATE TABLE t(a); INSERT INTO t VALUES (1); INSERT INTO t VALUES (randomblob(9000))");
            other.Do("PRAGMA journal_mode=wal; CREATE TABLE u(b); INSERT INTO u VALUES (1)");
            site.Wait(writer);
            var (code, output, errors) = await site.RunAsync(site.Url, "--from", from, "--once", "--json");
            Assert.True(code == 0, errors);
            var lines = output.Split('\n', StringSplitOptions.RemoveEmptyEntries)
                .Select(l => JsonDocument.Parse(l).RootElement).ToList();
            var ofFirst = lines.Where(l => l.GetProperty("database").GetString() == "a.db").ToList();
            Assert.Equal(["commit", "commit", "commit"],
                ofFirst.TakeLast(3).Select(l => l.GetProperty("kind").GetString()));
            ofFirst = [.. ofFirst.TakeLast(3)];
            Assert.Equal([2, 2], ofFirst.Take(2).Select(l => l.GetProperty("pages").GetInt32()));
            Assert.True(ofFirst[2].GetProperty("pages").GetInt32() >= 3);
            Assert.All(lines,
                l => Assert.True(l.GetProperty("bytes").GetInt64() > 0
                && l.GetProperty("time").GetDateTimeOffset() > DateTimeOffset.UtcNow.AddHours(-1)));
            Assert.Equal(2,
                lines.Count(l => l.GetProperty("database").GetString() == "b.db"
                && l.GetProperty("kind").GetString() == "wal-commit"));
            Assert.Equal(lines.Select(l => l.GetProperty("lsn").GetUInt64()).Order(),
                lines.Select(l => l.GetProperty("lsn").GetUInt64()));
            var third = ofFirst[1].GetProperty("lsn").GetUInt64();
            var (_, later, _) =
                await site.RunAsync(site.Url, "--from", $"{third}", "--once", "--json", "--database", "a*");
            Assert.Equal(2, later.Split('\n', StringSplitOptions.RemoveEmptyEntries).Length);
            var (_, text, _) = await site.RunAsync(site.Url, "--from=-1h", "--once", "--database=a.db");
            Assert.Contains(" a.db  2 pages, ", text);
            Assert.Equal("", (await site.RunAsync(site.Url, "--once")).Output);
        }
    }

    [Fact]
    public async Task Commits_come_as_they_are_made_with_their_pages()
    {
        using var first = site.Writer("first.db");
        first.Do("CREATE TABLE t(a)");
        site.Wait(first);
        using var writer = site.Writer();
        writer.Do("CREATE TABLE t(a)");
        await using var objects = RemoteUrl.Parse(site.Url).Open(readOnly: true);
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(1));
        var tail = new RemoteTail(new RemoteContext { Store = objects },
            new RemoteTailOptions { From = TailStart.Oldest, Interval = TimeSpan.FromMilliseconds(20) });
        var pages = new SortedDictionary<uint, byte[]>();
        var commits = 0;
        await foreach (var commit in tail.ReadAsync(patience.Token))
        {
            if (commit.Database != "a.db") continue;
            foreach (var page in commit.Pages)
            {
                if (!pages.TryGetValue(page.Page, out var bytes)) pages[page.Page] = bytes = new byte[page.Length];
                page.ApplyTo(bytes);
            }
            if (commit.Kind != TailedKind.Commit) continue;
            if (++commits == 6) break;
            writer.Do($"INSERT INTO t VALUES ({commits})");
        }
        await File.WriteAllBytesAsync(site.PathOf("plain.db"), pages.Values.SelectMany(p => p).ToArray());
        using var plain = site.Open("file:" + site.PathOf("plain.db"));
        Assert.Equal("1 2 3 4 5", plain.Do("SELECT a FROM t"));
    }

    [Theory]
    [InlineData(2)]
    [InlineData(2, "--nonsense", "file:///x")]
    [InlineData(2, "file:///x", "--from", "someday")]
    [InlineData(2, "file:///x", "--promote")]
    [InlineData(3, "file:///no/such/remote", "--once")]
    [InlineData(0, "--help")]
    [InlineData(0, "--version")]
    public async Task The_exit_code_says_what_was_wrong(int expected, params string[] arguments)
    {
        var (code, output, errors) = await site.RunAsync(arguments);
        Assert.Equal(expected, code);
        Assert.Equal(expected == 0, errors.Length == 0);
        Assert.Equal(expected == 0, output.Length > 0);
    }

    [Theory]
    [InlineData("INT")]
    [InlineData("TERM")]
    public void The_program_ends_cleanly_on_signals(string signal)
    {
        using var writer = site.Writer();
        writer.Do("CREATE TABLE t(a)");
        site.Wait(writer);
        writer.Do("INSERT INTO t VALUES (0)");
        using var process = Start(site.Url, "--from", "start", "--json");
        Assert.Contains("lsn", process.StandardOutput.ReadLine());
        using (var kill = Process.Start("kill", ["-" + signal, $"{process.Id}"])) kill.WaitForExit();
        Assert.True(process.WaitForExit(30_000));
        Assert.Equal((0, ""), (process.ExitCode, process.StandardError.ReadToEnd()));
    }

    [Fact]
    public void The_program_ends_cleanly_when_nobody_reads_on()
    {
        using var writer = site.Writer();
        writer.Do("CREATE TABLE t(a)");
        site.Wait(writer);
        writer.Do("INSERT INTO t VALUES (0)");
        using var process = Start(site.Url, "--from", "start", "--interval", "10ms");
        Assert.Contains("a.db", process.StandardOutput.ReadLine());
        process.StandardOutput.Close();
        while (!process.WaitForExit(50)) writer.Do("INSERT INTO t VALUES (1)");
        Assert.Equal((0, ""), (process.ExitCode, process.StandardError.ReadToEnd()));
    }

    [Fact]
    public void A_companion_runs_beside_the_follower_and_gives_the_exit_code()
    {
        using var writer = site.Writer();
        writer.Do("CREATE TABLE t(a)");
        site.Wait(writer);
        using var process =
            Start(site.Url, "--into", site.PathOf("kept"), "--exec",
            "trap 'exit 7' TERM; echo ready; while true; do sleep 0.1; done");
        Assert.Contains("caught up", process.StandardOutput.ReadLine());
        Assert.Equal("ready", process.StandardOutput.ReadLine());
        using (var kill = Process.Start("kill", ["-TERM", $"{process.Id}"])) kill.WaitForExit();
        Assert.True(process.WaitForExit(30_000));
        Assert.Equal(7, process.ExitCode);
    }

    [Fact]
    public async Task Health_readiness_and_metrics_are_answered()
    {
        using var writer = site.Writer();
        writer.Do("CREATE TABLE t(a)");
        site.Wait(writer);
        var port = Site.FreePort();
        using var process = Start(site.Url, "--into", site.PathOf("kept"), "--listen", $"127.0.0.1:{port}");
        Assert.Contains("caught up", process.StandardOutput.ReadLine());
        using var client = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{port}") };
        Assert.Equal("following\n", await client.GetStringAsync("/ready"));
        Assert.Equal("following\n", await client.GetStringAsync("/health"));
        Assert.Contains("recovery_follower_lag_seconds 0\n", await client.GetStringAsync("/metrics"));
        using (var kill = Process.Start("kill", [$"{process.Id}"])) kill.WaitForExit();
        Assert.True(process.WaitForExit(30_000));
        Assert.Equal((0, ""), (process.ExitCode, process.StandardError.ReadToEnd()));
    }

    [Fact]
    public async Task Connections_that_say_nothing_do_not_keep_health_from_being_answered()
    {
        using var writer = site.Writer();
        writer.Do("CREATE TABLE t(a)");
        site.Wait(writer);
        var port = Site.FreePort();
        using var process = Process.Start(new ProcessStartInfo("sh",
            ["-c", "ulimit -n 120 && exec \"$@\"", "sh", "dotnet",
                Path.Combine(AppContext.BaseDirectory, "recovery-tail.dll"), site.Url, "--into", site.PathOf("kept"),
                "--listen", $":{port}"])
        { RedirectStandardOutput = true, RedirectStandardError = true })!;
        Assert.Contains("caught up", process.StandardOutput.ReadLine());
        var idle = new List<TcpClient>();
        try
        {
            for (var i = 0; i < 150; i++)
            {
                var client = new TcpClient();
                idle.Add(client);
                await client.ConnectAsync(IPAddress.Loopback, port);
            }
            using var http = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{port}") };
            for (var i = 0; i < 3; i++) Assert.Equal("following\n", await http.GetStringAsync("/health"));
            // This machine only, by its usual address; whoever listened on all would answer by another one, too.
            foreach (var other in (await Dns.GetHostAddressesAsync(Dns.GetHostName(), AddressFamily.InterNetwork))
                .Where(a => !IPAddress.IsLoopback(a)).Append(IPAddress.Parse("127.0.0.2")))
                await Assert.ThrowsAsync<SocketException>(() => new TcpClient().ConnectAsync(other, port));
        }
        finally
        {
            foreach (var client in idle) client.Dispose();
        }
        Assert.False(process.HasExited);
        using (var kill = Process.Start("kill", [$"{process.Id}"])) kill.WaitForExit();
        Assert.True(process.WaitForExit(30_000));
        Assert.Equal((0, ""), (process.ExitCode, process.StandardError.ReadToEnd()));
    }

    /// <summary>Then the next connection cannot be accepted; that is no end.</summary>
    [Fact]
    public async Task Health_is_answered_again_after_the_process_had_no_descriptor_left()
    {
        using var writer = site.Writer();
        writer.Do("CREATE TABLE t(a)");
        site.Wait(writer);
        var port = Site.FreePort();
        using var process = Start(site.Url, "--into", site.PathOf("kept"), "--listen", $"127.0.0.1:{port}");
        try
        {
            Assert.Contains("caught up", process.StandardOutput.ReadLine());
            LimitFiles(process, FirstFree(process));
            using var client = new TcpClient();
            await client.ConnectAsync(IPAddress.Loopback, port);
            // It waits in line, and stays there: whoever may would have taken it at once.
            SpinWait.SpinUntil(() => !IsInLine(port), TimeSpan.FromSeconds(2));
            LimitFiles(process, 1000);
            using var http = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{port}") };
            Assert.NotEmpty(await (await http.GetAsync("/health")).Content.ReadAsStringAsync());
            Assert.False(process.HasExited);
        }
        finally
        {
            process.Kill();
        }
    }

    static void LimitFiles(Process process, int count)
    {
        using var limit = Process.Start("prlimit", ["--pid", $"{process.Id}", $"--nofile={count}:"]);
        limit.WaitForExit();
        Assert.Equal(0, limit.ExitCode);
    }

    /// <summary>The number that the next file of a process gets.</summary>
    static int FirstFree(Process process)
    {
        var used = Directory.EnumerateFileSystemEntries($"/proc/{process.Id}/fd")
            .Select(path => int.Parse(Path.GetFileName(path), CultureInfo.InvariantCulture)).ToHashSet();
        return Enumerable.Range(0, used.Count + 1).First(number => !used.Contains(number));
    }

    /// <summary>Whether a connection to a port of this machine waits to be accepted.</summary>
    static bool IsInLine(int port) => File.ReadLines("/proc/net/tcp")
        .Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries))
        .Any(fields => fields[1] == $"0100007F:{port:X4}" && fields[3] == "0A" && !fields[4].EndsWith(":00000000"));

    // a shell lets what it runs in the background ignore SIGINT
    static Process Start(params string[] arguments) => Process.Start(new ProcessStartInfo("env",
        ["--default-signal=INT", "dotnet", Path.Combine(AppContext.BaseDirectory, "recovery-tail.dll"), .. arguments])
    { RedirectStandardOutput = true, RedirectStandardError = true })!;
}
