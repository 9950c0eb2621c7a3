using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Log;
using RecoveryVfs.RecoveryLog.Objects;
using RecoveryVfs.RecoveryLog.Records;
using RecoveryVfs.RecoveryLog.Remote;
using RecoveryVfs.RecoveryLog.Remote.Collect;
using RecoveryVfs.RecoveryLog.Remote.Formats;
using RecoveryVfs.RecoveryLog.Remote.Read;
using RecoveryVfs.RecoveryLog.Remote.Write;
using RecoveryVfs.Simulation;

namespace RecoveryVfs.RecoveryLog.Tests.Remote;

/// <summary>
/// A whole writer in small: local log, live files, a "page store" whose flushes make sealed table files, and the
/// shipping of it all. The log is the real one on a disk that loses what was not synced; time and object store are
/// handed in.
/// </summary>
sealed class ToyMachine
{
    public static readonly Guid LogId = Guid.Parse("00112233-4455-6677-8899-aabbccddeeff");
    const string Dir = "/store", Current = "CURRENT";

    readonly TimeProvider time;
    readonly Random random;
    readonly LiveFiles live = new();
    Hints? localHints;
    ulong persisted;
    ulong? table, journal;

    public ToyMachine(PowerLossDisk disk, IObjectStore store, TimeProvider time, Random random, ulong author,
        Func<Func<Task>, Task>? start = null)
    {
        (Disk, Store, this.time, this.random, Author) = (disk, store, time, random, author);
        Start = start ?? Task.Run;
    }

    public PowerLossDisk Disk { get; }
    public IObjectStore Store { get; }
    public ulong Author { get; }
    public ulong Epoch { get; private set; } = 1;
    public Func<Func<Task>, Task> Start { get; init; }
    public Dictionary<ulong, byte[]> Tables { get; private init; } = [];
    public ToyState State { get; } = new();
    public LocalLog Log { get; private set; } = null!;
    public Shipper Shipper { get; private set; } = null!;
    public HintsPublisher Publisher { get; private set; } = null!;
    public Collector Collector { get; private set; } = null!;
    public Retention Retention { get; init; } =
        new() { Keep = TimeSpan.FromMinutes(5), KeepHints = 2, ReaderGrace = TimeSpan.FromMinutes(10) };
    public TimeSpan SyncInterval { get; init; } = TimeSpan.FromSeconds(1);
    public int SegmentBytes { get; init; } = 1 << 20;
    public bool Probe { get; init; } = true;
    public bool MayRestart { get; init; }

    // With real threads, the shipper draws from a source of its own.
    public RemoteContext Context
        => new()
        {
            Store = Store,
            Time = time,
            Random = time == TimeProvider.System ? Random.Shared : random,
            OpenSpool = () => new MemoryStream()
        };

    public ToyMachine Open(bool mayCreate, ulong? createAt = null)
    {
        var options = new LogOptions
        {
            LogId = LogId,
            CreateAt = createAt,
            Epoch = Epoch,
            SegmentBytes = 8192,
            FirstSegmentBytes = 8192,
            BufferBytes = 4096,
            PrepareInBackground = false,
            Time = time,
            OnAppended = (in Record r) => live.Apply(r),
        };
        if (localHints is { } hints)
        {
            live.Load(hints);
            State.LoadTable(table is { } t ? Tables[t] : default);
            foreach (var file in hints.Files.Where(f => f.Class == FileClass.Plain))
                State.Plain[file.Fnode] = (file.Name, file.Bytes.ToArray());
        }
        ulong from = localHints?.ReplayFrom ?? 1, hintsLsn = localHints?.Lsn ?? 0;
        Log = LocalLog.Open(Disk, Dir, options, from, (in Record r) =>
        {
            if (r.Lsn > hintsLsn) live.Apply(r);
            State.Apply(r, from, hintsLsn + 1);
        });
        Epoch = Log.Epoch;
        journal = State.Plain.Count > 0 ? State.Plain.Keys.Max() : null;
        Shipper = new Shipper(Context, Log, new ShipperOptions
        {
            Author = Author,
            MayCreate = mayCreate,
            MayRestart = MayRestart,
            Probe = Probe,
            SyncInterval = SyncInterval,
            SegmentBytes = SegmentBytes,
            Salvage = new SalvagePlace(Disk, "/salvage"),
            Start = Start,
        });
        Publisher = new HintsPublisher(Context, Shipper);
        Collector = new Collector(Context, Shipper, Publisher);
        Shipper.Start();
        return this;
    }

    /// <summary>
    /// What another process finds after this one died, or after power was lost; nothing of this machine is used any
    /// more.
    /// </summary>
    public ToyMachine AfterCrash(IObjectStore store, bool powerLoss, bool otherAuthor = false) =>
        new(powerLoss ? Disk.AfterPowerLoss(random) : Disk.AfterProcessDeath(), store, time, random,
            otherAuthor ? Author + 1 : Author)
        {
            Start = Start,
            Tables = new(Tables),
            localHints = localHints,
            persisted = persisted,
            table = table,
            Epoch = Epoch,
            Retention = Retention,
            SyncInterval = SyncInterval,
            SegmentBytes = SegmentBytes,
            Probe = Probe,
        };

    /// <summary>Appends one group of commits; returns its last LSN.</summary>
    public ulong Commit(int parts = 1, bool durable = true, int padding = 0)
    {
        ulong lsn = 0;
        using (var group = Log.BeginGroup())
            for (var i = 0; i < parts; i++)
            {
                var (key, value) = ((byte)random.Next(40), (ulong)random.NextInt64());
                var body = ToyState.Commit(key, value, padding);
                lsn = i == parts - 1
                    ? group.Complete(RecordKind.PageCommit, body)
                    : group.Add(RecordKind.PageCommit, body);
                State.Pages[key] = value;
            }
        if (durable) Log.Sync(lsn); else Log.WriteOut(lsn);
        return lsn;
    }

    /// <summary>Writes to a plain file, sometimes a new one.</summary>
    public void WriteJournal()
    {
        if (journal is null || random.Next(4) == 0)
        {
            if (journal is { } old) Do(RecordKind.FileDeleted, FileRecords.Deleted(old));
            journal = live.NewFnode();
            Do(RecordKind.FileCreated, FileRecords.Created(journal.Value, FileClass.Plain, $"journal-{journal}"));
        }
        var bytes = new byte[random.Next(1, 30)];
        random.NextBytes(bytes);
        Do(RecordKind.FileWritten, [.. FileRecords.Written(journal.Value, random.Next(50)), .. bytes]);
    }

    /// <summary>
    /// Brings the pages into a new table file, as RocksDB would, and lets the local log go before it.
    /// </summary>
    public void Flush()
    {
        ulong applied = Log.LastLsn;
        var fnode = live.NewFnode();
        Do(RecordKind.FileCreated, FileRecords.Created(fnode, FileClass.RocksTable, $"{fnode}.sst"));
        var bytes = State.ToTable();
        Tables[fnode] = bytes;
        Do(RecordKind.FileSealed, FileRecords.Sealed(fnode, bytes.Length, Crc32C.Compute(bytes)));
        var small = live.NewFnode();
        Do(RecordKind.FileCreated, FileRecords.Created(small, FileClass.RocksSmall, $"{small}.dbtmp"));
        Do(RecordKind.FileWritten, [.. FileRecords.Written(small, 0), .. BitConverter.GetBytes(fnode)]);
        Do(RecordKind.FileRenamed, FileRecords.Renamed(small, Current));
        if (table is { } old) Do(RecordKind.FileDeleted, FileRecords.Deleted(old));
        Log.Sync(Log.LastLsn);
        (table, persisted) = (fnode, applied);
        localHints = TakeHints();
        Log.DropBefore(persisted + 1);
    }

    /// <summary>The hints of now, with the bytes of plain files.</summary>
    public Hints TakeHints()
    {
        var hints = live.Snapshot(Log.LogId, Log.Epoch, _ => persisted + 1);
        return hints with
        {
            Files = [.. hints.Files.Select(f => f.Class
                == FileClass.Plain ? f with { Bytes = State.Plain[f.Fnode].Bytes } : f)],
        };
    }

    public Task<RemoteHints> PublishAsync() => PublishAsync(TakeHints());

    public Task<RemoteHints> PublishAsync(Hints hints) =>
        Publisher.PublishAsync(hints, time.GetUtcNow().ToUnixTimeMilliseconds(),
            file => new MemoryStream(Tables[file.Fnode]));

    public async Task CloseAsync()
    {
        await Shipper.DisposeAsync();
        Log.Dispose();
    }

    /// <summary>
    /// A machine with nothing, that restores all there is, takes over and goes on; null when somebody was faster.
    /// </summary>
    public static async Task<ToyMachine?> TakeOverAsync(
        IObjectStore store, TimeProvider time, Random random, ulong author, Func<Func<Task>, Task> start,
            string scratch)
    {
        var context =
            new RemoteContext { Store = store, Time = time, Random = random, OpenSpool = () => new MemoryStream() };
        var plan = await RestorePlanner.PlanAsync(context, RestoreTarget.Newest);
        if (await RemoteTenure.TakeOverAsync(context, plan.Store, plan.End!.Value, author) is not { } end) return null;
        // What the log holds by now: up to our own EpochBegan, since nobody could append between.
        plan = await RestorePlanner.PlanAsync(context, RestoreTarget.At(end.LastLsn));
        var restored = await ToyRestore.RunAsync(plan, scratch);
        var machine =
            new ToyMachine(new PowerLossDisk(), store, time, random, author) { Start = start, Epoch = end.Epoch };
        machine.Adopt(restored);
        machine.Open(mayCreate: false, createAt: end.NextLsn);
        return machine;
    }

    /// <summary>A follower that has read to the end and taken over goes on as the writer.</summary>
    public static ToyMachine Promoted(ToyRestore state, RemoteLogEnd ours, IObjectStore store, TimeProvider time,
        Random random, Func<Func<Task>, Task> start)
    {
        var machine =
            new ToyMachine(new PowerLossDisk(), store, time, random, ours.Author) { Start = start, Epoch = ours.Epoch };
        machine.Adopt(state);
        return machine.Open(mayCreate: false, createAt: ours.NextLsn);
    }

    void Adopt(ToyRestore restored)
    {
        live.Load(restored.Files.Snapshot(LogId, Epoch, l => l + 1));
        // The restored pages become a first table, as a store's open would flush them.
        var fnode = live.NewFnode();
        Tables[fnode] = restored.State.ToTable();
        (table, persisted) = (fnode, restored.Lsn);
        var bytes = Tables[fnode];
        var snapshot = live.Snapshot(LogId, Epoch, _ => persisted + 1);
        localHints = snapshot with
        {
            Lsn = restored.Lsn,
            Files =
            [
                .. snapshot.Files.Where(f => f.Class == FileClass.Plain)
                .Select(f => f with { Bytes = restored.State.Plain[f.Fnode].Bytes }),
                new LiveFile { Fnode = fnode, Class = FileClass.RocksTable, Names = [$"{fnode}.sst"],
                    SizeBytes = bytes.Length, IsSealed = true, Crc32C = Crc32C.Compute(bytes) },
            ],
        };
    }

    void Do(RecordKind kind, byte[] body)
    {
        var lsn = Log.Append(kind, body);
        State.Apply(new Record(lsn, kind, 0, 0, 0, body));
    }
}

/// <summary>What a restore gave, or a follower has.</summary>
sealed class ToyRestore
{
    ulong pagesFrom, filesFrom;

    public ToyState State { get; private init; } = new();
    public LiveFiles Files { get; } = new();
    public ulong Lsn { get; private set; }
    public List<(ulong Lsn, byte Flags)> Replayed { get; } = [];

    /// <summary>What a plan's hints give.</summary>
    public static async Task<ToyRestore> BeginAsync(RestorePlan plan, string scratch)
    {
        var directory = Path.Combine(scratch, Guid.NewGuid().ToString("n"));
        try
        {
            var paths = await plan.FetchFilesAsync(directory);
            var hints = plan.Hints.Hints;
            var restored =
                new ToyRestore { pagesFrom = hints.ReplayFrom, filesFrom = hints.Lsn + 1, Lsn = hints.ReplayFrom - 1 };
            restored.Files.Load(hints);
            foreach (var file in hints.Files)
            {
                if (file.Class == FileClass.RocksTable) restored.State.LoadTable(File.ReadAllBytes(paths[file.Fnode]));
                if (file.Class == FileClass.Plain)
                    restored.State.Plain[file.Fnode] = (file.Name, File.ReadAllBytes(paths[file.Fnode]));
            }
            return restored;
        }
        finally { if (Directory.Exists(directory)) Directory.Delete(directory, true); }
    }

    public static async Task<ToyRestore> RunAsync(RestorePlan plan, string scratch)
    {
        var restored = await BeginAsync(plan, scratch);
        (restored.Lsn, _) = await plan.ReplayAsync((in Record r) =>
        {
            restored.Apply(r);
            restored.Replayed.Add((r.Lsn, r.Flags));
        });
        return restored;
    }

    /// <summary>Whether pages and files are of one LSN: not before the hints' own.</summary>
    public bool IsWhole => Lsn + 1 >= filesFrom;

    public void Apply(in Record record)
    {
        if (record.Lsn >= filesFrom) Files.Apply(record);
        State.Apply(record, pagesFrom, filesFrom);
        Lsn = record.Lsn;
    }

    /// <summary>What is on the disk when a process settles here and dies.</summary>
    public ToyRestore Copy()
    {
        var copy = new ToyRestore
        {
            State = State.Copy(),
            pagesFrom = pagesFrom,
            filesFrom = Math.Max(filesFrom, Lsn + 1),
            Lsn = Lsn
        };
        copy.Files.Load(Files.Snapshot(ToyMachine.LogId, 1, l => l + 1));
        return copy;
    }
}
