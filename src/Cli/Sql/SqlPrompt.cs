using System.Text;
using RecoveryVfs.Interop;

namespace RecoveryVfs.Cli.Sql;

/// <summary>
/// Statements typed by a person, one after the other, until <c>.quit</c> or the end of input. A mistake ends nothing.
/// </summary>
internal sealed class SqlPrompt(SqlPlace place, SqlFormat format, TextReader from, TextWriter to, Output output)
{
    const string First = "recovery> ", More = "     ...> ", InTransaction = "recovery*> ";

    const string Help = """
        SQL statements, each ended by a semicolon; and
          .tables  .schema            what is in the database
          .mode list|csv|json|box     how rows are printed
          .header on|off              names of columns, in list and csv
          .quit                       or the end of input (Ctrl-D)
        A prompt with a * says that a transaction is open.
        """;

    public void Run(CancellationToken cancellation)
    {
        var sql = new StringBuilder();
        while (true)
        {
            to.Write(sql.Length > 0 ? More : place.IsInTransaction ? InTransaction : First);
            to.Flush();
            if (from.ReadLine() is not { } line) break;
            if (sql.Length == 0 && line.TrimStart().StartsWith('.'))
            {
                if (!TryCommand(line.Trim().TrimEnd(';').Split(' ', StringSplitOptions.RemoveEmptyEntries),
                    cancellation))
                    return;
                continue;
            }
            sql.Append(line).Append('\n');
            if (!VfsEntryPoints.Api.Statements.IsComplete(sql.ToString())) continue;
            Try(sql.ToString(), cancellation);
            sql.Clear();
        }
        to.WriteLine();
        if (sql.ToString().Trim().Length > 0) Try(sql.ToString(), cancellation);
    }

    void Try(string sql, CancellationToken cancellation)
    {
        try
        {
            place.Run(sql, format, cancellation);
        }
        catch (SqlFailure e)
        {
            output.Error(SqlFailures.Of(e));
        }
    }

    /// <summary>False when it was the last.</summary>
    bool TryCommand(string[] words, CancellationToken cancellation)
    {
        switch (words)
        {
            case [".quit" or ".exit" or ".q"]:
                return false;
            case [".help"]:
                to.WriteLine(Help);
                break;
            case [".tables"]:
                Try("SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite_%' "
                    + "ORDER BY 1", cancellation);
                break;
            case [".schema"]:
                Try("SELECT sql || ';' AS sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY tbl_name, type "
                    + "DESC, name", cancellation);
                break;
            case [".mode", var mode] when Enum.TryParse<SqlStyle>(mode, ignoreCase: true, out var style):
                format.Style = style;
                break;
            case [".header" or ".headers", "on" or "off"]:
                format.Header = words[1] == "on";
                break;
            default:
                to.WriteLine($"{Printable.Escape(words[0])}: not known, or not so. .help says what there is.");
                break;
        }
        return true;
    }
}

/// <summary>What SQLite's refusals mean for the exit code.</summary>
internal static class SqlFailures
{
    public static Failure Of(SqlFailure e) => new((e.Code & 0xff) switch
    {
        Sqlite.Busy => ExitCode.Busy,
        Sqlite.Corrupt => ExitCode.Damaged,
        Sqlite.Error => ExitCode.Usage,
        _ => ExitCode.Failure,
    }, e.Message);
}
