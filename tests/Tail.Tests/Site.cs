using System.Text;
using Microsoft.Data.Sqlite;

namespace RecoveryVfs.Tail.Tests;

/// <summary>A directory with a writer, its remote and a follower in it.</summary>
public sealed class Site(string? remote = null) : IDisposable
{
    static Site()
    {
        SQLitePCL.Batteries_V2.Init();
        Recovery.Register();
    }

    readonly string directory = Directory.CreateTempSubdirectory("recovery-tail-").FullName;

    public string PathOf(string name) => Path.Combine(directory, name);

    public string Url => remote ?? "file://" + PathOf("bucket");

    public SqliteConnection Writer(string name = "a.db")
    {
        Directory.CreateDirectory(PathOf("writer"));
        return Open($"file:{PathOf("writer/" + name)}?vfs=recovery&remote={Uri.EscapeDataString(Url)}"
            + "&sync-interval=5&linger=0");
    }

    public SqliteConnection Reader(string name = "a.db") =>
        Open($"file:{PathOf("follower/" + name)}?vfs=recovery&mode=ro&follow={Uri.EscapeDataString(Url)}"
            + "&follow-interval=20");

    public SqliteConnection Open(string uri) => OpenUri(uri);

    public static SqliteConnection OpenUri(string uri)
    {
        var connection =
            new SqliteConnection(new SqliteConnectionStringBuilder { DataSource = uri, Pooling = false }.ToString());
        connection.Open();
        return connection;
    }

    /// <summary>Waits until the remote has everything, hints too.</summary>
    public void Wait(SqliteConnection writer)
    {
        var directory = writer.Do("PRAGMA recovery_store");
        SpinWait.SpinUntil(() => Directory.Exists(PathOf("bucket/hints"))
            && Directory.EnumerateFiles(PathOf("bucket/hints")).Any());
        writer.Do("PRAGMA recovery_sync=remote");
        Assert.True(directory.Length > 0);
    }

    /// <summary>Runs the program in this process.</summary>
    public Task<(int Code, string Output, string Errors)> RunAsync(params string[] arguments) =>
        RunAsync(Stream.Null, arguments);

    /// <summary>Runs the program in this process, with something to read on its standard input.</summary>
    public async Task<(int Code, string Output, string Errors)> RunAsync(Stream input, params string[] arguments)
    {
        using var output = new MemoryStream();
        using var errors = new StringWriter();
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(2));
        var code = await Program.RunAsync(arguments, input, output, errors, patience.Token);
        return (code, Encoding.UTF8.GetString(output.ToArray()), errors.ToString());
    }

    public static int FreePort()
    {
        using var listener = new System.Net.Sockets.TcpListener(System.Net.IPAddress.Loopback, 0);
        listener.Start();
        return ((System.Net.IPEndPoint)listener.LocalEndpoint).Port;
    }

    public void Dispose()
    {
        Recovery.CloseIdleStores();
        Directory.Delete(directory, recursive: true);
    }
}
