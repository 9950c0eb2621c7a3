using System.Diagnostics;
using Microsoft.Data.Sqlite;

namespace RecoveryVfs.Tests;

/// <summary>
/// A process that opens one database, runs statements and ends: what concerns a whole process (its environment, its
/// umask) is tried there. It prints what the statements gave, or the error's code and message.
/// </summary>
public static class Opener
{
    public const string Word = "open";

    /// <summary>The same, with a pooled connection, and nothing is closed: as EF Core's programs end.</summary>
    public const string LeaveOpen = "leave-open";

    public static int Run(string[] args)
    {
        SQLitePCL.Batteries_V2.Init();
        try
        {
            Recovery.Register(makeDefault: Environment.GetEnvironmentVariable("RECOVERY_VFS_DEFAULT") == "1");
            var isLeftOpen = args[0] == LeaveOpen;
            using var db =
                new SqliteConnection(
                new SqliteConnectionStringBuilder { DataSource = args[1], Pooling = isLeftOpen }.ToString());
            db.Open();
            foreach (var sql in args[2..]) Console.WriteLine(db.Try(sql));
            Console.WriteLine(Recovery.LastError);
            if (isLeftOpen) return 0;
        }
        catch (Exception e)
        {
            Console.WriteLine($"!{e.Message} [{Recovery.LastError}]");
        }
        Recovery.CloseIdleStores();
        return 0;
    }

    /// <summary>Runs it and returns what it printed, errors' lines after the results'.</summary>
    public static string InProcess(Dictionary<string, string> environment, string uri, params string[] statements) =>
        InProcess(environment, [Word, uri, .. statements]);

    /// <summary>Runs it with any of the words.</summary>
    public static string InProcess(Dictionary<string, string> environment, string[] arguments)
    {
        var start = new ProcessStartInfo("dotnet", [typeof(Opener).Assembly.Location, .. arguments])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true
        };
        foreach (var (name, value) in environment) start.Environment[name] = value;
        using var process = Process.Start(start)!;
        var errors = process.StandardError.ReadToEndAsync();
        var output = process.StandardOutput.ReadToEnd();
        Assert.True(process.WaitForExit(TimeSpan.FromMinutes(2)), "the process did not end");
        return output + errors.Result;
    }
}
