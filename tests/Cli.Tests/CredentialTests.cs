using System.Diagnostics.Metrics;
using System.Text;
using RecoveryVfs.TestServers;

namespace RecoveryVfs.Cli.Tests;

/// <summary>
/// Keys reach the object store, and nothing that people or machines look at: not status, errors, SQLite's error log or
/// metrics, and no file of a store.
/// </summary>
[Collection(S3Collection.Name)]
public sealed class CredentialTests(S3Server server) : IDisposable
{
    static readonly string[] secrets = ["wrong-Secret-0a1b2c3d", "session-Token-4e5f6a7b", "pass-Word-8c9d0e1f"];

    readonly string root = Directory.CreateTempSubdirectory("recovery-keys-").FullName;
    readonly StringBuilder seen = new();

    public void Dispose() => Directory.Delete(root, recursive: true);

    void Run(Dictionary<string, string> environment, params string[] arguments)
    {
        var outcome = Recover.RunWith(environment, arguments);
        // What was typed is the user's own; what is said about it is ours.
        lock (seen) seen.AppendLine(outcome.Output).AppendLine(outcome.Errors);
    }

    [Fact]
    public async Task No_credential_is_shown_or_kept()
    {
        var bucket = await server.NewBucketAsync();
        var (known, unknown) = (server.Environment, new Dictionary<string, string>(server.Environment)
        {
            ["AWS_SECRET_ACCESS_KEY"] = secrets[0],
            ["AWS_SESSION_TOKEN"] = secrets[1],
        });
        var key = known["AWS_SECRET_ACCESS_KEY"];
        foreach (var (name, value) in known) Environment.SetEnvironmentVariable(name, value);
        var (url, data) = ($"s3://{bucket}/a", Path.Combine(root, "data"));
        Directory.CreateDirectory(data);
        using (var db = Shipped.Open(data, "a.db", "&remote=" + Uri.EscapeDataString(url)))
        {
            Shipped.Execute(db, "CREATE TABLE t(x); PRAGMA recovery_sync=remote");
            Look(db);
            ReadMetrics();
            foreach (var (name, value) in unknown) Environment.SetEnvironmentVariable(name, value);
        }
        Shipped.Close();
        // With keys that the server refuses, in this process and in others.
        using (var db = Shipped.Open(data, "a.db"))
        {
            try { Shipped.Execute(db, "INSERT INTO t VALUES (1); PRAGMA recovery_sync=remote"); }
            catch (Microsoft.Data.Sqlite.SqliteException e)
            {
                seen.AppendLine(e.ToString())
                .AppendLine(Recovery.LastError);
            }
            Look(db);
            ReadMetrics();
        }
        foreach (var (name, value) in known) Environment.SetEnvironmentVariable(name, value);
        Environment.SetEnvironmentVariable("AWS_SESSION_TOKEN", null);
        Shipped.Close();
        foreach (var environment in (Dictionary<string, string>[])[known, unknown])
        {
            Run(environment, "status", data, "--json");
            Run(environment, "status", data);
            Run(environment, "verify", url);
            Run(environment, "restore", url, Path.Combine(root, Guid.NewGuid().ToString("n")));
            Run(environment, "databases", url, "--json");
        }
        Run(known, "sync", "--wait", data);
        var host = server.Endpoint.Authority;
        Run(known, "verify", $"s3://{bucket}/a?endpoint=http://me:{secrets[2]}@{host}");
        Run(known, "verify", $"s3://me:{secrets[2]}@{bucket}/a");
        Run(known, "verify", $"s3://{bucket}/a?secret={secrets[2]}");
        Run(new(known) { ["AWS_ENDPOINT_URL"] = $"http://me:{secrets[2]}@{host}" }, "verify", url);
        Run(new(known) { ["RECOVERY_REMOTE"] = $"s3://{bucket}/a?endpoint=http://me:{secrets[2]}@{host}" }, "verify");

        var log = SqliteLog.Text;
        foreach (var secret in secrets.Append(key))
        {
            Assert.DoesNotContain(secret, seen.ToString());
            Assert.DoesNotContain(secret, log);
        }
        foreach (var path in Directory.EnumerateFiles(root, "*", SearchOption.AllDirectories))
            foreach (var secret in secrets.Append(key))
                Assert.True(File.ReadAllBytes(path).AsSpan().IndexOf(Encoding.UTF8.GetBytes(secret)) < 0,
                    $"{path} has {secret}");
        // The test looks at something: the bucket is in what it saw.
        Assert.Contains(bucket, seen.ToString());
        Assert.Contains("403", seen.ToString());
        Assert.Contains("403", log);
        Assert.Contains(bucket, log);
    }

    void Look(Microsoft.Data.Sqlite.SqliteConnection db)
    {
        using var command = db.CreateCommand();
        command.CommandText = "PRAGMA recovery_status";
        using var reader = command.ExecuteReader();
        while (reader.Read())
            for (var i = 0; i < reader.FieldCount; i++)
                seen.AppendLine(
                    Convert.ToString(reader.GetValue(i), System.Globalization.CultureInfo.InvariantCulture));
    }

    void ReadMetrics()
    {
        using var listener =
            new MeterListener
            {
                InstrumentPublished = (instrument, l)
            =>
                {
                    if (instrument.Meter.Name.Contains("recovery",
                StringComparison.OrdinalIgnoreCase)) l.EnableMeasurementEvents(instrument);
                }
            };
        void Note(Instrument instrument, string value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
        {
            seen.AppendLine($"{instrument.Name} {value} {instrument.Description}");
            foreach (var tag in tags) seen.AppendLine($"{tag.Key}={tag.Value}");
            foreach (var tag in instrument.Meter.Tags ?? []) seen.AppendLine($"{tag.Key}={tag.Value}");
        }
        listener.SetMeasurementEventCallback<long>((i, v, tags, _) => Note(i, $"{v}", tags));
        listener.SetMeasurementEventCallback<int>((i, v, tags, _) => Note(i, $"{v}", tags));
        listener.SetMeasurementEventCallback<double>((i, v, tags, _) => Note(i, $"{v}", tags));
        listener.Start();
        listener.RecordObservableInstruments();
    }
}
