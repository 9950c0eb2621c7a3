using Microsoft.Data.Sqlite;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Writing;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.Replicate.Mirrors;

namespace RecoveryVfs.Replicate.Tests;

/// <summary>
/// A database, a store with its mirror, and what watches the one for the other; looked at when a test says so.
/// </summary>
internal sealed class MirrorSite : IDisposable
{
    readonly Scratch scratch;
    readonly Scratch? own;
    readonly ReplicatorOptions options;

    /// <param name="options">Of the replicator.</param>
    /// <param name="maxLocalLogBytes">What the mirror's log may grow to.</param>
    /// <param name="disk">The disk under the mirror; the machine's if null.</param>
    /// <param name="scratch">Where the database is, when that is to outlast this.</param>
    /// <param name="clock">What the mirror's store asks for the time.</param>
    /// <param name="remote">Where the mirror ships to.</param>
    public MirrorSite(ReplicatorOptions? options = null, long maxLocalLogBytes = 4L << 30, ILogDisk? disk = null,
        Scratch? scratch = null, TimeProvider? clock = null, RemoteOptions? remote = null)
    {
        this.options = options ?? new();
        own = scratch is null ? new Scratch() : null;
        this.scratch = scratch ?? own!;
        Store = PageStore.Writing.Store.Open(
            new StoreOptions
            {
                Directory = this.scratch.At("store"),
                Disk = disk ?? LocalDisk.Instance,
                // Pages in memory need their whole log.
                PagesInMemory = maxLocalLogBytes == 4L << 30 && remote is null,
                MaxLocalLogBytes = maxLocalLogBytes,
                Remote = remote,
                Time = clock ?? TimeProvider.System,
            });
        Watched = New();
    }

    public Scratch Scratch => scratch;

    public Store Store { get; }

    public ReplicatedDatabase Watched { get; private set; }

    public List<ReplicationEvent> Events { get; } = [];

    /// <summary>Told each event, too.</summary>
    public Action<ReplicationEvent>? Told { get; set; }

    ReplicatedDatabase New() => new(scratch.At("app.db"), new Mirror(Store, "app.db"), options, e =>
    {
        Events.Add(e);
        Told?.Invoke(e);
    });

    /// <summary>Looks again while a look says that it is to be repeated.</summary>
    public void LookUntilInStep()
    {
        for (var tries = 0; tries < 5; tries++)
            try
            {
                Watched.Look();
                return;
            }
            catch (RecoveryLog.RecoveryException e) when (e.Error == RecoveryLog.RecoveryError.Busy)
            {
                // Once more.
            }
        Assert.Fail("it never came in step");
    }

    /// <summary>As when the replicator's process ends and another one begins.</summary>
    public void Restart()
    {
        Watched.Dispose();
        Watched = New();
    }

    public SqliteConnection Open(params string[] statements) => scratch.Open("app.db", statements);

    /// <summary>Looks, and holds the mirror against what SQLite says the database is.</summary>
    public void LookAndCompare()
    {
        Watched.Look();
        Assert.Null(Watched.Gap);
        Assert.Equal(Expected(), Bytes());
    }

    /// <summary>The database as SQLite's own backup gives it.</summary>
    public byte[] Expected()
    {
        var copy = scratch.At("copy.db");
        using (var from = new SqliteConnection($"Data Source={scratch.At("app.db")};Mode=ReadOnly;Pooling=False"))
        using (var to = new SqliteConnection($"Data Source={copy};Pooling=False"))
        {
            from.Open();
            to.Open();
            from.BackupDatabase(to);
        }
        var bytes = File.ReadAllBytes(copy);
        File.Delete(copy);
        return Comparable(bytes);
    }

    /// <summary>The mirror's newest version.</summary>
    public byte[] Bytes() => BytesOf(Store.Find("app.db")!);

    public static byte[] BytesOf(PageStore.Reading.Database database)
    {
        var version = database.Pin();
        var bytes = new byte[version.SizeBytes];
        Assert.Equal(bytes.Length, database.Read(version, 0, bytes));
        database.Unpin(version);
        return Comparable(bytes);
    }

    /// <summary>SQLite's backup sets the counters in the header, and the journal mode, as it needs them.</summary>
    static byte[] Comparable(byte[] bytes)
    {
        if (bytes.Length < 100) return bytes;
        bytes.AsSpan(18, 2).Clear();
        bytes.AsSpan(24, 4).Clear();
        bytes.AsSpan(92, 8).Clear();
        bytes.AsSpan(40, 4).Clear();
        return bytes;
    }

    public void Dispose()
    {
        Watched.Dispose();
        Store.Dispose();
        own?.Dispose();
    }
}
