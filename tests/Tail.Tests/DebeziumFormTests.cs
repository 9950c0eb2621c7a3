using System.Text.Json;

namespace RecoveryVfs.Tail.Tests;

/// <summary>
/// <c>--format debezium</c> against the form that Debezium's documentation gives its events, field by field.
/// </summary>
public sealed class DebeziumFormTests : IDisposable
{
    readonly Site site = new();

    public void Dispose() => site.Dispose();

    [Fact]
    public async Task Every_message_has_the_form_that_consumers_of_Debezium_know()
    {
        using (var writer = site.Writer())
        {
            writer.Do("CREATE TABLE t(k TEXT PRIMARY KEY, n INT, v) WITHOUT ROWID");
            writer.Do("CREATE TABLE keyless(a, b REAL)");
            writer.Do("INSERT INTO t VALUES('a', 1, x'00ff'), ('b\tc', NULL, 9e999)");
            writer.Do("INSERT INTO keyless VALUES('line\nend', -0.0)");
            writer.Do("UPDATE t SET n = 2");
            writer.Do("UPDATE t SET k = 'other' WHERE k = 'a'");
            writer.Do("DELETE FROM t");
            writer.Do("ALTER TABLE t RENAME TO t2");
            writer.Do("DROP TABLE t2");
            site.Wait(writer);
        }
        Recovery.CloseIdleStores();
        var changes = await MessagesAsync("--from", "start");
        var rows = await MessagesAsync("--snapshot", "only");

        Assert.Equal(["r"], rows.Select(Op));
        var (envelope, schemaChange) = (JsonForm.Load("debezium-envelope.schema.json"),
            JsonForm.Load("debezium-schema-change.schema.json"));
        foreach (var (key, value) in changes.Concat(rows))
        {
            Assert.Equal(JsonValueKind.Object, key.ValueKind);
            if (value is not { } said) continue;
            var faults = said.TryGetProperty("ddl", out _) ? schemaChange.Faults(said) : envelope.Faults(said);
            Assert.True(faults.Count == 0, $"{string.Join("; ", faults)} in {said}");
        }
        // A tombstone after each delete, with the same key; a key that changes is a delete and a create.
        for (var i = 0; i < changes.Count; i++)
            Assert.Equal(Op(changes[i]) == "d", i + 1 < changes.Count && changes[i + 1].Value is null
                && changes[i].Key.GetRawText() == changes[i + 1].Key.GetRawText());
        Assert.Equal(["c", "c", "c", "u", "u", "d", null, "c", "d", null, "d", null],
            changes.Where(c => c.Value?.TryGetProperty("ddl", out _) != true).Select(Op));
        Assert.Equal(2, changes.Count(c => c.Value is { } said && said.TryGetProperty("ddl", out var ddl)
            && ddl.GetString()!.StartsWith("CREATE TABLE", StringComparison.Ordinal)));
        // Its moments agree with each other.
        foreach (var (_, value) in changes)
        {
            if (value is not { } said || !said.TryGetProperty("ts_ms", out var ms)) continue;
            Assert.Equal(ms.GetInt64() * 1000, said.GetProperty("ts_us").GetInt64());
            Assert.Equal(ms.GetInt64() * 1_000_000, said.GetProperty("ts_ns").GetInt64());
        }
    }

    static string? Op((JsonElement Key, JsonElement? Value) message) =>
        message.Value is { } said && said.TryGetProperty("op", out var op) ? op.GetString() : null;

    async Task<List<(JsonElement Key, JsonElement? Value)>> MessagesAsync(params string[] more)
    {
        string[] tail = [site.Url, "--rows", "--format", "debezium", "--once"];
        var (code, output, errors) = await site.RunAsync([.. tail, .. more]);
        Assert.True(code == 0, errors);
        return [.. output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => line.Split('\t'))
            .Select(parts => (JsonDocument.Parse(Assert.Single(parts[..1])).RootElement,
                Assert.Single(parts[1..]) is { Length: > 0 } value ? JsonDocument.Parse(value).RootElement
                    : (JsonElement?)null))];
    }
}
