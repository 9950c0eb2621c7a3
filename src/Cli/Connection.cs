using RecoveryVfs.RecoveryLog;
using RecoveryVfs.Settings;
using SQLitePCL;

namespace RecoveryVfs.Cli;

/// <summary>A connection to SQLite, for the few statements that this program runs.</summary>
internal sealed class Connection : IDisposable
{
    const int PatienceMs = 30_000;

    readonly sqlite3 db;

    /// <summary>Opens a file, named by its path or as a URI.</summary>
    public Connection(string file, int flags = raw.SQLITE_OPEN_READWRITE | raw.SQLITE_OPEN_CREATE | raw.SQLITE_OPEN_URI)
    {
        if (raw.sqlite3_open_v2(file, out db, flags, null) != raw.SQLITE_OK)
            using (db)
                throw Failed(file);
        raw.sqlite3_busy_timeout(db, PatienceMs);
    }

    /// <summary>
    /// Opens a plain file that somebody else made: what its schema calls is not trusted, and cells are checked before
    /// they are believed.
    /// </summary>
    public static Connection OpenForeign(string path)
    {
        var connection = new Connection("file:" + Escaped(path));
        foreach (var pragma in (string[])["PRAGMA trusted_schema=off", "PRAGMA cell_size_check=on"])
            connection.Ask(pragma);
        return connection;
    }

    /// <summary>
    /// Opens a database of a store that is restored aside, to ask it only: nothing is written, and what its schema
    /// calls is not trusted.
    /// </summary>
    public static Connection OpenReadOnly(string stub, string store)
    {
        // A URI says where it is, whatever others may say in theirs.
        using var ours = StoreSettings.TakeOwnUris();
        var connection =
            new Connection($"file:{Escaped(stub)}?vfs=recovery&mode=ro&remote=none&store={Uri.EscapeDataString(store)}",
            raw.SQLITE_OPEN_READONLY | raw.SQLITE_OPEN_URI);
        foreach (var pragma in (string[])["PRAGMA trusted_schema=off", "PRAGMA cell_size_check=on",
            "PRAGMA query_only=on"])
            connection.Ask(pragma);
        return connection;
    }

    /// <summary>Opens a plain file that was copied aside, to ask it only.</summary>
    public static Connection OpenPlainReadOnly(string path)
    {
        var connection = new Connection($"file:{Escaped(path)}?mode=ro&immutable=1",
            raw.SQLITE_OPEN_READONLY | raw.SQLITE_OPEN_URI);
        foreach (var pragma in (string[])["PRAGMA trusted_schema=off", "PRAGMA cell_size_check=on",
            "PRAGMA query_only=on"])
            connection.Ask(pragma);
        return connection;
    }

    /// <summary>A path as a URI has it.</summary>
    public static string Escaped(string path) => path.Replace("%", "%25").Replace("?", "%3f").Replace("#", "%23");

    /// <summary>A statement to be run again and again.</summary>
    public sqlite3_stmt Prepare(string sql) =>
        raw.sqlite3_prepare_v2(db, sql, out var statement) == raw.SQLITE_OK ? statement : throw Refused();

    /// <summary>Runs a prepared statement that gives no rows, and makes it ready for the next time.</summary>
    public void Finish(sqlite3_stmt statement)
    {
        if (raw.sqlite3_step(statement) != raw.SQLITE_DONE) throw Refused();
        raw.sqlite3_reset(statement);
    }

    /// <summary>Runs one statement; more than one is refused.</summary>
    public void RunOne(string sql)
    {
        if (raw.sqlite3_prepare_v2(db, sql, out var statement, out string rest) != raw.SQLITE_OK) throw Refused();
        using (statement)
        {
            if (!rest.AsSpan().Trim(" \t\r\n;").IsEmpty)
                throw new RecoveryException(RecoveryError.Corrupt, "A statement of the schema is more than one.");
            Finish(statement);
        }
    }

    /// <summary>Until it is disposed of, no statement may ask for rows, or call what makes virtual tables.</summary>
    public IDisposable RefuseSelects()
    {
        raw.sqlite3_set_authorizer(db, (strdelegate_authorizer)WithoutSelects, null);
        return new Authorized(db);

        static int WithoutSelects(object data, int action, string one, string two, string database, string trigger)
            => action is raw.SQLITE_SELECT or raw.SQLITE_CREATE_VTABLE ? raw.SQLITE_DENY : raw.SQLITE_OK;
    }

    sealed class Authorized(sqlite3 db) : IDisposable
    {
        public void Dispose() => raw.sqlite3_set_authorizer(db, (strdelegate_authorizer?)null, null);
    }

    /// <summary>One statement that only reads, to be stepped through. Throws Invalid for anything else.</summary>
    public sqlite3_stmt Query(string sql)
    {
        if (raw.sqlite3_prepare_v2(db, sql, out var statement, out string rest) != raw.SQLITE_OK)
            throw Wrong(raw.sqlite3_errmsg(db).utf8_to_string());
        if (statement is null || statement.IsInvalid) throw Wrong("it says nothing");
        if (raw.sqlite3_stmt_readonly(statement) != 0 && rest.AsSpan().Trim(" \t\r\n;").IsEmpty) return statement;
        statement.Dispose();
        throw Wrong(rest.AsSpan().Trim(" \t\r\n;").IsEmpty ? "it would write" : "it is more than one statement");
    }

    static RecoveryException Wrong(string why)
        => new(RecoveryError.Invalid, $"The query was refused: {why}. Give one SELECT.");

    /// <summary>To the next row; false at the end.</summary>
    public static bool Step(sqlite3_stmt statement)
    {
        var code = raw.sqlite3_step(statement);
        if (code is raw.SQLITE_ROW or raw.SQLITE_DONE) return code == raw.SQLITE_ROW;
        throw new RecoveryException(RecoveryError.Invalid,
            ($"The query failed: {raw.sqlite3_errmsg(raw.sqlite3_db_handle(statement)).utf8_to_string()}. "
                + Recovery.LastError).TrimEnd());
    }

    /// <summary>Runs a statement to its end; returns the first column of its first row.</summary>
    public string? Ask(string sql)
    {
        string? answer = null;
        var first = true;
        foreach (var row in Rows(sql))
        {
            if (first) answer = row;
            first = false;
        }
        return answer;
    }

    /// <summary>The first column of each row.</summary>
    public IEnumerable<string?> Rows(string sql)
    {
        if (raw.sqlite3_prepare_v2(db, sql, out var statement) != raw.SQLITE_OK) throw Refused();
        using (statement)
        {
            int code;
            while ((code = raw.sqlite3_step(statement)) == raw.SQLITE_ROW)
                yield return raw.sqlite3_column_text(statement, 0).utf8_to_string();
            if (code != raw.SQLITE_DONE) throw Refused();
        }
    }

    SqliteRefusal Refused() => new(raw.sqlite3_errmsg(db).utf8_to_string());

    RecoveryException Failed(string what)
        => new(RecoveryError.IoRead,
            $"SQLite: {what}: {raw.sqlite3_errmsg(db).utf8_to_string()}. {Recovery.LastError}".TrimEnd());

    public void Dispose() => db.Dispose();
}

/// <summary>SQLite's own message why it did not run a statement.</summary>
internal sealed class SqliteRefusal(string said) : Exception($"SQLite: {said}. {Recovery.LastError}".TrimEnd())
{
    public string Said { get; } = said;
}
