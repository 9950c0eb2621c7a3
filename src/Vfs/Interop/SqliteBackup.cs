namespace RecoveryVfs.Interop;

/// <summary>SQLite's backup, which copies a whole database from one VFS to another.</summary>
internal sealed unsafe class SqliteBackup
{
    const int Uri = 0x40, Done = 101;

    /// <summary>Some megabytes: often enough for whoever watches, and the cost of a step does not show.</summary>
    const int PagesPerStep = 1024;

    readonly SqliteStatements statements;
    readonly delegate* unmanaged[Cdecl]<void*, byte*, void*, byte*, void*> backupInit;
    readonly delegate* unmanaged[Cdecl]<void*, int, int> backupStep;
    readonly delegate* unmanaged[Cdecl]<void*, int> backupFinish;
    readonly delegate* unmanaged[Cdecl]<void*, int> backupRemaining;
    readonly delegate* unmanaged[Cdecl]<void*, int> backupPageCount;
    readonly delegate* unmanaged[Cdecl]<void*, byte*, void*, void*, byte**, int> exec;

    public SqliteBackup(Func<string, int, nint> find, SqliteStatements statements)
    {
        this.statements = statements;
        backupInit = (delegate* unmanaged[Cdecl]<void*, byte*, void*, byte*, void*>)find("backup_init", 156);
        backupStep = (delegate* unmanaged[Cdecl]<void*, int, int>)find("backup_step", 159);
        backupFinish = (delegate* unmanaged[Cdecl]<void*, int>)find("backup_finish", 155);
        backupRemaining = (delegate* unmanaged[Cdecl]<void*, int>)find("backup_remaining", 158);
        backupPageCount = (delegate* unmanaged[Cdecl]<void*, int>)find("backup_pagecount", 157);
        exec = (delegate* unmanaged[Cdecl]<void*, byte*, void*, void*, byte**, int>)find("exec", 55);
    }

    /// <summary>
    /// Copies a whole database with SQLite's backup from one VFS to another; returns null, or SQLite's message. With
    /// <paramref name="progressed"/> it goes in steps, all of one state of the source. It gets the pages done so far,
    /// and all there are; it may throw to end the copy.
    /// </summary>
    public string? Copy(string sourceName, string sourceVfs, string targetName, string targetVfs,
        Action<int, int>? progressed = null)
    {
        void* source = null, target = null;
        try
        {
            if (statements.Open(sourceName, &source, Sqlite.OpenReadWrite | Uri, sourceVfs) != Sqlite.Ok)
                return statements.MessageOf(source);
            const int create = Sqlite.OpenReadWrite | Sqlite.OpenCreate | Uri;
            if (statements.Open(targetName, &target, create, targetVfs) != Sqlite.Ok)
                return statements.MessageOf(target);
            return Copy(source, target, progressed);
        }
        finally
        {
            statements.Close(target);
            statements.Close(source);
        }
    }

    string? Copy(void* source, void* target, Action<int, int>? progressed)
    {
        fixed (byte* main = "main\0"u8)
        {
            var backup = backupInit(target, main, source, main);
            if (backup == null) return statements.MessageOf(target);
            int step = Sqlite.Error, finished;
            try
            {
                step = progressed is null ? backupStep(backup, -1) : CopyInSteps(backup, source, progressed);
            }
            finally
            {
                finished = backupFinish(backup);
            }
            if (finished != Sqlite.Ok) return statements.MessageOf(target);
            return step == Done ? null : statements.MessageOf(source);
        }
    }

    /// <summary>
    /// Replaces a database by a copy of another one, in one transaction, and waits for other writers.
    /// <paramref name="locked"/> is called when nobody else can write any more, before the first page. Returns what
    /// SQLite says of a failure; then nothing is changed.
    /// </summary>
    public string? Replace(string plainUri, string targetUri, int patienceMs, Action locked)
    {
        void* source = null, target = null;
        try
        {
            if (statements.Open(plainUri, &source, Sqlite.OpenReadWrite | Uri, VfsEntryPoints.SystemName) != Sqlite.Ok)
                return statements.MessageOf(source);
            if (statements.Open(targetUri, &target, Sqlite.OpenReadWrite | Uri, "recovery") != Sqlite.Ok)
                return statements.MessageOf(target);
            statements.SetPatience(target, patienceMs);
            fixed (byte* main = "main\0"u8)
            {
                var backup = backupInit(target, main, source, main);
                if (backup == null) return statements.MessageOf(target);
                var step = backupStep(backup, 0);
                if (step == Sqlite.Ok) locked();
                if (step == Sqlite.Ok) step = backupStep(backup, -1);
                var finished = backupFinish(backup);
                if (step == Done && finished == Sqlite.Ok) return null;
                return (step & 0xff) == Sqlite.Busy ? "database is locked" : statements.MessageOf(target);
            }
        }
        finally
        {
            statements.Close(target);
            statements.Close(source);
        }
    }

    /// <summary>
    /// A transaction on the source keeps its state: else a writer, between two steps, would have the copy begin again.
    /// </summary>
    int CopyInSteps(void* backup, void* source, Action<int, int> progressed)
    {
        fixed (byte* sql = "BEGIN; SELECT count(*) FROM sqlite_master\0"u8)
            if (exec(source, sql, null, null, null) is var begun && begun != Sqlite.Ok) return begun;
        while (true)
        {
            var step = backupStep(backup, PagesPerStep);
            progressed(backupPageCount(backup) - backupRemaining(backup), backupPageCount(backup));
            if (step != Sqlite.Ok) return step;
        }
    }
}
