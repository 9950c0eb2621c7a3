using System.Runtime.CompilerServices;
using System.Text;

namespace RecoveryVfs.Cli.Tests;

/// <summary>
/// SQLite's error log of this process, from its beginning: SQLite takes no other once it has started.
/// </summary>
internal static class SqliteLog
{
    static readonly StringBuilder text = new();

    /// <summary>All that was written to it.</summary>
    public static string Text
    {
        get { lock (text) return text.ToString(); }
    }

    [ModuleInitializer]
    internal static void Begin()
    {
        SQLitePCL.Batteries_V2.Init();
        var code = SQLitePCL.raw.sqlite3_config_log(static (_, code, message) =>
        {
            lock (text) text.AppendLine($"{code}: {message}");
        }, null);
        if (code != 0) throw new InvalidOperationException($"SQLite takes no log: {code}");
    }
}
