using RecoveryVfs.PageStore.Interop;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.Replicate.Interop;
using RecoveryVfs.Replicate.Mirrors;
using RecoveryVfs.Replicate.Sources;
using RecoveryVfs.Replicate.Wals;

namespace RecoveryVfs.Replicate;

/// <summary>
/// One database that is replicated: holds its read mark, and brings what was committed since into the mirror. One
/// thread at a time, see <see cref="Look"/>.
/// </summary>
/// <remarks>
/// In WAL mode it always holds a read transaction, and begins a new one (on another connection) before it ends the old
/// one. So SQLite itself sees to it that no frame goes before it was read: while a read mark is held, no writer begins
/// the WAL anew. The one exception is a read transaction that begins when the whole WAL is in the main file. Then the
/// WAL may begin anew, once: while such a transaction lasts, nobody can bring the new frames into the main file. What
/// was read before is all of the old life then; that no transaction of the new one is missing is counted by the
/// WAL-index' change number. Whatever does not add up ends in a comparison. In rollback modes it holds nothing between
/// looks.
/// </remarks>
internal sealed partial class ReplicatedDatabase(string path, Mirror mirror, ReplicatorOptions options,
    Action<ReplicationEvent> tell) : IDisposable
{
    readonly PageHashes hashes = new();
    // The one that reads, in WAL mode, and the one that will next.
    SqliteHandle? held, spare;
    ILogFile? walFile;
    WalReader? wal;
    bool isHolding;
    FileIdentity? walIdentity;
    // Where the mirror stands in the WAL; null when only a comparison can tell.
    Standing? standing;
    // What the main file was when it was last found equal, in rollback modes.
    FileMark? mark;
    string? gap = "the replicator begins";
    readonly WalGrowth growth = new(options.Time);
    readonly WriterBrake brake = new(path, options);

    public string Path => path;

    public Mirror Mirror => mirror;

    /// <summary>Transactions taken one by one, and whole comparisons.</summary>
    public long Transactions { get; private set; }

    public long Joins { get; private set; }

    /// <summary>How far a copy in pieces is, in words; null when none is made.</summary>
    public string? Progress { get; private set; }

    /// <summary>
    /// How long until its WAL is to be shortened, if it goes on as it did between the last two looks; null when it does
    /// not grow.
    /// </summary>
    public TimeSpan? UntilShortened => growth.Until(ShortenAt);

    /// <summary>
    /// Why it must be compared before it can be said to be in step; null when nothing speaks against it.
    /// </summary>
    public string? Gap => gap;

    /// <summary>Where the newest look ended, in the WAL or with the file.</summary>
    public (Standing? Standing, FileMark? File) Reached => (standing, mark);

    /// <summary>Where it stands; null when only a comparison would tell.</summary>
    public MirrorMark? Mark => gap is not null || mirror.Version is not { } version
        || FileIdentities.Of(path) is not { } file ? null
        : new(mirror.Name, path, file.Inode, file.BornNs, version.Lsn, version.Checksum, standing, mark);

    /// <summary>
    /// Goes on from where an earlier replicator stood when it was stopped, if the mirror and the file are still those.
    /// </summary>
    public void GoOnFrom(MirrorMark known)
    {
        if (known.Path != path || mirror.Version is not { } version || version.Lsn != known.Lsn
            || version.Checksum != known.Checksum)
            return;
        if (FileIdentities.Of(path) is not { } file || file.Inode != known.Inode || file.BornNs != known.BornNs) return;
        (standing, mark, gap) = (known.Standing, known.File, null);
    }

    /// <summary>
    /// Brings what was committed into the mirror. When it returns, the mirror has everything that was committed before
    /// it was called.
    /// </summary>
    public void Look()
    {
        try
        {
            if (checkpoints is { IsIndexWhole: false }) LetCheckpoint();
            Open();
            if (WhatWasReplaced() is { } what)
            {
                Close($"its {what} was replaced");
                Open();
            }
            spare!.BeginRead();
            var view = SourceView.Of(spare);
            if (view.Mode == SourceMode.Wal) TakeWal(view);
            else
            {
                Release();
                TakeFile(view);
            }
        }
        catch (Exception e)
        {
            // A look that failed on the way may have left anything but a wrong mirror.
            spare?.End();
            LetCheckpoint();
            if (e is RecoveryException { Error: RecoveryError.Busy }) throw;
            Close(gap);
            throw;
        }
        finally
        {
            wal?.Release();
        }
    }

    void Open()
    {
        if (held is not null) return;
        RequireFile();
        try
        {
            held = SqliteHandle.Open(path, options.LockPatience);
            spare = SqliteHandle.Open(path, options.LockPatience);
            hashes.Cut(0);
        }
        catch
        {
            Close(gap);
            throw;
        }
    }

    /// <summary>
    /// SQLite goes on with files that have lost their names, and would never see what is done by those names.
    /// </summary>
    string? WhatWasReplaced() =>
        spare!.HasMoved ? "file" : isHolding && walIdentity != FileIdentities.Of(path + "-wal") ? "WAL" : null;

    void RequireFile()
    {
        if (FileNode.At(path) is not { } node)
            throw new RecoveryException(RecoveryError.NotFound,
                $"There is no database at {path}. It is replicated from when it is there.")
            { Path = path };
        if (!node.IsRegular)
            throw new RecoveryException(RecoveryError.Invalid,
                $"{path} is {node.Kind}, not a database. Name the database's file.")
            { Path = path };
        MirrorOpening.RequireFilesBeside(path);
    }

    /// <summary>Ends the read transaction that is held; what was read of a WAL may go from here on.</summary>
    void Release()
    {
        LetCheckpoint();
        if (isHolding) held!.End();
        isHolding = false;
        standing = null;
        walFile?.Dispose();
        (walFile, wal) = (null, null);
    }

    /// <summary>The transaction of <see cref="spare"/> becomes the one that is held.</summary>
    void Hold()
    {
        if (isHolding) held!.End();
        (held, spare) = (spare, held);
        if (!isHolding) walIdentity = FileIdentities.Of(path + "-wal");
        isHolding = true;
    }

    /// <summary>Lets go of everything; the next look compares if <paramref name="why"/> says why.</summary>
    void Close(string? why)
    {
        Release();
        gap = why ?? gap ?? "it was let go of";
        mark = null;
        brake.Dispose();
        held?.Dispose();
        spare?.Dispose();
        (held, spare) = (null, null);
    }

    public void Dispose() => Close(null);
}
