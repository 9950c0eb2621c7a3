using System.Diagnostics;
using System.Text;
using RecoveryVfs.Handles;
using RecoveryVfs.Opening;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.Interop;

/// <summary>
/// Replaces what a database of a store of this process holds by what a file holds, as a commit like others:
/// readers go on, followers follow, and what was there before stays in the log.
/// </summary>
internal static class Replacement
{
    static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(10);

    /// <summary>
    /// Does it. The connection is one on the database; it has no transaction, and SQLite has settled there what a
    /// crash may have left of a journal or WAL. Throws <see cref="SqlFailure"/> when others write for too long, and
    /// when the file has only some pages, and the others cannot be counted on to be as it says.
    /// </summary>
    public static Replaced Run(HostConnection connection, string path, string store, string from,
        TimeSpan patience)
    {
        connection.Run("SELECT count(*) FROM sqlite_schema", new SqlAnswers());
        var open = OpenDatabases.Attach(Encoding.UTF8.GetBytes(path))
            ?? throw new RecoveryException(RecoveryError.NotFound, $"{path} is not open in this process.");
        var file = new MainFile(open, open.Store.Options, readOnly: false, new OpenParameters());
        try
        {
            using var with = ReplacementFile.Open(from);
            // Locks of other connections and processes cannot be waited for with a time limit, only tried.
            for (var started = Stopwatch.GetTimestamp(); ; Thread.Sleep(Pause))
            {
                var isWhole = with is WholeReplacement;
                if (open.IsWalRegime && isWhole) return ThroughSqlite(file, path, store, from, patience);
                var done = default(Replaced);
                var code = open.IsWalRegime ? Sqlite.BusySnapshot : file.Replace(with, out done);
                if (code == Sqlite.Ok) return done;
                if (code == Sqlite.BusySnapshot && !isWhole)
                    throw new SqlFailure(code, $"{path} was written to meanwhile, or is in WAL mode.");
                if ((code & 0xff) != Sqlite.Busy) throw new SqlFailure(code, Failures.Last);
                if (Stopwatch.GetElapsedTime(started) > patience)
                    throw new SqlFailure(code,
                        $"Somebody was writing to {path} for {patience.TotalSeconds:0} s; nothing was changed.");
            }
        }
        finally
        {
            file.Close();
        }
    }

    /// <summary>
    /// With a WAL, SQLite's own backup writes every page into it: it alone knows whose pages are where. Before the
    /// first page it has the write lock, so the last record then is the last of the state before.
    /// </summary>
    static Replaced ThroughSqlite(MainFile file, string path, string store, string plainFile, TimeSpan patience)
    {
        ulong before = 0;
        var target = $"{DatabasePath.UriOf(path)}?store={Uri.EscapeDataString(store)}";
        if (VfsEntryPoints.Api.Backup.Replace(DatabasePath.UriOf(plainFile), target, (int)patience.TotalMilliseconds,
            () => before = file.LastLsn) is { } message)
            throw new RecoveryException(
                message.Contains("locked", StringComparison.Ordinal) ? RecoveryError.Busy : RecoveryError.IoWrite,
                $"{path} was not replaced: {message}. {Failures.Last}".TrimEnd()
                    + (message.Contains("readonly", StringComparison.Ordinal)
                        ? " In WAL mode the page size cannot change: set journal_mode=DELETE first."
                        : ""))
            { Path = path };
        return new Replaced(before, file.LastLsn, -1);
    }

    /// <summary>What was done, as a row.</summary>
    public static void Give(Replaced done, ISqlResults to)
    {
        static SqlValue Number(long value) => new(SqlKind.Integer, value, []);
        to.Columns(["undo", "lsn", "pages"]);
        to.Row([Number((long)done.UndoLsn), Number((long)done.Lsn), Number(done.Pages)]);
        to.Done(hasRows: true, changes: 0);
    }

    /// <summary>That row, read.</summary>
    public static Replaced Of(SqlAnswers answers) => answers.Rows is [[var undo, var lsn, var pages]]
        ? new Replaced((ulong)undo.Number, (ulong)lsn.Number, pages.Number)
        : throw new RecoveryException(RecoveryError.Busy,
            "The process that has the store open did not say what it did: it may be of an older version.",
            "Use the same version of RecoveryVfs in both.");
}

/// <summary>The rows that statements gave, in memory: for who asks for few.</summary>
internal sealed class SqlAnswers : ISqlResults
{
    public List<SqlValue[]> Rows { get; } = [];

    public void Columns(string[] names) { }

    public void Row(SqlValue[] values) => Rows.Add(values);

    public void Done(bool hasRows, long changes) { }
}
