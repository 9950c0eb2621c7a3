// commits.c in .NET: commits one row after the other and prints the number of each after its COMMIT returned.
// usage: app DIRECTORY COUNT

using Microsoft.Data.Sqlite;
using RecoveryVfs;

SQLitePCL.Batteries_V2.Init();
Recovery.Register();
using var db = new SqliteConnection($"Data Source=file:{args[0]}/app.db?vfs=recovery;Default Timeout=0;Pooling=False");
db.Open();
var command = db.CreateCommand();
command.CommandText = "SELECT sqlite_version()";
Console.WriteLine("version " + command.ExecuteScalar());
command.CommandText = "CREATE TABLE IF NOT EXISTS n(x INTEGER PRIMARY KEY, filler)";
command.ExecuteNonQuery();
command.CommandText = "INSERT INTO n(filler) VALUES(randomblob($bytes)); SELECT last_insert_rowid()";
var bytes = command.Parameters.Add("$bytes", SqliteType.Integer);
for (var i = 0; i < int.Parse(args[1]); i++)
{
    bytes.Value = 10 + i % 3000;
    Console.WriteLine(command.ExecuteScalar());
}
Console.In.ReadToEnd();
