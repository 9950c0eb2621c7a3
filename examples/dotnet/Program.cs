// .NET with Microsoft.Data.Sqlite: register once, then connect with vfs=recovery.
// usage: dotnet run DIRECTORY

using Microsoft.Data.Sqlite;
using RecoveryVfs;

var directory = Path.GetFullPath(args.Length > 0 ? args[0] : ".");
SQLitePCL.Batteries_V2.Init();
Recovery.Register();

using var db = new SqliteConnection($"Data Source=file:{directory}/app.db?vfs=recovery");
db.Open();
using var command = db.CreateCommand();
command.CommandText = """
    CREATE TABLE IF NOT EXISTS visits(who TEXT, at TEXT);
    INSERT INTO visits VALUES('dotnet', datetime('now'));
    SELECT who, count(*) FROM visits GROUP BY who;
    """;
using var rows = command.ExecuteReader();
while (rows.Read())
    Console.WriteLine($"{rows.GetString(0)} {rows.GetInt64(1)}");
