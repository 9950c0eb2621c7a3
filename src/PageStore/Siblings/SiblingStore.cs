using RecoveryVfs.PageStore.Reading;
using RecoveryVfs.PageStore.Replicas;
using RecoveryVfs.PageStore.Stores;
using RecoveryVfs.PageStore.Views;
using RecoveryVfs.RecoveryLog;
using RecoveryVfs.RecoveryLog.Disk;
using RecoveryVfs.RecoveryLog.Live;
using RecoveryVfs.RecoveryLog.Records;

namespace RecoveryVfs.PageStore.Siblings;

/// <summary>A store that was made of another one.</summary>
/// <param name="Lsn">The state it begins with: all records up to it.</param>
/// <param name="UnixTimeMs">The time of its newest record.</param>
/// <param name="Databases">The databases in it, deleted ones left out.</param>
internal sealed record Sibling(ulong Lsn, long UnixTimeMs, IReadOnlyList<string> Databases);

/// <summary>
/// Makes a store that begins as another one is, with a log of its own, from that one's files alone: whoever writes it
/// is not asked, not held up, and knows nothing of it. See docs/decisions/0030-branches-beside-a-writer.md.
/// </summary>
/// <remarks>
/// It is what a reader of another process does (<see cref="ViewedState"/>), kept: hints first, then RocksDB's files and
/// copies of the plain ones, then the log from where those need it to its end. Each part is at least as new as the one
/// before needs, and repeating records assigns, so that it ends at one state: that of the log's end.
/// </remarks>
internal static class SiblingStore
{
    // Tries that fail because a writer changes what is being read, and failures that nothing in the directory explains.
    const int TriesMax = 50, QuietTriesMax = 3;

    const int Private = 0x1C0; // 0700

    /// <summary>
    /// Makes it in a directory that does not exist. What cannot be verified is not delivered: on an error the directory
    /// is removed again.
    /// </summary>
    public static Sibling Make(StoreOptions of, string directory, CancellationToken cancellation = default)
    {
        of.Home.ThrowUnlessOwn();
        of.Home.ThrowIfLazy();
        for (int tries = 1, quiet = 0; ; tries++)
        {
            cancellation.ThrowIfCancellationRequested();
            var before = WriterMark.Of(of);
            try
            {
                return MakeOnce(of, new StoreOptions { Directory = directory, Time = of.Time }, cancellation);
            }
            catch (Exception e)
            {
                if (Directory.Exists(directory)) Directory.Delete(directory, recursive: true);
                quiet = WriterMark.Of(of) == before ? quiet + 1 : 0;
                if (!MayHaveMoved(e) || tries >= TriesMax || quiet >= QuietTriesMax) throw;
            }
        }
    }

    // What a writer that replaces its files makes of a reading.
    static bool MayHaveMoved(Exception e) => e is RecoveryException
    { Error: RecoveryError.Corrupt or RecoveryError.NotFound or RecoveryError.IoRead };

    static Sibling MakeOnce(StoreOptions of, StoreOptions to, CancellationToken cancellation)
    {
        var hints = LocalHints.LoadNewest(of.Disk, of.Directory);
        of.Home.RequirePages();
        LocalDisk.Instance.CreateDirectory(to.Directory, Private);
        to.Home.Create();
        to.Home.BeginReplica();
        SharedPages.TryTake(of.Home.Pages, to.Home.Pages);
        var id = Guid.NewGuid();
        if (hints is not null)
        {
            CopyPlain(of, to, hints);
            LocalHints.Publish(to.Disk, to.Directory, hints with { LogId = id, Epoch = 1 });
        }
        // The files are newer than the hints say.
        using (var unsettled = to.Home.OpenUnsettled()) unsettled.Raise(Math.Max(1, hints?.Lsn ?? 0));
        using var store = Replica.Open(to);
        store.SetSource(id, 1);
        Follow(of, hints, store, cancellation);
        var made = new Sibling(store.NextLsn - 1, store.Replayed.LastTimeMs,
            [.. store.Databases.Select(d => d.Name).Where(n => !DeletedName.Is(n))]);
        store.CloseAsStore();
        return made;
    }

    /// <summary>Journals and WALs, as they are at this moment; the log, read afterwards, makes them whole.</summary>
    static void CopyPlain(StoreOptions of, StoreOptions to, Hints hints)
    {
        foreach (var file in hints.Files.Where(f => f.Class == FileClass.Plain))
        {
            try
            {
                File.Copy(of.Home.FileOf(file.Fnode), to.Home.FileOf(file.Fnode));
            }
            catch (FileNotFoundException)
            {
                // The log is about to say that it was deleted.
                continue;
            }
            using var copy = LocalDisk.Instance.Open(to.Home.FileOf(file.Fnode), LogFileMode.Write);
            copy.SyncData();
        }
    }

    static void Follow(StoreOptions of, Hints? hints, Replica store, CancellationToken cancellation)
    {
        var log = new WritersLog(of, isReplica: false);
        if (log.Open(isUnsettled: false, hints, store.NextLsn) is { } tail)
            log.ReadToEnd(tail, (in Record record) =>
            {
                cancellation.ThrowIfCancellationRequested();
                store.Apply(record);
            });
        if (!store.IsWhole)
            throw new RecoveryException(RecoveryError.Corrupt,
                $"The files in {of.Directory} hold commits beyond the end of the log, which is LSN "
                    + $"{store.NextLsn - 1}.",
                "Files of different times were mixed; restore the store.")
            { Path = of.Directory, Lsn = store.NextLsn - 1 };
        store.ThrowIfPlainDamaged();
    }
}
