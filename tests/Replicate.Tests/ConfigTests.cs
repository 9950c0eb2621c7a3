using RecoveryVfs.Cli.Replicate;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.Replicate.Tests;

/// <summary>Config files: our own, and litestream's as it is.</summary>
public sealed class ConfigTests : IDisposable
{
    readonly Scratch scratch = new();

    public void Dispose() => scratch.Dispose();

    ReplicateSettings Read(string text)
    {
        File.WriteAllText(scratch.At("config.yml"), text);
        return ConfigFile.Read(scratch.At("config.yml"), expand: true);
    }

    string Refused(string text)
    {
        var error = Assert.Throws<RecoveryException>(() => Read(text));
        Assert.Equal(RecoveryError.Invalid, error.Error);
        return error.Message;
    }

    [Fact]
    public void Our_own_file_says_where_to_what_and_how()
    {
        Environment.SetEnvironmentVariable("REPLICATE_TEST_BUCKET", "b");
        var settings = Read("""
            remote: s3://${REPLICATE_TEST_BUCKET}/app
            store: /var/lib/mirror
            sync-interval: 250
            retention: 48
            compare-interval: 1h30m
            listen: :9090
            log-format: json
            dbs:
              - path: /data/app.db
                name: main
              - dir: /data/tenants
                pattern: "*.sqlite"
                recursive: true
                watch: true
                prefix: t-
            """);
        var group = Assert.Single(settings.Groups);
        Assert.Equal("s3://b/app", group.Url);
        Assert.Equal("/var/lib/mirror", group.Options.Store);
        Assert.Equal(TimeSpan.FromMilliseconds(250), group.Options.Recovery.SyncInterval);
        Assert.Equal(TimeSpan.FromHours(48), group.Options.Recovery.Retention);
        Assert.Equal(TimeSpan.FromMinutes(90), group.Options.CompareInterval);
        Assert.Equal(new ReplicatedPath("/data/app.db", "main"), Assert.Single(group.Databases));
        Assert.Equal(new DatabaseDirectory("/data/tenants", "*.sqlite", true, true, "t-"),
            Assert.Single(group.Directories));
        Assert.Equal((":9090", true), (settings.Listen, settings.JsonLogs));
    }

    [Theory]
    [InlineData("dbs: [{path: /a.db}]\nsync-intervall: 3", "sync-intervall")]
    [InlineData("dbs: [{path: /a.db, patth: 3}]", "patth")]
    [InlineData("remote: s3://b/a", "dbs:")]
    [InlineData("dbs: [{dir: /data}]", "store:")]
    [InlineData("dbs: [{path: /a.db}]\ncompare-interval: soon", "compare-interval")]
    [InlineData("remote: ${NOT_SET_ANYWHERE}\ndbs: [{path: /a.db}]", "NOT_SET_ANYWHERE")]
    [InlineData("dbs: [", "no YAML")]
    [InlineData("- a", "mapping")]
    [InlineData("", "empty")]
    public void What_makes_no_sense_is_refused_and_named(string text, string named)
        => Assert.Contains(named, Refused(text), StringComparison.Ordinal);

    /// <summary>Aliases that name each other double what there is with each line; depth ends a process.</summary>
    [Fact]
    public void What_would_be_read_for_ever_is_refused()
    {
        Assert.Contains("too deeply", Refused("dbs: " + new string('[', 500_000)), StringComparison.Ordinal);
        Assert.Contains("too deeply", Refused(string.Concat(Enumerable.Repeat("{a: ", 200_000))),
            StringComparison.Ordinal);
        var laughs = "a0: &a0 [x, x]\n" + string.Concat(Enumerable.Range(1, 60)
            .Select(i => $"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n"));
        Assert.Contains("an alias is within", Refused(laughs), StringComparison.Ordinal);
        Assert.Contains("a key is", Refused("a: &a [x]\n? *a\n: x\n"), StringComparison.Ordinal);
        Assert.Equal("/b.db", Read("dbs: [&a {path: /b.db}]").Groups[0].Databases[0].Path);
        Assert.Contains("characters", Refused("# " + new string('x', 5 << 20)), StringComparison.Ordinal);
    }

    [Fact]
    public void A_file_of_litestream_0_5_is_read_as_it_is()
    {
        var settings = Read("""
            addr: ":9091"
            exec: app --serve
            logging: {level: info, type: json}
            levels: [{interval: 30s}]
            snapshot: {interval: 24h, retention: 72h}
            dbs:
              - path: /data/app.db
                monitor-interval: 500ms
                checkpoint-interval: 1m
                restore-if-db-not-exists: true
                replica:
                  type: s3
                  bucket: b
                  path: app
                  region: eu-central-1
                  endpoint: minio:9000
                  sync-interval: 10s
                  part-size: 5MB
            """);
        var group = Assert.Single(settings.Groups);
        Assert.Equal("s3://b/app?endpoint=https%3A%2F%2Fminio%3A9000&region=eu-central-1", group.Url);
        Assert.Equal(TimeSpan.FromSeconds(10), group.Options.Recovery.SyncInterval);
        Assert.Equal(TimeSpan.FromHours(72), group.Options.Recovery.Retention);
        Assert.True(group.Options.RestoreIfMissing);
        Assert.Equal((":9091", "app --serve", true), (settings.Listen, settings.Exec, settings.JsonLogs));
        Assert.Contains(settings.Warnings, w => w.StartsWith("levels ", StringComparison.Ordinal));
        Assert.Contains(settings.Warnings, w => w.StartsWith("part-size ", StringComparison.Ordinal));
        Assert.Contains(settings.Warnings, w => w.StartsWith("checkpoint-interval ", StringComparison.Ordinal));
    }

    [Fact]
    public void A_file_of_litestream_0_3_is_read_as_it_is()
    {
        var settings = Read("""
            dbs:
              - path: /data/one.db
                replicas:
                  - url: s3://b/one
                    retention: 48h
                    snapshot-interval: 4h
              - path: /data/two.db
                replicas:
                  - path: /backup/two
            """);
        Assert.Equal(["s3://b/one", "file:///backup/two"], settings.Groups.Select(g => g.Url));
        Assert.Equal(TimeSpan.FromHours(48), settings.Groups[0].Options.Recovery.Retention);
    }

    [Theory]
    [InlineData("dbs: [{path: /a.db, replica: {type: sftp, host: h}}]", "sftp")]
    [InlineData("dbs: [{path: /a.db, replica: {url: 'gs://b/a'}}]", "gs")]
    [InlineData("dbs: [{path: /a.db, replica: {url: 's3://b/a', age: {recipients: [x]}}}]", "age")]
    [InlineData("dbs: [{path: /a.db, replica: {url: 's3://b/a', sse-kms-key-id: x}}]", "sse-kms-key-id")]
    [InlineData("dbs: [{path: /a.db, replicas: [{url: 's3://b/a'}, {url: 's3://b/b'}]}]", "replicas")]
    [InlineData("retention: {enabled: false}\ndbs: [{path: /a.db, replica: {url: 's3://b/a'}}]", "retention")]
    [InlineData("dbs: [{path: /a.db, replica: {url: 's3://b/a'}}, {path: /b.db, replica: {url: 's3://b/a'}}]",
        "s3://b/a")]
    [InlineData("dbs: [{path: /a.db, replica: {url: 's3://b/a', something-new: 1}}]", "something-new")]
    public void What_matters_in_litestreams_file_and_cannot_be_honoured_is_refused(string text, string named)
        => Assert.Contains(named, Refused(text), StringComparison.Ordinal);

    [Theory]
    [InlineData("python app.py", new[] { "python", "app.py" })]
    [InlineData("sh -c 'a \"b\" c' d\\ e \"f 'g'\" ''", new[] { "sh", "-c", "a \"b\" c", "d e", "f 'g'", "" })]
    public void A_command_is_split_into_words(string command, string[] words)
        => Assert.Equal(words, GuardedProgram.Split(command));
}
