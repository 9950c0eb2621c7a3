using RecoveryVfs.Operations;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Remote.Read;

namespace RecoveryVfs.Cli;

/// <summary>What <c>recovery snapshot create, restore</c> and <c>verify</c> do with files.</summary>
internal sealed class SnapshotFileActions(Output to, CancellationToken cancellation)
{
    internal sealed record Restored(string? Store, string? File, ulong Lsn, DateTimeOffset Time,
        IReadOnlyList<string> Databases);

    /// <summary>The words that are no names of snapshots.</summary>
    public static readonly string[] Words = ["create", "restore", "verify"];

    const string Standard = "-";

    /// <summary>Writes a snapshot to a file, or to standard output.</summary>
    public async Task CreateAsync(string? place, string? output, IReadOnlyList<string> since,
        Func<RemoteAccess, Task<RestoreTarget>> moment)
    {
        var isStore = place is not null && !RemoteAccess.IsUrl(place);
        // What a store has committed by now is to be in it.
        if (isStore && !StoreDirectory.Find(place!).IsOfRocksDb)
            await StoreSync.RunAsync(StoreDirectory.Find(place!), new SyncOptions(), cancellation);
        await using var remote = RemoteAccess.Open(place);
        var target = await moment(remote);
        await WriteAsync(output, (stream, name) => SnapshotFiles.WriteAsync(remote, target, since, stream, name,
            Progress.Begin, to.Note, cancellation));
    }

    /// <summary>Writes one database, or some of its pages.</summary>
    public async Task CreateOfDatabaseAsync(string? place, string? output, string? database, string? pages,
        bool isMoment, Func<RemoteAccess, Task<RestoreTarget>> moment)
    {
        var range = pages is null ? PageRange.All : PageRange.Parse(pages);
        RestoreTarget? at = null;
        // As it is now, a store's directory has it.
        if (place is null || isMoment || RemoteAccess.IsUrl(place))
        {
            await using var remote = RemoteAccess.Open(place);
            at = await moment(remote);
            place = remote.Url;
        }
        await WriteAsync(output, (stream, name) => DatabasePieces.WriteAsync(place, at, database, range, stream, name,
            Progress.Begin, cancellation));
    }

    async Task WriteAsync(string? output, Func<Stream, string, Task<SnapshotFile>> write)
    {
        if (output is null)
            throw new RecoveryException(RecoveryError.Invalid, "Where to? Give -o FILE, or -o - for standard output.");
        if (output == Standard)
        {
            await using var stream = Console.OpenStandardOutput();
            to.Note(Said(await write(stream, Standard)));
            return;
        }
        var file = Path.GetFullPath(output);
        to.Result(await SnapshotFiles.ToPathAsync(file, stream => write(stream, file)), Results.Json.SnapshotFile,
            w => to.Line(Said(w)));
    }

    static string Said(SnapshotFile file) =>
        $"{file.File}: LSN {file.Lsn}, {file.Kind}{(file.Pages is { } pages ? $" {pages} of {file.Database}" : "")}, "
            + $"{file.Objects} objects, {Text.Bytes(file.Bytes)}.";

    /// <summary>Brings snapshots back: the last argument is the directory, unless a plain file is wanted.</summary>
    public async Task RestoreAsync(IReadOnlyList<string> given, string? output, string? database)
    {
        var files = output is null ? given.SkipLast(1).ToList() : given.ToList();
        if (files.Count == 0)
            throw new RecoveryException(RecoveryError.Invalid,
                "Give the snapshot's files, and DIR for a store or -o FILE for a plain SQLite file.");
        using var piped = files.Contains(Standard)
            ? new PipedFile(Path.GetDirectoryName(Path.GetFullPath(output ?? given[^1]))!) : null;
        if (piped is not null) files = [.. files.Select(f => f == Standard ? piped.Path : f)];
        Restored done;
        SQLitePCL.Batteries_V2.Init();
        Recovery.Register();
        if (output is null)
        {
            var result = await SnapshotFiles.ToStoreAsync(files, Path.GetFullPath(given[^1]), Progress.Begin, to.Note,
                cancellation);
            done = new Restored(StoreDirectory.Within(given[^1]), null, result.Lsn, Text.FromMs(result.UnixTimeMs),
                result.Databases);
        }
        else
        {
            var (result, name) = await SnapshotFiles.ToFileAsync(files, Path.GetFullPath(output), database,
                Progress.Begin, to.Note, cancellation);
            done = new Restored(null, Path.GetFullPath(output), result.Lsn, Text.FromMs(result.UnixTimeMs), [name]);
        }
        to.Result(done, Results.Json.SnapshotRestored, r => to.Line(
            $"Restored LSN {r.Lsn} ({Text.Time(r.Time)}) to {r.File ?? r.Store}: {Text.Some(r.Databases)}"));
    }

    /// <summary>Says whether snapshots are whole, and what is in them.</summary>
    public async Task VerifyAsync(IReadOnlyList<string> files)
    {
        if (files.Count == 0) throw new RecoveryException(RecoveryError.Invalid, "Which files are verified?");
        var found = await SnapshotFiles.VerifyAsync(files, Progress.Begin, cancellation);
        to.Result(found, Results.Json.SnapshotFile, f =>
        {
            to.Line("Everything verifies: " + Said(f));
            if (f.Databases is { } all) to.Line($"Databases: {Text.Some([.. all.Select(d => d.Name)])}");
        });
    }
}
