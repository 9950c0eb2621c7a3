using Microsoft.Data.Sqlite;

namespace RecoveryVfs.Tests;

/// <summary>A directory of its own with databases in it; closes everything and deletes it at the end.</summary>
public sealed class TestStore : IDisposable
{
    static TestStore()
    {
        SQLitePCL.Batteries_V2.Init();
        Recovery.Register();
    }

    readonly List<SqliteConnection> connections = [];

    public TestStore(string options = "", string? vfs = "recovery")
    {
        Options = options;
        Vfs = vfs;
        Directory = System.IO.Directory.CreateTempSubdirectory("recovery-vfs-").FullName;
    }

    /// <summary>URI parameters of every connection, as "isolation=locking&amp;journal=plain".</summary>
    public string Options { get; }

    public string? Vfs { get; }

    public string Directory { get; }

    public string PathOf(string name) => Path.Combine(Directory, name);

    public string UriOf(string name, string options = "") =>
        "file:" + PathOf(name) + "?"
            + string.Join('&', ((string[])[Vfs is null ? "" : "vfs=" + Vfs, Options, options])
            .Where(o => o.Length > 0));

    /// <summary>A new connection, with no busy timeout unless asked for.</summary>
    public SqliteConnection Open(string name = "a.db", string options = "", int timeoutSeconds = 0,
        SqliteCacheMode cache = SqliteCacheMode.Default)
    {
        var connection = new SqliteConnection(new SqliteConnectionStringBuilder
        {
            DataSource = UriOf(name, options),
            Pooling = false,
            Cache = cache,
        }.ToString());
        connection.Open();
        SQLitePCL.raw.sqlite3_busy_timeout(connection.Handle, timeoutSeconds * 1000);
        connections.Add(connection);
        return connection;
    }

    /// <summary>
    /// Waits until followers have put so many pins into the directory <c>remote</c>. They come beside their first
    /// answers, and one that came later would make a directory anew that a test has moved away.
    /// </summary>
    public void WaitForPins(int count) => Assert.True(SpinWait.SpinUntil(() =>
        System.IO.Directory.Exists(PathOf("remote/pins"))
            && System.IO.Directory.GetFiles(PathOf("remote/pins"), "follower-*").Length >= count,
        TimeSpan.FromMinutes(2)));

    /// <summary>Closes every connection and the store, so that the next open reads what is on disk.</summary>
    public void Close()
    {
        foreach (var connection in connections) connection.Dispose();
        connections.Clear();
        Recovery.CloseIdleStores();
    }

    public void Dispose()
    {
        Close();
        System.IO.Directory.Delete(Directory, recursive: true);
    }
}
