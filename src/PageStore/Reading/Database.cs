using System.Diagnostics;
using RecoveryVfs.PageStore.Pages;
using RecoveryVfs.RecoveryLog.Remote.Collect;

namespace RecoveryVfs.PageStore.Reading;

/// <summary>One SQLite main file in a store: its newest version, and who still reads older ones. Thread-safe.</summary>
internal sealed class Database
{
    readonly PageReader reader;
    readonly Lock gate = new();
    readonly ulong createdLsn;
    DatabaseVersion? current;
    // What was appended last, as long as it is not published.
    DatabaseVersion? ahead;
    volatile bool publishing;
    volatile bool deleted;
    string name;

    /// <summary>A database that was created just now, empty.</summary>
    internal Database(PageReader reader, uint id, string name, DatabaseVersion version)
        : this(reader, id, name, version.Lsn)
    {
        current = version;
        Applied = version;
    }

    /// <summary>
    /// A database that there was before. Its version is read when it is wanted first: of thousands, few are used soon.
    /// That is in time, since nobody replaces a version without having asked for it.
    /// </summary>
    internal Database(PageReader reader, uint id, string name, ulong createdLsn)
    {
        this.reader = reader;
        this.name = name;
        this.createdLsn = createdLsn;
        Id = id;
    }

    /// <summary>The identity inside pages and records.</summary>
    public uint Id { get; }

    /// <summary>The name: for `a.db` beside `.recovery/`, just `a.db`.</summary>
    public string Name
    {
        get => Volatile.Read(ref name);
        internal set => Volatile.Write(ref name, value);
    }

    /// <summary>The newest published version.</summary>
    public DatabaseVersion Current => Volatile.Read(ref current) ?? Load();

    /// <summary>
    /// The version that the next commit lies on: the newest published one, or one that is appended and will be
    /// published, if the log becomes durable so far.
    /// </summary>
    public DatabaseVersion Newest => Volatile.Read(ref ahead) ?? Current;

    DatabaseVersion Load()
    {
        // Not under the gate: the page store is asked.
        var loaded = reader.VersionOf(Id, Name, createdLsn);
        lock (gate)
        {
            if (current is null)
            {
                Applied = loaded;
                Volatile.Write(ref current, loaded);
            }
            return current;
        }
    }

    /// <inheritdoc cref="WrittenPages.Checksum"/>
    internal ulong ChecksumOf(DatabaseVersion pinned, uint first, uint last)
        => reader.Written.Checksum(this, pinned, first, last);

    /// <summary>Whether it was deleted from the store while handles were open.</summary>
    public bool IsDeleted => deleted;

    /// <summary>
    /// The version that the page store shows without a snapshot; null before anybody has asked for one. Touched by the
    /// applier only, once it is there.
    /// </summary>
    internal DatabaseVersion? Applied { get; set; }

    /// <summary>Progress of bringing the whole database into the page cache. Touched by the read-ahead only.</summary>
    internal Warming Warming;

    /// <summary>Whether <paramref name="version"/> is the newest and no commit has begun to replace it.</summary>
    internal bool IsSettledAt(DatabaseVersion version) => !publishing && ReferenceEquals(Current, version);

    /// <summary>
    /// Pins the newest version for reading until <see cref="Unpin"/>. Tens of nanoseconds, no allocation.
    /// </summary>
    public DatabaseVersion Pin()
    {
        var loaded = Current;
        lock (gate)
        {
            loaded = current ?? loaded;
            loaded.Pins++;
            return loaded;
        }
    }

    /// <summary>Pins the version that the next commit lies on, for whoever is about to write it.</summary>
    public DatabaseVersion PinNewest()
    {
        var loaded = Current;
        lock (gate)
        {
            loaded = ahead ?? current ?? loaded;
            loaded.Pins++;
            return loaded;
        }
    }

    /// <summary>Ends one pin.</summary>
    public void Unpin(DatabaseVersion version)
    {
        IPageSnapshot? unneeded = null;
        lock (gate)
        {
            Debug.Assert(version.Pins > 0, "unpinned more often than pinned");
            if (--version.Pins == 0)
            {
                unneeded = version.Snapshot;
                version.Snapshot = null;
            }
        }
        unneeded?.Dispose();
    }

    /// <summary>One more pin on a version that the caller has pinned already.</summary>
    internal void PinAgain(DatabaseVersion version)
    {
        lock (gate)
        {
            Debug.Assert(version.Pins > 0 || ReferenceEquals(version, current),
                "only a pinned or the newest version can be pinned");
            version.Pins++;
        }
    }

    /// <summary>
    /// Whether somebody reads this version now. Of a version that is no longer the newest, false is final.
    /// </summary>
    internal bool IsPinned(DatabaseVersion version)
    {
        lock (gate) return version.Pins > 0;
    }

    /// <summary>
    /// The page store is about to move past <paramref name="version"/> (no longer the newest): keeps its state for
    /// those who still read it.
    /// </summary>
    internal void KeepReadable(DatabaseVersion? version, IPageStore pages)
    {
        lock (gate)
        {
            if (version?.Pins > 0 && version.Snapshot is null) version.Snapshot = pages.Snapshot();
        }
    }

    /// <summary>
    /// From here on, readers do not put what they find into the page cache until <see cref="Publish"/>.
    /// </summary>
    internal void BeginPublish() => publishing = true;

    /// <summary>
    /// A commit was appended: its version is the one that the next commit lies on. With <paramref name="pinned"/>, it
    /// is pinned for its writer.
    /// </summary>
    internal void Append(DatabaseVersion version, bool pinned)
    {
        version.IsAhead = true;
        lock (gate)
        {
            Debug.Assert(ahead is null || version.Lsn > ahead.Lsn, "versions only grow");
            if (pinned) version.Pins++;
            Volatile.Write(ref ahead, version);
        }
    }

    /// <summary>
    /// A commit that was appended failed, and the store takes no more of them: nobody is to begin with its version, or
    /// one on top of it, any more.
    /// </summary>
    internal void Abandon(DatabaseVersion version)
    {
        lock (gate)
            if (ahead?.Lsn >= version.Lsn) Volatile.Write(ref ahead, null);
    }

    /// <summary>Makes a version the newest. The page cache has its pages.</summary>
    internal void Publish(DatabaseVersion version)
    {
        lock (gate)
        {
            Debug.Assert(current is not null && version.Lsn > current.Lsn, "versions only grow");
            Volatile.Write(ref current, version);
            if (ReferenceEquals(ahead, version)) Volatile.Write(ref ahead, null);
            version.IsAhead = false;
            publishing = false;
        }
    }

    internal void MarkDeleted() => deleted = true;

    /// <summary>
    /// Copies bytes of a pinned version into <paramref name="destination"/>; returns how many there were (fewer only at
    /// the end of the file). Hot path: no allocation, no lock when the page is cached.
    /// </summary>
    public int Read(DatabaseVersion pinned, long offset, Span<byte> destination)
    {
        if (offset >= pinned.SizeBytes) return 0;
        var total = (int)Math.Min(destination.Length, pinned.SizeBytes - offset);
        destination = destination[..total];
        var pageSize = pinned.PageSize;
        while (true)
        {
            var page = (uint)(offset / pageSize) + 1;
            var within = (int)(offset % pageSize);
            var count = Math.Min(pageSize - within, destination.Length);
            // The page cache knows nothing of a version that is not published: its entries are older there.
            if (!pinned.IsAhead || !reader.TryReadAhead(this, pinned, page, within, destination[..count]))
            {
                var found = reader.Cache.TryRead(Id, page, pinned.Lsn, pageSize, within, destination[..count]);
                if (found != CacheRead.Hit) reader.ReadOn(found, this, pinned, page, within, destination[..count]);
            }
            if (count == destination.Length) return total;
            destination = destination[count..];
            offset += count;
        }
    }
}
