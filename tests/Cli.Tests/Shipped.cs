using System.Globalization;
using Microsoft.Data.Sqlite;

namespace RecoveryVfs.Cli.Tests;

/// <summary>
/// A store with two databases that was shipped to a file:// remote and closed: a.db with a row a commit, w.db in WAL
/// mode with rows that no checkpoint has brought into the main file. Tests only read it.
/// </summary>
public sealed class Shipped : IDisposable
{
    public const int Commits = 5;

    // Whoever comes first, also for a member that needs no store.
    static Shipped()
    {
        SQLitePCL.Batteries_V2.Init();
        Recovery.Register();
    }

    public Shipped()
    {
        Root = Directory.CreateTempSubdirectory("recovery-cli-").FullName;
        Data = Path.Combine(Root, "data");
        Directory.CreateDirectory(Data);
        Remote = "file://" + Path.Combine(Root, "remote");
        using (var connection = Open(Data, "a.db"))
            Execute(connection, "CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)");
        // The hints from which every later state can be restored.
        Close();
        Recover.Run("sync", "--wait", Data, "--remote", Remote).MustEndWith(0);
        using (var connection = Open(Data, "a.db"))
        {
            for (var i = 1; i <= Commits; i++)
            {
                Execute(connection, $"INSERT INTO t(v) VALUES ('row {i}')");
                Lsns.Add(ulong.Parse(Scalar(connection, "PRAGMA recovery_lsn"), CultureInfo.InvariantCulture));
            }
            using var wal = Open(Data, "w.db");
            Execute(wal, "PRAGMA journal_mode=WAL; PRAGMA wal_autocheckpoint=0; CREATE TABLE t(id INTEGER PRIMARY "
                + "KEY); INSERT INTO t VALUES (1), (2), (3)");
            Execute(wal, "PRAGMA recovery_sync");
        }
        Close();
    }

    public string Root { get; }
    public string Data { get; }
    public string Remote { get; }

    /// <summary>The LSN after each row of a.db.</summary>
    public List<ulong> Lsns { get; } = [];

    public string Place(string name) => Path.Combine(Root, name + "-" + Guid.NewGuid().ToString("N")[..8]);

    /// <summary>A copy of the remote, to be damaged.</summary>
    public string CopyOfRemote()
    {
        var (from, to) = (Path.Combine(Root, "remote"), Place("damaged"));
        foreach (var file in Directory.EnumerateFiles(from, "*", SearchOption.AllDirectories))
        {
            var copy = Path.Combine(to, Path.GetRelativePath(from, file));
            Directory.CreateDirectory(Path.GetDirectoryName(copy)!);
            File.Copy(file, copy);
        }
        return to;
    }

    /// <summary>Opens a database of a store.</summary>
    public static SqliteConnection Open(string directory, string name, string options = "")
    {
        var connection =
            new SqliteConnection($"Data Source=file:{directory}/{name}?vfs=recovery{options};Pooling=False");
        connection.Open();
        return connection;
    }

    /// <summary>
    /// Until it is disposed of, a store ships nothing when it is opened, because its config says so: a URI may not.
    /// </summary>
    public static IDisposable Unshipped(string directory)
        => new UnshippedStore(Path.Combine(directory, ".recovery", "config"));

    sealed class UnshippedStore : IDisposable
    {
        readonly string config;
        readonly string? before;

        public UnshippedStore(string config)
        {
            this.config = config;
            before = File.Exists(config) ? File.ReadAllText(config) : null;
            File.WriteAllText(config, before + "\nremote = none\n");
        }

        public void Dispose()
        {
            Close();
            if (before is null) File.Delete(config);
            else File.WriteAllText(config, before);
        }
    }

    public static void Close() => Recovery.CloseIdleStores();

    public static void Execute(SqliteConnection connection, string sql)
    {
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }

    public static string Scalar(SqliteConnection connection, string sql)
    {
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        return Convert.ToString(command.ExecuteScalar(), CultureInfo.InvariantCulture)!;
    }

    /// <summary>How many rows a plain SQLite file has; it must be sound.</summary>
    public static long RowsOfPlain(string file)
    {
        using var connection = new SqliteConnection($"Data Source={file};Pooling=False");
        connection.Open();
        Assert.Equal("ok", Scalar(connection, "PRAGMA integrity_check"));
        return long.Parse(Scalar(connection, "SELECT count(*) FROM t"), CultureInfo.InvariantCulture);
    }

    /// <summary>How many rows a database of a store has; it must be sound.</summary>
    public static long RowsOfStore(string directory, string name)
    {
        using var unshipped = Unshipped(directory);
        try
        {
            using var connection = Open(directory, name);
            Assert.Equal("ok", Scalar(connection, "PRAGMA integrity_check"));
            Assert.Equal("ok", Scalar(connection, "PRAGMA recovery_verify"));
            return long.Parse(Scalar(connection, "SELECT count(*) FROM t"), CultureInfo.InvariantCulture);
        }
        finally
        {
            Close();
        }
    }

    public void Dispose()
    {
        Close();
        Directory.Delete(Root, recursive: true);
    }
}
