using System.Diagnostics;
using Microsoft.Data.Sqlite;

namespace RecoveryVfs.Tests;

/// <summary>
/// A process that uses databases as it is told, line by line, so that a test sees when it dies: what a host process
/// would have suffered. Each line is
/// <c>open URI</c>, <c>close</c> or a statement; each answer is one line, of the values or "!CODE".
/// </summary>
public sealed class SqlShell : IDisposable
{
    /// <summary>The argument that makes this assembly's program one.</summary>
    public const string Name = "sql-shell";

    readonly Process process;
    readonly Task<string> errors;

    /// <param name="library">Another SQLite than the bundle's.</param>
    public SqlShell(string? library = null)
    {
        string[] other = library is null ? [] : [library];
        process = Process.Start(new ProcessStartInfo("dotnet", [typeof(SqlShell).Assembly.Location, Name, .. other])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            // A process that aborts writes its core there.
            WorkingDirectory = Path.GetTempPath(),
        })!;
        errors = process.StandardError.ReadToEndAsync();
    }

    /// <summary>The answer to a line. Fails the test when the process has died.</summary>
    public string Ask(string line)
    {
        process.StandardInput.WriteLine(line);
        return process.StandardOutput.ReadLine()
            ?? throw new InvalidOperationException($"The process died at: {line}\n{End()}");
    }

    /// <summary>Ends it in order: it closes what is open, and must return 0.</summary>
    public void Finish()
    {
        process.StandardInput.Close();
        var text = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.True(process.ExitCode == 0,
            $"The process ended with {process.ExitCode} when it closed: {text}\n{errors.Result}");
    }

    public void Kill()
    {
        process.Kill();
        process.WaitForExit();
    }

    string End()
    {
        process.WaitForExit();
        return $"exit code {process.ExitCode}\n{errors.Result}";
    }

    public void Dispose()
    {
        if (!process.HasExited) Kill();
        process.Dispose();
    }

    /// <summary>What the process does.</summary>
    public static int Run(string? library)
    {
        if (library is null) SQLitePCL.Batteries_V2.Init();
        else OtherSqlite.Load(library);
        Recovery.Register(new RecoveryOptions { Linger = TimeSpan.Zero });
        SqliteConnection? db = null;
        while (Console.ReadLine() is { } line)
        {
            string answer;
            if (line.StartsWith("open ", StringComparison.Ordinal))
                answer = Open(line[5..], ref db);
            else if (line == "close")
                (answer, db) = (Close(db), null);
            else
                answer = db?.Try(line) ?? "!none is open";
            Console.WriteLine(answer.Replace('\n', ' '));
        }
        Close(db);
        return 0;
    }

    static string Open(string uri, ref SqliteConnection? db)
    {
        db = new SqliteConnection(new SqliteConnectionStringBuilder { DataSource = uri, Pooling = false }.ToString());
        try
        {
            db.Open();
            return "ok";
        }
        catch (SqliteException e)
        {
            db = null;
            return $"!{e.SqliteExtendedErrorCode}";
        }
    }

    static string Close(SqliteConnection? db)
    {
        db?.Dispose();
        Recovery.CloseIdleStores();
        return "ok";
    }
}
