using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.Data.Sqlite;

namespace RecoveryVfs.Cli.Tests;

/// <summary>
/// What an operator sets up: figures of a writer over HTTP, and the examples in examples/operate, each read by what it
/// is for.
/// </summary>
public sealed partial class OperateTests : IDisposable
{
    readonly string root = Directory.CreateTempSubdirectory("recovery-operate-").FullName;
    readonly string address = $"127.0.0.1:{TestServers.S3Server.FreePort()}";

    public OperateTests()
    {
        SQLitePCL.Batteries_V2.Init();
        Recovery.Register();
    }

    public void Dispose()
    {
        Shipped.Close();
        Directory.Delete(root, recursive: true);
    }

    static string Example(string name) => Path.Combine(ExitCodeTests.Root, "examples", "operate", name);

    /// <summary>A store whose config says where to show its figures, open.</summary>
    SqliteConnection Writer(string name, string? listen = null)
    {
        var store = Path.Combine(root, name, ".recovery");
        Directory.CreateDirectory(store);
        File.WriteAllText(Path.Combine(store, "config"),
            $"metrics-listen = {listen ?? address}\nremote = file://{root}/{name}-remote\nsync-interval = 5\n");
        var db = Shipped.Open(Path.Combine(root, name), "a.db");
        Shipped.Execute(db, "CREATE TABLE t(x); INSERT INTO t VALUES (1)");
        Shipped.Execute(db, "PRAGMA recovery_sync");
        return db;
    }

    (int Code, string Text) Get(string path)
    {
        using var client = new HttpClient();
        using var answer = client.Send(new HttpRequestMessage(HttpMethod.Get, $"http://{address}{path}"));
        using var reader = new StreamReader(answer.Content.ReadAsStream());
        return ((int)answer.StatusCode, reader.ReadToEnd());
    }

    [GeneratedRegex("^(recovery_[a-z_]+)(\\{.*\\})? (-?[0-9.e+]+)$")]
    private static partial Regex Line();

    [Fact]
    public void A_writer_shows_its_figures_while_a_store_is_open()
    {
        using (Writer("one"))
        {
            using (Writer("two"))
            {
                var (code, text) = Get("/metrics");
                Assert.Equal(200, code);
                var samples = text.TrimEnd().Split('\n').Where(l => l[0] != '#').Select(l => Line().Match(l)).ToList();
                Assert.All(samples, s => Assert.True(s.Success));
                string Of(string name, string store)
                    => samples.Single(s => s.Groups[1].Value == name
                        && s.Groups[2].Value.Contains($"store=\"{root}/{store}/.recovery\"")).Groups[3].Value;
                foreach (var store in (string[])["one", "two"])
                {
                    Assert.Equal("1", Of("recovery_store_ok", store));
                    Assert.Equal("1", Of("recovery_remote_healthy", store));
                    Assert.Equal("0", Of("recovery_remote_lag_records", store));
                    Assert.NotEqual("0", Of("recovery_store_commits_total", store));
                    Assert.NotEqual("0", Of("recovery_remote_shipped_lsn", store));
                }
                Assert.Contains("kind=\"", text);
                Assert.Equal(200, Get("/ready").Code);
                Assert.Equal(200, Get("/health").Code);
                Assert.Equal(404, Get("/etc/passwd").Code);
            }
            Shipped.Close();
            Assert.DoesNotContain("/two/", Get("/metrics").Text);
        }
        Shipped.Close();
        Assert.Throws<HttpRequestException>(() => Get("/metrics"));
    }

    [Fact]
    public void An_address_that_cannot_be_had_stops_nobody_and_a_uri_opens_no_port()
    {
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        using (var db = Writer("one", $"127.0.0.1:{((IPEndPoint)taken.LocalEndpoint).Port}"))
            Assert.Equal("1", Shipped.Scalar(db, "SELECT count(*) FROM t"));
        using (var db = Writer("two", "nonsense"))
            Assert.Contains("metrics-listen", Shipped.Scalar(db, "SELECT recovery_last_error()"));
        Directory.CreateDirectory(Path.Combine(root, "three"));
        Assert.Throws<SqliteException>(()
            => Shipped.Open(Path.Combine(root, "three"), "a.db",
                "&metrics-listen=0.0.0.0:" + TestServers.S3Server.FreePort()));
    }

    /// <summary>Every figure that a writer or a follower shows.</summary>
    HashSet<string> Shown()
    {
        using var db = Writer("one");
        var writer = Get("/metrics").Text;
        var follower = File.ReadAllText(Path.Combine(ExitCodeTests.Root, "src", "Tail", "FollowerHealth.cs"));
        return [.. Regex.Matches(writer, "^# TYPE (\\S+)", RegexOptions.Multiline).Select(m => m.Groups[1].Value),
            .. Regex.Matches(follower, "Metric\\(\"([a-z_]+)\"").Select(m => "recovery_follower_" + m.Groups[1].Value)];
    }

    [Theory]
    [InlineData("dashboard.json")]
    [InlineData("alerts.yml")]
    public void Dashboard_and_alerts_ask_for_figures_that_there_are(string name)
    {
        var text = File.ReadAllText(Example(name));
        var asked = Regex.Matches(text, "\\brecovery_(store|remote|follower)_[a-z_]+").Select(m => m.Value).ToHashSet();
        Assert.True(asked.Count > 5);
        Assert.Empty(asked.Except(Shown()));
    }

    [Fact]
    public void The_dashboard_is_one()
    {
        var dashboard = JsonDocument.Parse(File.ReadAllText(Example("dashboard.json"))).RootElement;
        var panels = dashboard.GetProperty("panels").EnumerateArray().ToList();
        Assert.Equal(panels.Count, panels.Select(p => p.GetProperty("id").GetInt32()).Distinct().Count());
        Assert.All(panels,
            p => Assert.NotEmpty(p.GetProperty("targets").EnumerateArray()
            .Select(t => t.GetProperty("expr").GetString()!)));
    }

    static (int Code, string Said) Run(string program, params string[] arguments)
    {
        using var process =
            Process.Start(
            new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true })
            !;
        var errors = process.StandardError.ReadToEndAsync();
        var said = process.StandardOutput.ReadToEnd() + errors.Result;
        process.WaitForExit();
        return (process.ExitCode, said);
    }

    [Fact]
    public void Promtool_takes_the_alerts()
    {
        var own = Path.Combine(ExitCodeTests.Root, "build", "tools", "promtool");
        var promtool = File.Exists(own) ? own : File.Exists("/usr/bin/promtool") ? "/usr/bin/promtool" : null;
        // Where it could not be fetched, build.sh has said so.
        if (promtool is null) return;
        var (code, said) = Run(promtool, "check", "rules", Example("alerts.yml"));
        Assert.True(code == 0, said);
        // And the expressions of the dashboard, as rules.
        var expressions =
            Regex.Matches(File.ReadAllText(Example("dashboard.json")), "\"expr\": (\".*\"),?$", RegexOptions.Multiline)
            .Select((m, i) => $"  - record: dashboard:{i}\n    expr: {m.Groups[1].Value.Replace("$store", ".*")}\n");
        var rules = Path.Combine(root, "rules.yml");
        File.WriteAllText(rules, "groups:\n- name: dashboard\n  rules:\n" + string.Concat(expressions));
        (code, said) = Run(promtool, "check", "rules", rules);
        Assert.True(code == 0, said);
    }

    [Theory]
    [InlineData("app.service")]
    [InlineData("follower.service")]
    [InlineData("../replicate/recovery-replicate.service")]
    public void Systemd_takes_the_units(string name)
    {
        // It looks whether the programs are there.
        var unit = Path.Combine(root, Path.GetFileName(name));
        File.WriteAllText(unit, File.ReadAllText(Example(name)).Replace("/opt/recovery/recovery-tail", "/bin/true")
            .Replace("/opt/recovery/recovery", "/bin/true").Replace("/usr/local/bin/recovery", "/bin/true"));
        var (code, said) = Run("systemd-analyze", "verify", unit);
        Assert.True(code == 0 && !said.Contains(Path.GetFileName(name)), said);
    }

    [Fact]
    public void What_the_examples_say_is_known_to_the_programs()
    {
        var said = string.Concat(Directory.EnumerateFiles(Path.GetDirectoryName(Example("x"))!)
            .Select(File.ReadAllText));
        foreach (Match variable in Regex.Matches(said, "\\bRECOVERY_([A-Z_]+)\\b"))
        {
            var name = variable.Groups[1].Value.ToLowerInvariant().Replace('_', '-');
            Assert.True(Options.Names.Contains(name) || OptionNames.OfEnvironmentOnly.Contains(name), variable.Value);
        }
        foreach (Match command in Regex.Matches(said, "/opt/recovery/recovery ([a-z]+)(.*)$", RegexOptions.Multiline))
        {
            var help = Recover.Run(command.Groups[1].Value, "--help").MustEndWith(0).Output;
            foreach (Match option in Regex.Matches(command.Groups[2].Value, "--[a-z-]+"))
                Assert.Contains(option.Value, help);
        }
    }

    [Theory]
    [InlineData("Dockerfile")]
    [InlineData("kubernetes.yaml")]
    [InlineData("recovery-replicate.service")]
    public void The_options_of_a_replicator_beside_an_application_are_known(string name)
    {
        var said = File.ReadAllText(Example("../replicate/" + name));
        var help = Recover.Run("replicate", "--help").MustEndWith(0).Output;
        Assert.Contains("replicate", said);
        foreach (Match option in Regex.Matches(said, "(?<![a-z-])--[a-z-]+")) Assert.Contains(option.Value, help);
    }
}
