namespace RecoveryVfs.Interop;

/// <summary>
/// A plain database that a connection of its own holds still, read in large pieces through the file that SQLite has
/// open: another descriptor would, when it is closed, take the locks of every connection in this process with it.
/// </summary>
internal sealed unsafe class PlainSource : IDisposable
{
    const int FilePointer = 7; // SQLITE_FCNTL_FILE_POINTER

    readonly SqliteStatements api;
    readonly NativeFile* file;
    void* connection;

    PlainSource(SqliteStatements api, void* connection, NativeFile* file, int pageSize, long pageCount)
    {
        this.api = api;
        this.connection = connection;
        this.file = file;
        (PageSize, PageCount) = (pageSize, pageCount);
    }

    public int PageSize { get; }

    public long PageCount { get; }

    /// <summary>
    /// Opens a file and begins a read transaction; a hot journal is rolled back before. Null when its pages are not all
    /// in the file, or are none: a WAL has some, or something is wrong, which a copy by SQLite will say.
    /// </summary>
    public static PlainSource? Open(SqliteApi sqlite, string uri)
    {
        var api = sqlite.Statements;
        const int uriFlag = 0x40;
        void* connection = null;
        PlainSource? opened = null;
        try
        {
            if (api.Open(uri, &connection, Sqlite.OpenReadWrite | uriFlag, VfsEntryPoints.PlainName) != Sqlite.Ok
                || !api.TryRun(connection, "BEGIN; SELECT count(*) FROM sqlite_master"))
                return null;
            var wal = new FileInfo(sqlite.Functions.FileOf(connection, "main") + "-wal");
            // A WAL that is empty now was empty when the transaction began, and stays out of the file until it ends.
            if (wal.Exists && wal.Length > 0) return null;
            var (pageSize, pageCount) = (api.Ask(connection, "PRAGMA page_size"),
                api.Ask(connection, "PRAGMA page_count"));
            NativeFile* file = null;
            if (pageCount is not > 0 || pageSize is not >= 512
                || api.Control(connection, FilePointer, &file) != Sqlite.Ok || file == null || file->Methods == null)
                return null;
            return opened = new PlainSource(api, connection, file, (int)pageSize, pageCount.Value);
        }
        finally
        {
            if (opened is null) api.Close(connection);
        }
    }

    /// <summary>Fills a buffer from the file; returns SQLite's code.</summary>
    public int Read(Span<byte> destination, long offset)
    {
        fixed (byte* bytes = destination) return file->Methods->Read(file, bytes, destination.Length, offset);
    }

    public void Dispose()
    {
        api.Close(connection);
        connection = null;
    }
}
