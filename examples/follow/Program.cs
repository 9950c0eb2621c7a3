// A host that keeps a follower of a remote, reads it with SQL, and sees each commit with its pages as it comes.
// usage: dotnet run REMOTE DIRECTORY [COMMITS TO SHOW]

using Microsoft.Data.Sqlite;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using RecoveryVfs;
using RecoveryVfs.Hosting;
using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Tails;

var (remote, directory, count) =
    (args[0], Path.GetFullPath(args[1]), args.Length > 2 ? int.Parse(args[2]) : int.MaxValue);
SQLitePCL.Batteries_V2.Init();
Recovery.Register();

var builder = Host.CreateApplicationBuilder();
builder.Logging.SetMinimumLevel(LogLevel.Warning);
builder.Services.AddRecoveryFollower(remote, directory);
using var host = builder.Build();
await host.StartAsync();
var follower = await host.Services.GetRequiredService<FollowerService>().Started;
await follower.CaughtUpAsync();

using (var reader = follower.Read())
    foreach (var name in reader.Databases)
    {
        using var db = new SqliteConnection($"Data Source=file:{directory}/{name}?vfs=recovery&mode=ro;Pooling=False");
        db.Open();
        using var command = db.CreateCommand();
        command.CommandText = "SELECT count(*) FROM sqlite_master WHERE type = 'table'";
        Console.WriteLine($"{name}: {command.ExecuteScalar()} tables at LSN {follower.State.Lsn}");
    }

var tail = new RemoteTail(remote, new RemoteTailOptions { From = TailStart.Oldest });
await foreach (
    var commit in tail.ReadAsync(host.Services.GetRequiredService<IHostApplicationLifetime>().ApplicationStopping))
{
    // A page is whole, or the ranges that differ from its previous version: commit.Pages[i].ApplyTo(page) makes one of
    // the other.
    Console.WriteLine(
        $"{commit.Lsn} {commit.Kind} {commit.Database}: "
            + $"{string.Join(", ", commit.Pages.Select(p => $"page {p.Page} ({p.Form})"))}");
    if (--count == 0) break;
}
await host.StopAsync();
