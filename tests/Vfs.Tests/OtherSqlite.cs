using Microsoft.Data.Sqlite;
using SQLitePCL;
using NativeLibrary = System.Runtime.InteropServices.NativeLibrary;

namespace RecoveryVfs.Tests;

/// <summary>
/// A process whose SQLitePCLRaw is set to another SQLite than the bundle's. A process can be set but once.
/// </summary>
public static class OtherSqlite
{
    public const string Word = "other-sqlite";

    /// <summary>
    /// The system's library under the name it has at run time, and under another one than SQLitePCLRaw's provider for
    /// it uses.
    /// </summary>
    const string Debian = "libsqlite3.so.0";

    /// <summary>
    /// Writes the database through what <paramref name="provider"/> names; prints SQLite's warnings, its version, the
    /// rows, and the VFS's own check.
    /// </summary>
    public static int Run(string provider, string database, bool wal = false)
    {
        try
        {
            Choose(provider);
            if (wal && provider == "bundle") Batteries_V2.Init();
            if (wal)
                raw.sqlite3_config_log(static (_, code, message) => Console.WriteLine($"log {code}: {message}"), null);
            Recovery.Register();
            using var connection = new SqliteConnection($"Data Source=file:{database}?vfs=recovery");
            connection.Open();
            Console.WriteLine(connection.Do("SELECT sqlite_version()"));
            Console.WriteLine(
                connection.Do(
                "CREATE TABLE IF NOT EXISTS t(x); INSERT INTO t VALUES (1); SELECT count(*) FROM t; PRAGMA "
                    + "recovery_verify"));
            if (wal) WalBeginningTests.A_WAL_goes_on_while_another_connection_checkpoints(connection, database);
            return 0;
        }
        catch (RecoveryLog.RecoveryException e)
        {
            Console.WriteLine(e.Message);
            return 1;
        }
    }

    static void Choose(string provider)
    {
        switch (provider)
        {
            case "bundle":
                return; // As Microsoft.Data.Sqlite does by itself.
            case "system":
                raw.SetProvider(new SQLite3Provider_sqlite3());
                break;
            case "dynamic":
                Load(Debian);
                return;
            case "two":
                Recovery.Register(NativeLibrary.Load(Debian));
                return;
        }
        raw.FreezeProvider(); // Or Microsoft.Data.Sqlite takes the bundle's instead.
    }

    /// <summary>The SQLite of this process is the one in that library.</summary>
    public static void Load(string library)
    {
        SQLite3Provider_dynamic_cdecl.Setup(library, new Functions(NativeLibrary.Load(library)));
        raw.SetProvider(new SQLite3Provider_dynamic_cdecl());
        raw.FreezeProvider();
    }

    sealed class Functions(nint library) : IGetFunctionPointer
    {
        public nint GetFunctionPointer(string name) => NativeLibrary.TryGetExport(library, name, out var function)
            ? function
            : 0;
    }
}
