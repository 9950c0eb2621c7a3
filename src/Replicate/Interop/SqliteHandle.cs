using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;
using RecoveryVfs.Interop;
using RecoveryVfs.RecoveryLog;

namespace RecoveryVfs.Replicate.Interop;

/// <summary>
/// One connection to a plain database, through SQLite's own VFS (<see cref="PlainVfs"/>). It writes nothing: it holds
/// read transactions, takes the write lock for a moment, and checkpoints. Used by one thread at a time.
/// </summary>
/// <remarks>
/// The main file is read through the file that SQLite itself has open. Another descriptor of ours would do harm:
/// closing it ends, by POSIX's rules, every lock that this process has on the file.
/// </remarks>
internal sealed unsafe class SqliteHandle : IDisposable
{
    const int OpenReadWrite = 2, OpenFullMutex = 0x10000, SyncNormal = 2;

    static SqliteLibrary Library => SqliteLibrary.Host;

    static readonly TimeSpan Spinning = TimeSpan.FromMilliseconds(5);

    readonly TimeSpan patience;
    void* handle;
    void* dataVersion;

    SqliteHandle(string path, TimeSpan patience) => (Path, this.patience) = (path, patience);

    public string Path { get; }

    /// <summary>Opens a database that exists.</summary>
    public static SqliteHandle Open(string path, TimeSpan busyTimeout)
    {
        var opened = new SqliteHandle(path, busyTimeout);
        fixed (byte* name = Utf8(path), vfs = Utf8(PlainVfs.Name))
        {
            void* database;
            var code = Library.Open(name, &database, OpenReadWrite | OpenFullMutex, vfs);
            opened.handle = database;
            if (code == SqliteResult.Ok)
            {
                // What is left in a WAL is there for the next replicator, too, which then knows that it missed nothing.
                _ = Library.Configure(database, SqliteResult.NoCheckpointOnClose, 1, null);
                _ = Library.BusyTimeout(database, (int)busyTimeout.TotalMilliseconds);
                // Memory that SQLite sets aside for statements: there is one, and there may be hundreds of databases.
                _ = Library.ConfigureLookaside(database, SqliteResult.Lookaside, null, 0, 0);
                return opened;
            }
            var failure = opened.Failed(code, "It cannot be opened");
            opened.Dispose();
            throw failure;
        }
    }

    /// <summary>Whether the file can only be read by this process.</summary>
    public bool IsReadOnly
    {
        get
        {
            fixed (byte* main = "main"u8) return Library.IsReadOnly(handle, main) != 0;
        }
    }

    /// <summary>Whether the path leads to another file by now, or to none.</summary>
    public bool HasMoved
    {
        get
        {
            var moved = 0;
            fixed (byte* main = "main"u8) _ = Library.FileControl(handle, main, SqliteResult.HasMoved, &moved);
            return moved != 0;
        }
    }

    /// <summary>
    /// Begins a read transaction: SHARED in rollback modes, after SQLite has dealt with a hot journal; a read mark in
    /// WAL mode.
    /// </summary>
    public void BeginRead()
    {
        Run("BEGIN"u8);
        try
        {
            if (dataVersion is null) Prepare();
            var code = Library.Step(dataVersion);
            _ = Library.Reset(dataVersion);
            if (code != SqliteResult.Row) throw Failed(code, "It cannot be read");
        }
        catch
        {
            End();
            throw;
        }
    }

    void Prepare()
    {
        void* statement;
        // It needs no schema, so that nothing in a schema can keep us from reading.
        fixed (byte* sql = "PRAGMA data_version"u8)
            if (Library.Prepare(handle, sql, -1, &statement, null) is var code and not SqliteResult.Ok)
                throw Failed(code, "It cannot be read");
        dataVersion = statement;
    }

    /// <summary>
    /// Takes the write lock; false when another writer has it for longer than <paramref name="wait"/> (null: the busy
    /// timeout). It asks again and again
    /// at first: SQLite's own way of waiting, by longer and longer sleeps, would never meet the gap between two
    /// transactions of a busy writer, and its WAL would grow meanwhile.
    /// </summary>
    public bool TryBeginWrite(TimeSpan? wait = null)
    {
        _ = Library.BusyTimeout(handle, 0);
        try
        {
            for (var started = Stopwatch.GetTimestamp(); ;)
            {
                var code = Execute("BEGIN IMMEDIATE"u8);
                if (code == SqliteResult.Ok) return true;
                if (SqliteResult.Primary(code) is not (SqliteResult.Busy or SqliteResult.Locked))
                    throw Failed(code, "Its write lock cannot be taken");
                var waited = Stopwatch.GetElapsedTime(started);
                if (waited >= (wait ?? patience)) return false;
                if (waited < Spinning) Thread.Yield();
                else Thread.Sleep(1); // There is nothing that would tell when another process lets go of it.
            }
        }
        finally
        {
            _ = Library.BusyTimeout(handle, (int)patience.TotalMilliseconds);
        }
    }

    /// <summary>Ends whatever transaction there is.</summary>
    public void End() => Execute("ROLLBACK"u8);

    /// <summary>
    /// The WAL-index' header as this read transaction sees it; null when SQLite has none: no WAL mode, or a WAL that
    /// nothing was ever written to.
    /// </summary>
    public WalIndex? ReadWalIndex()
    {
        void* snapshot;
        fixed (byte* main = "main"u8)
            if (Library.SnapshotGet(handle, main, &snapshot) is var code and not SqliteResult.Ok)
                return SqliteResult.Primary(code) == SqliteResult.Error
                    ? null
                    : throw Failed(code, "Its WAL-index cannot be read");
        try
        {
            return WalIndex.Read(new ReadOnlySpan<byte>(snapshot, WalIndex.SizeBytes));
        }
        finally
        {
            Library.SnapshotFree(snapshot);
        }
    }

    /// <summary>
    /// SQLite's own file: a sqlite3_file, which begins with its methods, { int version; xClose; xRead(file, buffer,
    /// amount, offset); ... }.
    /// </summary>
    public void* File
    {
        get
        {
            void* file;
            fixed (byte* main = "main"u8)
                return Library.FileControl(handle, main, SqliteResult.FilePointer, &file) is var code
                    and not SqliteResult.Ok
                    ? throw Failed(code, "Its file cannot be reached")
                    : file;
        }
    }

    /// <summary>
    /// Reads the main file, as it is; the rest is zeros when it ends before. Returns whether it had all of it.
    /// </summary>
    public bool ReadMain(long offset, Span<byte> destination)
    {
        var file = File;
        var read = (delegate* unmanaged[Cdecl]<void*, void*, int, long, int>)(*(nint**)file)[2];
        fixed (byte* into = destination)
        {
            var result = read(file, into, destination.Length, offset);
            if (result is SqliteResult.Ok) return true;
            if (result is SqliteResult.ShortRead) return false;
            throw new RecoveryException(RecoveryError.IoRead,
                $"{Path} cannot be read at {offset}: SQLite's code {result}. Look at the disk; what was committed "
                    + "before is in the mirror.")
            { Path = Path };
        }
    }

    /// <summary>The main file's size.</summary>
    public long MainSize
    {
        get
        {
            long size = 0;
            var file = File;
            // xFileSize is the sixth method, behind xClose, xRead, xWrite, xTruncate and xSync.
            var code = ((delegate* unmanaged[Cdecl]<void*, long*, int>)(*(nint**)file)[6])(file, &size);
            return code == SqliteResult.Ok
                ? size
                : throw new RecoveryException(RecoveryError.IoRead,
                $"{Path} does not tell its size: SQLite's code {code}.", "Look at the disk.")
                { Path = Path };
        }
    }

    /// <summary>
    /// Makes what was written to the main file durable, so that whoever does it next with writers held off is done
    /// sooner. A failure is SQLite's own to report then.
    /// </summary>
    public void SyncMain()
    {
        var file = File;
        // xSync is the fifth method, behind xClose, xRead, xWrite and xTruncate.
        _ = ((delegate* unmanaged[Cdecl]<void*, int, int>)(*(nint**)file)[5])(file, SyncNormal);
    }

    /// <summary>
    /// Brings what it can from the WAL into the main file; returns the frames of the WAL and how many of them are in
    /// the main file. Null when somebody is in the way.
    /// </summary>
    public (int Frames, int Done)? Checkpoint(int mode)
    {
        int frames, done;
        fixed (byte* main = "main"u8)
        {
            var code = Library.Checkpoint(handle, main, mode, &frames, &done);
            if (SqliteResult.Primary(code) is SqliteResult.Busy or SqliteResult.Locked) return null;
            if (code != SqliteResult.Ok) throw Failed(code, "Its WAL cannot be brought into the main file");
        }
        return (frames, done);
    }

    int Execute(ReadOnlySpan<byte> sql)
    {
        fixed (byte* text = sql) return Library.Execute(handle, text, 0, 0, null);
    }

    void Run(ReadOnlySpan<byte> sql)
    {
        if (Execute(sql) is var code and not SqliteResult.Ok)
            throw Failed(code, $"\"{Encoding.UTF8.GetString(sql)}\" failed");
    }

    RecoveryException Failed(int code, string what)
    {
        var extended = handle is null ? code : Library.ErrorCode(handle);
        var said = handle is null ? "out of memory" : Marshal.PtrToStringUTF8((nint)Library.Message(handle));
        var (error, advice) = SqliteResult.Primary(code) switch
        {
            SqliteResult.Busy or SqliteResult.Locked
                => (RecoveryError.Busy, "Another process holds it; it is tried again."),
            SqliteResult.NotADatabase
                => (RecoveryError.Invalid,
                    "It is damaged, encrypted, or no SQLite database: a replicator needs one that plain SQLite reads."),
            SqliteResult.Corrupt
                => (RecoveryError.Corrupt, "It is damaged. What was committed before stays restorable."),
            SqliteResult.CannotOpen
                => (RecoveryError.CannotOpen,
                    "Look whether it is there, and whether this user may read and write it and its directory."),
            SqliteResult.ReadOnly
                => (RecoveryError.CannotOpen,
                    "This user may not write it: in WAL mode SQLite needs that of readers, too. Run as the "
                        + "application's user."),
            _ => (RecoveryError.IoRead, "Look at the disk and at the file's rights."),
        };
        return new(error, $"{Path}: {what}: {said} (SQLite's code {extended}).", advice) { Path = Path };
    }

    static byte[] Utf8(string text) => Encoding.UTF8.GetBytes(text + "\0");

    public void Dispose()
    {
        if (handle is null) return;
        if (dataVersion is not null) _ = Library.Finish(dataVersion);
        dataVersion = null;
        End();
        _ = Library.Close(handle);
        handle = null;
    }
}
