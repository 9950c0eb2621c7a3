using System.Globalization;
using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.Data.Sqlite;

namespace RecoveryVfs.Tests;

/// <summary>Where SQLite has only few words for an error, ours are reached from wherever somebody is.</summary>
public sealed class MessageTests : IDisposable
{
    readonly TestStore store = new();

    public void Dispose() => store.Dispose();

    void Fail() => Assert.ThrowsAny<Exception>(() => store.Open("none/a.db").Do("CREATE TABLE t(x)"));

    [Fact]
    public void A_sql_function_on_every_connection_says_what_the_last_failure_was()
    {
        using var plain = new SqliteConnection("Data Source=:memory:;Pooling=false");
        plain.Open();
        Fail();
        Assert.Contains("none/a.db", plain.Do("SELECT recovery_last_error()"));
        Assert.Contains("none/a.db", store.Open().Do("SELECT recovery_last_error()"));
    }

    /// <summary>An error that is SQLite's own leaves the last one of ours, which says how old it is.</summary>
    [Fact]
    public void It_says_when_so_that_an_older_failure_is_not_taken_for_a_new_one()
    {
        var before = DateTimeOffset.UtcNow.AddMilliseconds(-1);
        Fail();
        var after = DateTimeOffset.UtcNow;
        var db = store.Open();
        Assert.StartsWith("!", db.Try("SELECT nonsense"));
        foreach (var question in (string[])["SELECT recovery_last_error()", "PRAGMA recovery_last_error"])
        {
            var said = db.Do(question);
            var at = Regex.Match(said, @" \(at (\S+Z)\)$").Groups[1].Value;
            Assert.InRange(DateTimeOffset.Parse(at, CultureInfo.InvariantCulture), before, after);
            Assert.StartsWith(Recovery.LastError, said);
        }
        Assert.InRange(Recovery.LastErrorTime!.Value, before, after);
    }

    [Theory, InlineData("text"), InlineData("json")]
    public void Each_event_is_a_line_of_the_log_that_the_environment_names(string format)
    {
        var log = store.PathOf("events.log");
        File.WriteAllText(log, "before\n");
        Directory.CreateDirectory(store.PathOf("data"));
        Opener.InProcess(new() { ["RECOVERY_LOG"] = log, ["RECOVERY_LOG_FORMAT"] = format }, store.UriOf("none/a.db"),
            "SELECT 1");
        var lines = File.ReadAllLines(log);
        Assert.Equal("before", lines[0]);
        Assert.Equal(2, lines.Length);
        if (format == "json")
        {
            var line = JsonDocument.Parse(lines[1]).RootElement;
            Assert.Equal(("error", "CANTOPEN"),
                (line.GetProperty("level").GetString(), line.GetProperty("event").GetString()));
            Assert.Contains("none/a.db", line.GetProperty("message").GetString());
        }
        else Assert.Matches(@"^\d{4}-\d\d-\d\dT\S+Z recovery\[\d+\] error CANTOPEN: .*none/a\.db", lines[1]);
    }

    [Fact]
    public void The_log_goes_to_standard_error_too_and_a_mistake_in_its_settings_is_said()
    {
        Assert.Contains("error CANTOPEN",
            Opener.InProcess(new() { ["RECOVERY_LOG"] = "stderr" }, store.UriOf("none/a.db"), "SELECT 1"));
        Assert.Contains("give text or json",
            Opener.InProcess(new() { ["RECOVERY_LOG"] = "stderr", ["RECOVERY_LOG_FORMAT"] = "xml" },
            store.UriOf("a.db"), "SELECT 1"));
    }
}
