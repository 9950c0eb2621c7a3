using RecoveryVfs.RecoveryLog;
using SQLitePCL;

namespace RecoveryVfs.Cli;

/// <summary>How much of a restored database SQLite checks.</summary>
internal enum IntegrityCheck
{
    None,
    Quick,
    Full,
}

/// <summary>
/// What SQLite says of a delivered file. The pages are those that were committed, each verified by checksum: so this
/// tells of the database as the application made it, and never keeps the file from whoever wants it.
/// </summary>
/// <param name="Result"><c>ok</c>; <c>damaged</c>: the check ran and found something; <c>unchecked</c>: it could not
/// run; <c>none</c>: it was not asked for.</param>
/// <param name="Warning">What to tell the user.</param>
internal sealed record IntegrityFinding(string Result, string? Warning)
{
    const int MostRows = 100;

    public static IntegrityFinding NotAsked { get; } = new("none", null);

    /// <summary>Whether the database itself is known to be damaged.</summary>
    public bool IsDamaged => Result == "damaged";

    public static IntegrityFinding Of(string file, string database, IntegrityCheck check)
    {
        if (check == IntegrityCheck.None) return NotAsked;
        Batteries_V2.Init();
        var pragma = check == IntegrityCheck.Quick ? "quick_check" : "integrity_check";
        using var connection = Connection.OpenForeign(file);
        try
        {
            return Judge(database, pragma, [.. connection.Rows($"PRAGMA {pragma}({MostRows})").Select(r => r ?? "")]);
        }
        catch (SqliteRefusal e)
        {
            var rest = check == IntegrityCheck.Full ? QuickCheck(connection) : "";
            return new("unchecked",
                $"SQLite {Version} could not check {database}: {e.Said}. {CauseOf(e.Said)} {rest}The file was "
                    + "written whole: every page is as it was committed, "
                + $"verified by checksum. Check it with the application's own SQLite: PRAGMA {pragma}.");
        }
    }

    static IntegrityFinding Judge(string database, string pragma, List<string> rows)
    {
        if (rows is ["ok"]) return new("ok", null);
        var unknown = rows.Where(r => IsUnknown(r)).ToList();
        if (unknown.Count == rows.Count)
            return new("unchecked",
                $"SQLite {Version} could not check all of {database}: {unknown[0]}. {CauseOf(unknown[0])} Every page "
                    + "is as it was committed, verified by checksum.");
        return new("damaged",
            $"SQLite's {pragma} of {database} says: "
                + $"{string.Join("; ", rows.Take(5))}{(rows.Count > 5 ? $"; and {rows.Count - 5} more" : "")}. Every "
                + "page is as it was committed, "
            + "verified by checksum: so it was so in the store, too. Restore an earlier state (--lsn, --timestamp), "
                + "or repair the file with REINDEX or sqlite3's .recover.");
    }

    static string QuickCheck(Connection connection)
    {
        try
        {
            return connection.Ask("PRAGMA quick_check") == "ok"
                ? "Its quick_check, which leaves indexes out, says ok. "
                : "";
        }
        catch (SqliteRefusal)
        {
            return "";
        }
    }

    static bool IsUnknown(string said) => said.Contains("no such collation", StringComparison.Ordinal)
        || said.Contains("no such function", StringComparison.Ordinal)
        || said.Contains("unknown function", StringComparison.Ordinal)
        || said.Contains("no such module", StringComparison.Ordinal);

    /// <summary>The cause in words that help: what this program's SQLite lacks, and the application's has.</summary>
    static string CauseOf(string said)
    {
        var name = said[(said.LastIndexOf(": ", StringComparison.Ordinal) + 1)..].Trim();
        if (said.Contains("no such collation", StringComparison.Ordinal))
            return $"The application defines the collation {name}, which is not known here.";
        if (said.Contains("no such function", StringComparison.Ordinal)
            || said.Contains("unknown function", StringComparison.Ordinal))
            return $"The application defines the function {name}, which is not known here.";
        if (said.Contains("no such module", StringComparison.Ordinal))
            return $"The application has the extension {name} for a virtual table, which is not known here.";
        if (said.Contains("malformed database schema", StringComparison.Ordinal))
            return "The schema uses something that this SQLite does not know.";
        if (said.Contains("unsafe use of", StringComparison.Ordinal))
            return "The schema calls a function that a schema from elsewhere is not trusted with.";
        return "";
    }

    static string Version => raw.sqlite3_libversion().utf8_to_string();
}
