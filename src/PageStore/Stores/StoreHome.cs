using System.Globalization;
using System.Text;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Log;

namespace RecoveryVfs.PageStore.Stores;

/// <summary>
/// A store's directory: where each thing in it is, and the marks, small files that say what the directory is. A mark is
/// durable when the call that made or removed it returns: it is written aside, synced and renamed, and then the
/// directory is synced.
/// </summary>
/// <remarks>
/// <para>What each mark says, and what must be durable when:</para>
/// <list type="table">
/// <item><term><c>starting-over</c></term><description>The directory is being filled from a remote, and is nothing yet.
/// It comes before anything else does, and goes when all the rest is durable. Whoever finds it begins
/// again; but when it names this start of the machine, all is there, and only a loss of power would take it
/// (<see cref="EndOverUnsynced"/>).</description></item>
/// <item><term><c>replica</c></term><description>The directory has no log of its own, and must not be written before it
/// was promoted. It comes before the first hints, and goes after
/// <c>restored</c> came.</description></item>
/// <item><term><c>restored</c></term><description>The hints are one whole state, and a log may begin right after it. It
/// names the hints' LSN, and comes after them. A take-over makes newer hints, one LSN further: the mark is then older
/// than the hints, and means them all the same. When the log has begun, the mark says that, too.</description></item>
/// <item><term><c>unsettled</c></term><description>A replica's files may hold more than its hints say. See
/// <see cref="Unsettled"/>.</description></item>
/// <item><term><c>author</c>, <c>remote</c>, <c>remote-wanted</c>, <c>restarting</c></term><description>What the
/// directory knows of its remotes. <c>author</c> comes before the remote sees it.</description></item>
/// <item><term><c>place</c></term><description>Which directory, on which machine, the one is that ships. See
/// <see cref="WhyNotOwner"/>.</description></item>
/// <item><term><c>caught-up</c></term><description>Its time is when a running follower last lacked nothing. Nothing
/// after a crash goes by it.</description></item>
/// <item><term><c>rocksdb</c></term><description>The log is that of the RocksDB in the directory above, and there are
/// no databases.</description></item>
/// <item><term><c>pin</c>, <c>pin-hints</c></term><description>The names of the pins that the remote has for this
/// follower: of its place in the log, and of the hints from which it still fetches.</description></item>
/// <item><term><c>moment</c></term><description>A replica shows a moment of the past, and does not go on. It comes
/// before anything of the replica does, and says so when the moment was reached.</description></item>
/// <item><term><c>lazy</c></term><description>Which files of the page store lack bytes that come from the remote when
/// they are read. It comes before anything is read, and goes when all of them are whole.</description></item>
/// </list>
/// </remarks>
internal sealed partial class StoreHome(ILogDisk disk, string path)
{
    /// <summary>What a store's directory is called, beside its databases.</summary>
    public const string Name = ".recovery";

    const string StartingOverMark = "starting-over", ReplicaMark = "replica", RestoredMark = "restored",
        RocksDbMark = "rocksdb", Begun = "begun";

    // What stays when a follower's directory is emptied.
    static readonly string[] kept = ["LOCK", "config", AuthorMark, PlaceMark, PinMark, HintsPinMark, FollowingMark,
        StartingOverMark];

    readonly StoreMarks marks = new(disk, path);

    /// <summary>A directory of this machine.</summary>
    public StoreHome(string path) : this(LocalDisk.Instance, path) { }

    /// <summary>
    /// The store of the databases in a directory; that directory may be named as well as the store itself.
    /// </summary>
    public static string Within(string directory)
    {
        var full = System.IO.Path.TrimEndingDirectorySeparator(System.IO.Path.GetFullPath(directory));
        return System.IO.Path.GetFileName(full) == Name ? full : System.IO.Path.Combine(full, Name);
    }

    /// <summary>Where the store of a database is, unless somebody says otherwise.</summary>
    public static string Beside(string database)
        => System.IO.Path.Combine(System.IO.Path.GetDirectoryName(database)!, Name);

    /// <summary>The directory.</summary>
    public string Path => path;

    ILogDisk Disk => disk;

    /// <summary>RocksDB's files.</summary>
    public string Pages => At("pages");

    /// <summary>The journals and WALs.</summary>
    public string Files => At("files");

    /// <summary>What a large transaction does not keep in memory; emptied at each opening.</summary>
    internal string Spill => At("spill");

    /// <summary>Where a restore puts what it fetches, before it is in its place.</summary>
    internal string Fetching => At("fetching");

    /// <summary>The commits that a fenced writer had not shipped.</summary>
    public string Salvage => At("salvage");

    /// <summary>Who has the store open.</summary>
    public string Lock => At("LOCK");

    /// <summary>
    /// The socket by which the process that has the store open takes statements of its user's other processes.
    /// </summary>
    public string SqlSocket => At("sql");

    /// <summary>Where a replica keeps its copy of the log (in a directory <c>log</c> there).</summary>
    internal string Relay => At("relay");

    /// <summary>A plain file, by its identity.</summary>
    internal string FileOf(ulong fnode)
        => System.IO.Path.Combine(Files, fnode.ToString("x16", CultureInfo.InvariantCulture));

    /// <summary>Whether a log has begun here.</summary>
    public bool HasLog => HasSegments(path);

    /// <summary>Whether a replica has kept a copy of the log here.</summary>
    internal bool HasRelay => HasSegments(Relay);

    /// <summary>Whether the directory is being filled from a remote, or a crash came while it was.</summary>
    public bool IsStartingOver => marks.Has(StartingOverMark) && !IsUnsynced;

    /// <summary>Whether the directory belongs to a replica.</summary>
    public bool IsReplica => marks.Has(ReplicaMark);

    /// <summary>Whether the log is that of the RocksDB in the directory above.</summary>
    public bool IsOfRocksDb => marks.Has(RocksDbMark);

    /// <summary>Says so; refuses a directory that has a store of databases in it.</summary>
    internal void BeginRocksDb()
    {
        if (IsOfRocksDb) return;
        if (HasLog || Directory.Exists(Pages) || IsReplica)
            throw new RecoveryException(RecoveryError.Invalid,
                $"{path} is a store of SQLite databases: a RocksDB in the directory above would need the same place.",
                "Give the RocksDB a directory of its own.")
            { Path = path };
        marks.Write(RocksDbMark, "The log of the RocksDB in the directory above.\n");
    }

    /// <summary>Throws when the log is not that of a store of databases.</summary>
    internal void ThrowIfOfRocksDb()
    {
        if (!IsOfRocksDb) return;
        var directory = System.IO.Path.GetDirectoryName(path);
        throw new RecoveryException(RecoveryError.Invalid,
            $"{path} is the log of the RocksDB in {directory}: there are no SQLite databases.",
            $"`recovery export {directory}` writes its pairs, `recovery status {directory}` says how it is.")
        { Path = path };
    }

    string At(string name) => System.IO.Path.Combine(path, name);

    bool HasSegments(string above) => disk.List(System.IO.Path.Combine(above, "log"))
        .Any(n => SegmentFormat.TryParseFileName(n, out _));

    /// <summary>Makes the directory and the one of the plain files, durably.</summary>
    internal void Create()
    {
        if (disk is LocalDisk) Trust.Require(path);
        try
        {
            disk.CreateDirectory(path);
            disk.CreateDirectory(Files);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new RecoveryException(RecoveryError.CannotOpen, $"Cannot create the store {path}: {e.Message}", e)
            { Path = path };
        }
    }

    /// <summary>Says that the directory is nothing yet.</summary>
    internal void BeginOver()
    {
        Create();
        marks.Write(StartingOverMark, "This directory is being filled from a remote. Delete it, or let that finish.\n");
    }

    /// <summary>Says that the directory is what its other marks say.</summary>
    internal void EndOver() => marks.Remove(StartingOverMark);

    /// <summary>Says that the directory belongs to a replica.</summary>
    internal void BeginReplica()
    {
        if (!IsReplica)
            marks.Write(ReplicaMark,
                "This directory follows another store. `recovery promote` makes it a store of its own.\n");
        marks.Remove(RestoredMark);
    }

    /// <summary>
    /// The hints at an LSN are durable, and a log may begin after them: from here on the directory is a store of its
    /// own.
    /// </summary>
    internal void EndReplica(ulong hintsLsn)
    {
        NoteRestored(hintsLsn);
        marks.Remove(ReplicaMark);
        EndOver();
    }

    /// <summary>The hints at an LSN are durable, and a log may begin after them.</summary>
    internal void NoteRestored(ulong hintsLsn)
        => marks.Write(RestoredMark, hintsLsn.ToString(CultureInfo.InvariantCulture) + "\n");

    /// <summary>
    /// The LSN that the directory was restored or promoted at; null when it began as a store of its own.
    /// </summary>
    internal ulong? RestoredLsn =>
        marks.Read(RestoredMark)?.Split(' ', '\n')[0] is { } text
            && ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var lsn) ? lsn : null;

    /// <summary>A log has begun: should it be lost, another must not begin in its place.</summary>
    internal void NoteLogBegun()
    {
        if (marks.Read(RestoredMark) is { } text && !text.Contains(Begun, StringComparison.Ordinal))
            marks.Write(RestoredMark, text.Trim() + " " + Begun + "\n");
    }

    /// <summary>
    /// Where a log may begin in a directory that a restore or a replica left; null for any other directory. A mark
    /// without content is one that an older version did not sync before power failed, and one that is older than the
    /// hints by one LSN comes from a take-over that was killed.
    /// </summary>
    internal ulong? FirstLsnAfterRestore(Hints? hints)
    {
        if (hints is null || hints.ReplayFrom <= hints.Lsn || HasLog
            || marks.Read(RestoredMark)?.Trim('\0', '\n', ' ') is not { } text)
            return null;
        var fits = text.Length == 0
            || (ulong.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var lsn)
            && (lsn == hints.Lsn || lsn + 1 == hints.Lsn));
        return fits ? hints.Lsn + 1 : null;
    }

    /// <summary>Removes everything but what outlives a new beginning. The mark that says so stands.</summary>
    internal void Empty()
    {
        foreach (var name in disk.List(path).Where(n => !IsKept(n))) disk.Delete(At(name));
        foreach (var directory in (string[])[Files, System.IO.Path.Combine(Relay, "log"), At("log")])
            foreach (var name in disk.List(directory)) disk.Delete(System.IO.Path.Combine(directory, name));
        if (!Directory.Exists(path)) return;
        foreach (var entry in Directory.EnumerateDirectories(path).ToArray()) Directory.Delete(entry, recursive: true);
        disk.SyncDirectory(path);
    }

    static bool IsKept(string name)
        => kept.Contains(name.EndsWith(StoreMarks.NewSuffix, StringComparison.Ordinal)
            ? name[..^StoreMarks.NewSuffix.Length]
            : name);

    /// <summary>Whoever reads by a replica's copy of the log finds it gone, and looks at the directory anew.</summary>
    internal void DeleteRelay()
    {
        var log = System.IO.Path.Combine(Relay, "log");
        // The newest last: what is left by a crash then ends where it ended.
        var names = disk.List(log).Order(StringComparer.Ordinal).ToArray();
        foreach (var name in names) disk.Delete(System.IO.Path.Combine(log, name));
        if (names.Length > 0) disk.SyncDirectory(log);
        if (disk is LocalDisk && Directory.Exists(Relay)) Directory.Delete(Relay, recursive: true);
    }
}
