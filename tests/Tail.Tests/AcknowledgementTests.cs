using System.Diagnostics;
using System.Text;
using System.Text.Json;

namespace RecoveryVfs.Tail.Tests;

/// <summary><c>recovery-tail --rows --ack</c>: a cursor goes where the consumer says that it is.</summary>
public sealed class AcknowledgementTests : IDisposable
{
    readonly Site site = new();

    public void Dispose() => site.Dispose();

    string[] Tail => [site.Url, "--rows", "--cursor", "c", "--table", "t", "--from", "start", "--once"];

    /// <summary>Three commits: of one row, of three, and of one, which others follow that nobody is told of.</summary>
    void Write()
    {
        using (var writer = site.Writer())
        {
            writer.Do("CREATE TABLE t(id INTEGER PRIMARY KEY, v)");
            writer.Do("CREATE TABLE other(x)");
            writer.Do("INSERT INTO t VALUES(1, 'a')");
            writer.Do("INSERT INTO t VALUES(2, 'b'), (3, 'c'), (4, 'd')");
            writer.Do("INSERT INTO t VALUES(5, 'e')");
            writer.Do("INSERT INTO other VALUES(1)");
            site.Wait(writer);
        }
        Recovery.CloseIdleStores();
    }

    [Fact]
    public async Task A_commit_of_which_something_is_not_acknowledged_comes_again()
    {
        Write();
        var (code, errors) = await ConsumeAsync(line => Id(line) is 1 or 3 ? Acknowledge(line) : null);
        Assert.Equal(0, code);
        Assert.Contains("before it was done", errors);
        Assert.Equal([2, 3, 4, 5], await IdsAsync());
        // Without --ack they count as read.
        Assert.Empty(await IdsAsync());
    }

    [Fact]
    public async Task A_tail_that_is_killed_goes_on_behind_what_was_acknowledged()
    {
        Write();
        using (var tail = Start())
        {
            var lsn = 0UL;
            while (await tail.StandardOutput.ReadLineAsync() is { } said)
            {
                var line = JsonDocument.Parse(said).RootElement;
                if (Id(line) == 5) break;
                if (Id(line) is null) continue;
                lsn = line.GetProperty("lsn").GetUInt64();
                await tail.StandardInput.WriteLineAsync(Acknowledge(line));
            }
            await tail.StandardInput.FlushAsync();
            Assert.True(SpinWait.SpinUntil(() => Pins().Any(p => p.Contains($"{lsn:x16}")), TimeSpan.FromMinutes(2)));
            tail.Kill();
            await tail.WaitForExitAsync();
        }
        Assert.Equal([5], await IdsAsync());
    }

    string[] Pins() => [.. Directory.GetFiles(site.PathOf("bucket/pins"), "cursor-c-*").Order(StringComparer.Ordinal)];

    [Fact]
    public async Task It_ends_by_itself_when_all_is_acknowledged_and_passes_what_nobody_is_told_of()
    {
        Write();
        var (code, errors) = await ConsumeAsync(line => Id(line) == 5 ? $"{line.GetProperty("lsn")}" : null,
            closes: false);
        Assert.Equal((0, ""), (code, errors));
        Assert.Empty(await IdsAsync());
        // The last commit is one of another table.
        var all = (await site.RunAsync(site.Url, "--rows", "--from", "start", "--once")).Output;
        var lsn = JsonDocument.Parse(all.TrimEnd().Split('\n')[^1]).RootElement.GetProperty("lsn").GetUInt64();
        Assert.Contains($"cursor-c-{lsn:x16}-", Assert.Single(Pins()));
    }

    [Theory]
    [InlineData("99999999 1", "last line that it was sent")]
    [InlineData("done", "no acknowledgement")]
    [InlineData("1 2 3", "no acknowledgement")]
    public async Task What_was_never_sent_ends_it_and_the_cursor_stays(string said, string why)
    {
        Write();
        using var input = new MemoryStream(Encoding.UTF8.GetBytes(said + "\n"));
        var (code, _, errors) = await site.RunAsync(input, [.. Tail, "--ack"]);
        Assert.Equal(2, code);
        Assert.Contains(why, errors);
        Assert.Equal([1, 2, 3, 4, 5], await IdsAsync());
    }

    static long? Id(JsonElement line) =>
        line.TryGetProperty("key", out var key) ? key.GetProperty("id").GetInt64() : null;

    static string Acknowledge(JsonElement line) => $"{line.GetProperty("lsn")} {line.GetProperty("n")}";

    Process Start() => Process.Start(new ProcessStartInfo("dotnet",
        [Path.Combine(AppContext.BaseDirectory, "recovery-tail.dll"), .. Tail, "--ack"])
    {
        RedirectStandardInput = true,
        RedirectStandardOutput = true,
        RedirectStandardError = true,
    })!;

    /// <summary>A process of its own, whose lines are read up to the last row; some are acknowledged.</summary>
    async Task<(int Code, string Errors)> ConsumeAsync(Func<JsonElement, string?> acknowledge, bool closes = true)
    {
        using var tail = Start();
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(3));
        using var end = patience.Token.Register(tail.Kill);
        var errors = tail.StandardError.ReadToEndAsync(patience.Token);
        while (await tail.StandardOutput.ReadLineAsync(patience.Token) is { } text)
        {
            var line = JsonDocument.Parse(text).RootElement;
            if (acknowledge(line) is { } said)
            {
                await tail.StandardInput.WriteLineAsync(said);
                await tail.StandardInput.FlushAsync(patience.Token);
            }
            if (Id(line) == 5) break;
        }
        if (closes) tail.StandardInput.Close();
        await tail.WaitForExitAsync(patience.Token);
        return (tail.ExitCode, await errors);
    }

    /// <summary>The rows that the cursor has still to give.</summary>
    async Task<List<long>> IdsAsync()
    {
        var (code, output, errors) = await site.RunAsync(Tail);
        Assert.True(code == 0, errors);
        return [.. output.Split('\n', StringSplitOptions.RemoveEmptyEntries)
            .Select(l => Id(JsonDocument.Parse(l).RootElement)).OfType<long>()];
    }
}
