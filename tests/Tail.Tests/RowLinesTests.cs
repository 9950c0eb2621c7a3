using System.Diagnostics;
using System.Text.Json;

namespace RecoveryVfs.Tail.Tests;

/// <summary><c>recovery-tail --rows</c>: changes as lines, and cursors from which nothing is lost.</summary>
public sealed class RowLinesTests : IDisposable
{
    readonly Site site = new();

    public void Dispose() => site.Dispose();

    static List<JsonElement> Parsed(string output) =>
        [.. output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(l => JsonDocument.Parse(l).RootElement)];

    [Fact]
    public async Task A_changed_row_is_one_line_with_its_key_and_what_it_was()
    {
        using (var writer = site.Writer())
        {
            writer.Do("CREATE TABLE t(id INTEGER PRIMARY KEY, a, b)");
            writer.Do("INSERT INTO t VALUES(1, x'00ff', 1.0), (9007199254740993, NULL, 9e999)");
            writer.Do("UPDATE t SET a = 'it' WHERE id = 1");
            writer.Do("CREATE TABLE other(x); INSERT INTO other VALUES(1)");
            writer.Do("DELETE FROM t WHERE id = 1");
            site.Wait(writer);
        }
        Recovery.CloseIdleStores();
        var (code, output, errors) =
            await site.RunAsync(site.Url, "--rows", "--from", "start", "--once", "--table", "t");
        Assert.True(code == 0, errors);
        var lines = Parsed(output).FindAll(l => l.TryGetProperty("table", out _));
        Assert.Equal(["create", "insert", "insert", "update", "delete"],
            lines.Select(l => (l.TryGetProperty("schema", out var s) ? s : l.GetProperty("op")).GetString()));
        Assert.Equal("""{"id":1,"a":{"blob":"AP8="},"b":1.0}""", lines[1].GetProperty("after").GetRawText());
        Assert.Equal("""{"id":9007199254740993,"a":null,"b":{"real":"Infinity"}}""", lines[2].GetProperty("after").GetRawText());
        Assert.Equal([1L, 2L], lines.Skip(1).Take(2).Select(l => l.GetProperty("n").GetInt64()));
        Assert.Equal("""{"id":1}""", lines[3].GetProperty("key").GetRawText());
        Assert.Equal(("""{"blob":"AP8="}""", "\"it\""), (lines[3].GetProperty("before").GetProperty("a").GetRawText(), lines[3].GetProperty("after").GetProperty("a").GetRawText()));
        Assert.Equal(JsonValueKind.Null, lines[4].GetProperty("after").ValueKind);
    }

    [Fact]
    public async Task Debezium_s_envelope_has_keys_and_tombstones_as_its_consumers_expect()
    {
        using (var writer = site.Writer())
        {
            writer.Do("CREATE TABLE t(k TEXT, n INT, v, PRIMARY KEY(k, n)) WITHOUT ROWID; INSERT INTO t VALUES('a', "
                + "1, 'there')");
            site.Wait(writer);
            var from = writer.Do("PRAGMA recovery_lsn");
            writer.Do("INSERT INTO t VALUES('b', 2, x'01')");
            writer.Do("UPDATE t SET v = 2 WHERE k = 'b'");
            writer.Do("DELETE FROM t WHERE k = 'b'");
            site.Wait(writer);
            var (code, output, errors) =
                await site.RunAsync(site.Url, "--rows", "--format", "debezium", "--snapshot", "initial", "--from",
                $"{ulong.Parse(from) + 1}", "--once");
            Assert.True(code == 0, errors);
            var messages = output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(l => l.Split('\t'))
                .ToList();
            Assert.All(messages, m => Assert.Equal(2, m.Length));
            Assert.Equal("""{"k":"a","n":1}""", messages[0][0]);
            Assert.All(messages.Skip(1), m => Assert.Equal("""{"k":"b","n":2}""", m[0]));
            Assert.Equal("", messages[^1][1]);
            var values = messages.SkipLast(1).Select(m => JsonDocument.Parse(m[1]).RootElement).ToList();
            Assert.Equal(["r", "c", "u", "d"], values.Select(v => v.GetProperty("op").GetString()));
            Assert.Equal("""{"k":"b","n":2,"v":"AQ=="}""", values[1].GetProperty("after").GetRawText());
            Assert.Equal(2, values[2].GetProperty("after").GetProperty("v").GetInt32());
            Assert.Equal(JsonValueKind.Null, values[3].GetProperty("after").ValueKind);
            var source = values[1].GetProperty("source");
            Assert.Equal(("a.db", "t", "false"),
                (source.GetProperty("db").GetString(), source.GetProperty("table").GetString(),
                source.GetProperty("snapshot").GetString()));
            Assert.True(source.GetProperty("lsn").GetUInt64() > ulong.Parse(from));
            Assert.True(values[1].GetProperty("ts_ms").GetInt64() >= source.GetProperty("ts_ms").GetInt64());
        }
    }

    [Fact]
    public async Task A_cursor_goes_on_where_its_consumer_stopped()
    {
        using var writer = site.Writer();
        string[] tail = [site.Url, "--rows", "--cursor", "billing", "--snapshot", "initial", "--once"];
        writer.Do("CREATE TABLE t(id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES(1, 'a')");
        site.Wait(writer);
        Assert.Equal(["read"], Parsed((await site.RunAsync(tail)).Output).Select(l => l.GetProperty("op").GetString()));
        writer.Do("UPDATE t SET v = 'b'");
        writer.Do("INSERT INTO t VALUES(2, 'c')");
        site.Wait(writer);
        Assert.Equal(["update", "insert"], Parsed((await site.RunAsync(tail)).Output)
            .Select(l => l.GetProperty("op").GetString()));
        Assert.Equal("", (await site.RunAsync(tail)).Output);
        // It is a pin, of which there is one; another cursor whose name begins in the same way is another one.
        Assert.Single(Directory.GetFiles(site.PathOf("bucket/pins"), "cursor-billing-*"));
        Assert.Equal(2,
            Parsed((await site.RunAsync(site.Url, "--rows", "--cursor", "billing-2", "--snapshot", "initial", "--once"))
            .Output).Count);
    }

    [Fact]
    public async Task A_consumer_that_is_killed_with_its_tail_misses_nothing()
    {
        using var writer = site.Writer();
        writer.Do("CREATE TABLE t(id INTEGER PRIMARY KEY, v)");
        site.Wait(writer);
        string[] tail = [site.Url, "--rows", "--cursor", "c", "--from", "start"];
        for (var i = 1; i <= 60; i++) writer.Do($"INSERT INTO t VALUES({i}, hex(randomblob(2000)))");
        site.Wait(writer);
        var seen = new HashSet<long>();
        // More than the pipe holds: it stops writing when nobody reads, and what nobody read comes again.
        using (var process =
            Process.Start(
            new ProcessStartInfo("dotnet",
            [Path.Combine(AppContext.BaseDirectory, "recovery-tail.dll"), .. tail])
            { RedirectStandardOutput = true })!)
        {
            for (var lines = 0; lines < 20 && await process.StandardOutput.ReadLineAsync() is { } line; lines++)
                if (JsonDocument.Parse(line).RootElement is var told && told.TryGetProperty("key", out var key))
                    seen.Add(key.GetProperty("id").GetInt64());
            process.Kill();
            await process.WaitForExitAsync();
        }
        foreach (var told in Parsed((await site.RunAsync([.. tail, "--once"])).Output))
            if (told.TryGetProperty("key", out var key)) seen.Add(key.GetProperty("id").GetInt64());
        Assert.Equal(Enumerable.Range(1, 60).Select(i => (long)i), seen.Order());
    }

    [Fact]
    public async Task What_does_not_go_together_is_refused()
    {
        Assert.Contains("--rows", (await site.RunAsync(site.Url, "--cursor", "c")).Errors);
        Assert.Contains("json, debezium", (await site.RunAsync(site.Url, "--rows", "--format", "xml")).Errors);
        Assert.Contains("--into", (await site.RunAsync(site.Url, "--rows", "--into", site.PathOf("x"))).Errors);
        Assert.Contains("--cursor", (await site.RunAsync(site.Url, "--rows", "--ack")).Errors);
    }
}
