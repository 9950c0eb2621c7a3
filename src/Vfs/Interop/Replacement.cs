using System.Diagnostics;
using System.Text;
using RecoveryVfs.Handles;
using RecoveryVfs.Opening;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.Interop;

/// <summary>
/// A database of a store of this process that is to be replaced: the connection is one on it, and has no transaction.
/// </summary>
internal readonly record struct ToReplace(HostConnection Connection, string Path, string From);

/// <summary>
/// Replaces what databases of a store of this process hold by what files hold, as a commit like others: readers go on,
/// followers follow, and what was there before stays in the log. Those that have no WAL get one commit together. A
/// database in WAL mode gets one of its own afterwards, as its part in any transaction of several is.
/// </summary>
internal sealed class Replacement : IDisposable
{
    static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(10);

    readonly List<Member> members = [];
    readonly string store;
    readonly TimeSpan patience;

    Replacement(string store, TimeSpan patience) => (this.store, this.patience) = (store, patience);

    /// <summary>
    /// Does it. SQLite settles first what a crash may have left of a journal or WAL. Throws <see cref="SqlFailure"/>
    /// when others write for too long, and when a file has only some pages, and the others cannot be counted on to be
    /// as it says.
    /// </summary>
    public static Replaced[] Run(IReadOnlyList<ToReplace> databases, string store, TimeSpan patience)
    {
        using var replacement = new Replacement(store, patience);
        foreach (var database in databases) replacement.Open(database);
        return replacement.Run();
    }

    void Open(ToReplace database)
    {
        database.Connection.Run("SELECT count(*) FROM sqlite_schema", new SqlAnswers());
        var open = OpenDatabases.Attach(Encoding.UTF8.GetBytes(database.Path))
            ?? throw new RecoveryException(RecoveryError.NotFound, $"{database.Path} is not open in this process.");
        var file = new MainFile(open, open.Store.Options, readOnly: false, new OpenParameters());
        try
        {
            members.Add(new Member(file, ReplacementFile.Open(database.From), database));
        }
        catch
        {
            file.Close();
            throw;
        }
    }

    Replaced[] Run()
    {
        // Locks of other connections and processes cannot be waited for with a time limit, only tried.
        for (var started = Stopwatch.GetTimestamp(); ; Thread.Sleep(Pause))
        {
            var code = Together();
            if (code == Sqlite.Ok) break;
            var names = string.Join(", ", members.Select(m => m.Of.Path));
            if (code == Sqlite.BusySnapshot && members.Exists(m => m.With is not WholeReplacement))
                throw new SqlFailure(code, $"{names}: written to meanwhile, or in WAL mode.");
            if ((code & 0xff) != Sqlite.Busy) throw new SqlFailure(code, Failures.Last);
            if (Stopwatch.GetElapsedTime(started) > patience)
                throw new SqlFailure(code,
                    $"Somebody was writing to {names} for {patience.TotalSeconds:0} s; nothing was changed.");
        }
        foreach (var member in members.Where(m => m.Done is null)) Alone(member);
        return [.. members.Select(m => m.Done!.Value)];
    }

    /// <summary>Those without a WAL.</summary>
    int Together()
    {
        var inWal = members.Where(m => m.File.Open.IsWalRegime).ToList();
        if (inWal.Exists(m => m.With is not WholeReplacement)) return Sqlite.BusySnapshot;
        var plain = members.Except(inWal).ToList();
        if (plain.Count == 0) return Sqlite.Ok;
        var code = MainFile.Replace([.. plain.Select(m => (m.File, m.With))], out var done);
        for (var i = 0; code == Sqlite.Ok && i < plain.Count; i++) plain[i].Done = done[i];
        return code;
    }

    void Alone(Member member)
    {
        try
        {
            member.Done = ThroughSqlite(member.File, member.Of.Path, store, member.Of.From, patience);
        }
        catch (RecoveryException e) when (members.Exists(m => m.Done is not null))
        {
            throw new RecoveryException(e.Error,
                $"{e.Message} Taken back already: {string.Join(", ", members.Where(m => m.Done is not null)
                    .Select(m => m.Of.Path))}.",
                "Do it again, to the same bookmark: what is back stays as it is.", e)
            { Path = e.Path };
        }
    }

    public void Dispose()
    {
        foreach (var member in members)
        {
            member.With.Dispose();
            member.File.Close();
        }
    }

    sealed class Member(MainFile file, ReplacementFile with, ToReplace of)
    {
        public MainFile File => file;
        public ReplacementFile With => with;
        public ToReplace Of => of;
        public Replaced? Done { get; set; }
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

    /// <summary>What was done, as a row for each.</summary>
    public static void Give(Replaced[] done, ISqlResults to)
    {
        static SqlValue Number(long value) => new(SqlKind.Integer, value, []);
        to.Columns(["undo", "lsn", "pages"]);
        foreach (var each in done) to.Row([Number((long)each.UndoLsn), Number((long)each.Lsn), Number(each.Pages)]);
        to.Done(hasRows: true, changes: 0);
    }

    /// <summary>Those rows, read.</summary>
    public static Replaced[] Of(SqlAnswers answers, int count) => answers.Rows.Count == count
        && answers.Rows.TrueForAll(r => r.Length == 3)
        ? [.. answers.Rows.Select(r => new Replaced((ulong)r[0].Number, (ulong)r[1].Number, r[2].Number))]
        : throw new RecoveryException(RecoveryError.Busy,
            "The process that has the store open did not say what it did: it may be of an older version.",
            "Use the same version of RecoveryVfs in both.");
}

/// <summary>The rows that statements gave, in memory: for whoever asks for few.</summary>
internal sealed class SqlAnswers : ISqlResults
{
    public List<SqlValue[]> Rows { get; } = [];

    public void Columns(string[] names) { }

    public void Row(SqlValue[] values) => Rows.Add(values);

    public void Done(bool hasRows, long changes) { }
}
