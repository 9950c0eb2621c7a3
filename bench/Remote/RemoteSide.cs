using System.Globalization;
using RecoveryVfs.RecoveryLog.Remote.Write;

namespace RecoveryVfs.Bench;

/// <summary>A store with a remote.</summary>
internal sealed class RemoteSide(string directory, string url)
{
    public string Directory { get; } = System.IO.Directory.CreateDirectory(directory).FullName;

    public string Url => url;

    public Connection Open(string name = "a.db", string more = "", string synchronous = "FULL")
    {
        var connection =
            new Connection($"file:{Directory}/{name}?vfs=recovery&remote={Uri.EscapeDataString(url)}{more}");
        connection.Do($"PRAGMA synchronous={synchronous}");
        return connection;
    }

    /// <summary>The value of a row of <c>PRAGMA recovery_status</c>; 0 when there is none.</summary>
    public static long Status(Connection connection, string name)
    {
        var row = connection.Ask("PRAGMA recovery_status").Split('\n')
            .FirstOrDefault(l => l.StartsWith(name + ": ", StringComparison.Ordinal));
        return row is null ? 0 : long.Parse(row.AsSpan(name.Length + 2), CultureInfo.InvariantCulture);
    }

    /// <summary>Bytes sent so far, of all kinds of objects.</summary>
    public static (long Log, long Extents, long Other) Sent(Connection connection) =>
        (Status(connection, "remote_bytes_sent_log"), Status(connection, "remote_bytes_sent_extents"),
            Status(connection, "remote_bytes_sent_hints") + Status(connection, "remote_bytes_sent_other")
                + Status(connection, "remote_bytes_sent_pins"));

    /// <summary>Requests made so far.</summary>
    public static long Requests(Connection connection) =>
        ((string[])["create", "get", "head", "list", "delete"])
            .Sum(kind => Status(connection, "remote_requests_" + kind));

    /// <summary>A table of rows of about a hundred bytes, of so many megabytes, shipped.</summary>
    public int Fill(int megabytes, string more = "")
    {
        var rows = megabytes * 8000;
        var text = new Text(5);
        using var connection = Open(more: more, synchronous: "OFF");
        connection.Do("CREATE TABLE t(id INTEGER PRIMARY KEY, v TEXT)");
        using var insert = connection.Prepare("INSERT INTO t VALUES(?,?)");
        for (var row = 1; row <= rows;)
        {
            connection.Do("BEGIN");
            for (var i = 0; i < 50_000 && row <= rows; i++, row++) insert.Bind(1, row).Bind(2, text.Take(110)).First();
            connection.Do("COMMIT");
        }
        connection.Do("PRAGMA recovery_checkpoint");
        connection.Do("PRAGMA recovery_sync");
        return rows;
    }
}
