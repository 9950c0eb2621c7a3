// What operators watch, sent to an OpenTelemetry collector: lag, health, requests and bytes of each store's remote.
// usage: dotnet run DIRECTORY REMOTE     OTEL_EXPORTER_OTLP_ENDPOINT says where the collector is (http://localhost:4318)

using Microsoft.Data.Sqlite;
using OpenTelemetry;
using OpenTelemetry.Exporter;
using OpenTelemetry.Metrics;
using RecoveryVfs;

var (directory, remote) = (Path.GetFullPath(args[0]), args[1]);
var collector = Environment.GetEnvironmentVariable("OTEL_EXPORTER_OTLP_ENDPOINT") ?? "http://localhost:4318";

using var metrics = Sdk.CreateMeterProviderBuilder()
    .AddMeter("RecoveryVfs.Remote")
    .AddOtlpExporter((exporter, reader) =>
    {
        exporter.Protocol = OtlpExportProtocol.HttpProtobuf;
        exporter.Endpoint = new Uri(collector.TrimEnd('/') + "/v1/metrics");
        reader.PeriodicExportingMetricReaderOptions.ExportIntervalMilliseconds = 10_000;
    })
    .Build();

SQLitePCL.Batteries_V2.Init();
Recovery.Register();
using var db =
    new SqliteConnection($"Data Source=file:{directory}/app.db?vfs=recovery&remote={Uri.EscapeDataString(remote)}");
db.Open();
using var command = db.CreateCommand();
command.CommandText =
    "CREATE TABLE IF NOT EXISTS visits(at TEXT); INSERT INTO visits VALUES(datetime('now')); PRAGMA recovery_sync";
command.ExecuteNonQuery();

// A long-running application needs no such call: the reader exports by itself.
Console.WriteLine(metrics.ForceFlush(10_000) ? "sent" : "the collector did not take it");
