using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.Interop;

/// <summary>
/// A connection of the SQLite that hosts us, for statements that come from outside of the program. Used by one thread.
/// </summary>
internal sealed unsafe class HostConnection : IDisposable
{
    const int Uri = 0x40, FullMutex = 0x10000, Row = 100, Done = 101, InstructionsBetweenLooks = 4000;

    readonly SqliteStatements api;
    readonly GCHandle self;
    void* db;

    HostConnection(SqliteStatements api, void* db)
    {
        this.api = api;
        this.db = db;
        self = GCHandle.Alloc(this);
        api.SetProgressHandler(db, InstructionsBetweenLooks, &OnProgress, GCHandle.ToIntPtr(self));
    }

    /// <summary>
    /// Whether the host's SQLite may be called by several threads: it is built without its mutexes, or configured so,
    /// here and there. Asked on a thread of the host's, which calls us from SQLite anyway.
    /// </summary>
    public static bool IsHostThreadSafe()
    {
        if (isThreadSafe is { } known) return known;
        void* db = null;
        try
        {
            var opened = VfsEntryPoints.Api.Statements.Open(":memory:", &db, Sqlite.OpenReadWrite | FullMutex,
                VfsEntryPoints.SystemName) == Sqlite.Ok;
            return (isThreadSafe = opened && VfsEntryPoints.Api.Statements.HasMutex(db)).Value;
        }
        finally
        {
            VfsEntryPoints.Api.Statements.Close(db);
        }
    }

    static bool? isThreadSafe;

    /// <summary>Asked now and then while a statement runs, on its thread: whether it must stop.</summary>
    public Func<bool>? MustStop { get; set; }

    public static HostConnection Open(string uri, bool write, int patienceMs)
    {
        var api = VfsEntryPoints.Api.Statements;
        void* db = null;
        var code = api.Open(uri, &db, (write ? Sqlite.OpenReadWrite : Sqlite.OpenReadOnly) | Uri | FullMutex,
            "recovery");
        if (code != Sqlite.Ok)
        {
            var failure = new SqlFailure(code, $"{api.MessageOf(db)}. {Failures.Last}".TrimEnd());
            api.Close(db);
            throw failure;
        }
        api.SetPatience(db, patienceMs);
        return new HostConnection(api, db);
    }

    public bool IsInTransaction => !api.IsAutocommit(db);

    /// <summary>
    /// Runs statements one after the other, up to the first that fails: that throws <see cref="SqlFailure"/>.
    /// </summary>
    public void Run(string sql, ISqlResults results)
    {
        var bytes = Encoding.UTF8.GetBytes(sql + '\0');
        fixed (byte* start = bytes)
        {
            var rest = start;
            while (*rest != 0)
            {
                void* statement = null;
                byte* tail;
                var before = Failures.LastOnThread;
                if (api.Prepare(db, rest, &statement, &tail) is var code && code != Sqlite.Ok) throw Failed(before);
                rest = tail;
                // Only a comment, or spaces.
                if (statement is null) continue;
                try
                {
                    RunOne(statement, results, before);
                }
                finally
                {
                    api.Finish(statement);
                }
            }
        }
    }

    void RunOne(void* statement, ISqlResults results, ReportedFailure? before)
    {
        var names = new string[api.ColumnCount(statement)];
        for (var i = 0; i < names.Length; i++) names[i] = api.ColumnName(statement, i);
        if (names.Length > 0) results.Columns(names);
        var changes = api.TotalChanges(db);
        int code;
        while ((code = api.Step(statement)) == Row) Give(statement, names.Length, results);
        if (code != Done) throw Failed(before);
        results.Done(names.Length > 0, api.TotalChanges(db) - changes);
    }

    void Give(void* statement, int count, ISqlResults results)
    {
        try
        {
            results.Row(ValuesOf(statement, count));
        }
        catch
        {
            // A statement that changes rows and gives some (RETURNING) would be committed by being left: it is undone.
            api.Interrupt(db);
            api.Step(statement);
            throw;
        }
    }

    SqlValue[] ValuesOf(void* statement, int count)
    {
        var values = new SqlValue[count];
        for (var i = 0; i < count; i++) values[i] = api.ValueOf(statement, i);
        return values;
    }

    /// <summary>SQLite's own words, and ours when it was one of our files that failed.</summary>
    SqlFailure Failed(ReportedFailure? before)
    {
        var (code, ours) = (api.ErrorCode(db), Failures.LastOnThread);
        return new SqlFailure(code, ours is null || ReferenceEquals(ours, before)
            ? api.MessageOf(db)
            : $"{api.MessageOf(db)}. {ours.Message}");
    }

    [UnmanagedCallersOnly(CallConvs = [typeof(CallConvCdecl)])]
    static int OnProgress(void* context)
    {
        try
        {
            return GCHandle.FromIntPtr((nint)context).Target is HostConnection { MustStop: { } mustStop } && mustStop()
                ? 1
                : 0;
        }
        catch (Exception)
        {
            return 1;
        }
    }

    /// <summary>Closes it; a transaction that is open is rolled back.</summary>
    public void Dispose()
    {
        if (db is null) return;
        api.SetProgressHandler(db, 0, null, 0);
        api.Close(db);
        db = null;
        self.Free();
    }
}
