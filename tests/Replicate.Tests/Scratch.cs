using Microsoft.Data.Sqlite;

namespace RecoveryVfs.Replicate.Tests;

/// <summary>A directory of a test's own, gone at its end, and SQLite databases in it.</summary>
internal sealed class Scratch : IDisposable
{
    static Scratch() => SQLitePCL.Batteries_V2.Init();

    public string Directory { get; } = System.IO.Directory.CreateTempSubdirectory("replicate-").FullName;

    public string At(string name) => Path.Combine(Directory, name);

    /// <summary>Opens a database as any application does.</summary>
    public SqliteConnection Open(string name, params string[] statements)
    {
        var connection =
            new SqliteConnection(
            new SqliteConnectionStringBuilder { DataSource = At(name), Pooling = false }.ToString());
        connection.Open();
        // Power is not lost here.
        connection.Run("PRAGMA synchronous=OFF");
        foreach (var sql in statements) connection.Run(sql);
        return connection;
    }

    /// <summary>Runs a Python program to its end; it must succeed.</summary>
    public void Python(string program)
    {
        using var process = System.Diagnostics.Process.Start("python3", ["-c", program]);
        process.WaitForExit();
        Assert.Equal(0, process.ExitCode);
    }

    /// <summary>Starts one that is talked to.</summary>
    public System.Diagnostics.Process StartPython(string program) => System.Diagnostics.Process.Start(
        new System.Diagnostics.ProcessStartInfo("python3", ["-c", program])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true
        })!;

    public void Dispose() => System.IO.Directory.Delete(Directory, recursive: true);
}

internal static class Statements
{
    public static void Run(this SqliteConnection connection, string sql)
    {
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        command.ExecuteNonQuery();
    }

    public static string Text(this SqliteConnection connection, string sql)
    {
        using var command = connection.CreateCommand();
        command.CommandText = sql;
        return Convert.ToString(command.ExecuteScalar(), System.Globalization.CultureInfo.InvariantCulture) ?? "";
    }
}
